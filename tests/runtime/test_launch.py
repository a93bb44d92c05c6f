import pytest

from gangda.errors import UsageError
from gangda.runtime.launch import ONE_PROCESS, DistributedEnv, distributed_env, worker_rank

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
