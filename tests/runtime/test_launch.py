import pytest

from gangda.errors import UsageError
from gangda.runtime.launch import (
    ONE_PROCESS,
    DistributedEnv,
    adopt_slurm,
    distributed_env,
    idle_tasks,
    worker_rank,
)

TWO = {
    "RANK": "1",
    "WORLD_SIZE": "2",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "localhost",
    "MASTER_PORT": "29500",
}


def test_a_process_is_single_without_torchrun():
    assert distributed_env({}) == distributed_env({**TWO, "WORLD_SIZE": "1"}) == ONE_PROCESS
    assert distributed_env({**TWO, "TORCHELASTIC_RESTART_COUNT": "3"}) == DistributedEnv(
        1, 2, 1, 2, attempt=3
    )
    assert not distributed_env(TWO).is_main
    assert distributed_env({**TWO, "RANK": "0"}).is_main


@pytest.mark.parametrize(
    "wrong",
    [
        {"RANK": ""},
        {"WORLD_SIZE": "two"},
        {"WORLD_SIZE": "²"},
        {"LOCAL_RANK": "-1"},
        {"RANK": "2"},
        {"MASTER_ADDR": ""},
        {"MASTER_PORT": ""},
        {"MASTER_PORT": "http"},
        {"MASTER_PORT": "65536"},
    ],
)
def test_an_incomplete_environment_is_refused(wrong):
    with pytest.raises(UsageError, match="torchrun") as caught:
        distributed_env({**TWO, **wrong})
    assert next(iter(wrong)) in str(caught.value)
    assert worker_rank({**TWO, **wrong}) == 0


def test_all_that_is_missing_is_named():
    with pytest.raises(UsageError, match=r"MASTER_ADDR.*MASTER_PORT.*start with torchrun"):
        distributed_env({name: value for name, value in TWO.items() if not name.startswith("MASTER")})


def test_worker_ranks():
    assert (worker_rank({}), worker_rank(TWO), worker_rank({**TWO, "RANK": "0"})) == (0, 1, 0)


STEP = {
    "SLURM_JOB_ID": "12",
    "SLURM_STEP_ID": "3",
    "SLURM_NODEID": "1",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
    "SLURM_NTASKS": "3",
    "SLURM_STEP_NUM_TASKS": "3",
    "SLURM_STEP_TASKS_PER_NODE": "2,1",
    "SLURM_STEP_NODELIST": "gpu[07-08]",
}


def test_tasks_of_srun_are_ranks():
    environ = dict(STEP)
    adopt_slurm(environ)
    assert distributed_env(environ) == DistributedEnv(2, 3, 0, 1)
    assert (environ["MASTER_ADDR"], environ["MASTER_PORT"]) == ("gpu07", "20087")


@pytest.mark.parametrize(
    "left_alone",
    [
        {},
        {**STEP, "WORLD_SIZE": "1"},
        {**STEP, **TWO},
        {**STEP, "SLURM_STEP_NUM_TASKS": "1"},
        {"SLURM_NTASKS": "4"},
    ],
)
def test_what_torchrun_the_user_or_nobody_has_set_stays(left_alone):
    environ = dict(left_alone)
    adopt_slurm(environ)
    assert environ == left_alone


def test_a_place_to_meet_that_is_set_stays():
    environ = {**STEP, "MASTER_ADDR": "10.0.0.1"}
    adopt_slurm(environ)
    assert (environ["MASTER_ADDR"], environ["MASTER_PORT"]) == ("10.0.0.1", "20087")


@pytest.mark.parametrize(
    ("hosts", "first"),
    [
        ("n1", "n1"),
        ("n1,n2", "n1"),
        ("n[1-2]", "n1"),
        ("a[003,7-9]-ib,b1", "a003-ib"),
        ("login,n[1-2]", "login"),
    ],
)
def test_the_first_host(hosts, first):
    environ = {**STEP, "SLURM_STEP_NODELIST": hosts}
    adopt_slurm(environ)
    assert environ["MASTER_ADDR"] == first


def test_tasks_of_each_node():
    environ = {
        **STEP,
        "SLURM_STEP_TASKS_PER_NODE": "1,2(x3)",
        "SLURM_NODEID": "3",
        "SLURM_STEP_NUM_TASKS": "7",
    }
    adopt_slurm(environ)
    assert environ["LOCAL_WORLD_SIZE"] == "2"


def test_a_task_that_sees_one_gpu_takes_it():
    environ = {**STEP, "SLURM_NODEID": "0", "SLURM_LOCALID": "1", "CUDA_VISIBLE_DEVICES": "3"}
    adopt_slurm(environ)
    assert distributed_env(environ) == DistributedEnv(2, 3, 0, 2)


def test_slurm_variables_that_make_no_sense_are_refused():
    with pytest.raises(UsageError, match="WORLD_SIZE=1"):
        adopt_slurm({name: value for name, value in STEP.items() if name != "SLURM_LOCALID"})


def test_a_job_of_several_tasks_of_which_one_works_is_told():
    assert "4 tasks" in idle_tasks({"SLURM_NTASKS": "4"})
    for quiet in ({}, {"SLURM_NTASKS": "1"}, STEP, {"SLURM_NTASKS": "4", **TWO}):
        assert idle_tasks(quiet) == ""
