import os
import subprocess
import sys
import time

import pytest

from gangda.runtime import machine


def test_threads_come_from_the_flag_then_the_scheduler():
    assert machine.thread_count(3, {"SLURM_CPUS_PER_TASK": "5"}) == 3
    assert machine.thread_count(None, {"SLURM_CPUS_PER_TASK": "5", "OMP_NUM_THREADS": "2"}) == 5
    assert machine.thread_count(None, {"OMP_NUM_THREADS": "2"}) == 2
    assert machine.thread_count(None, {"OMP_NUM_THREADS": "2,4"}) == machine.available_cores()


def test_ranks_of_one_machine_share_its_cores():
    assert machine.thread_count(3, {"SLURM_CPUS_PER_TASK": "8"}, 4) == 3
    assert machine.thread_count(None, {"SLURM_CPUS_PER_TASK": "8", "OMP_NUM_THREADS": "1"}, 4) == 2
    assert machine.thread_count(None, {"OMP_NUM_THREADS": "3"}, 4) == 3  # torchrun's is each process's own
    assert machine.thread_count(None, {"SLURM_CPUS_PER_TASK": "2"}, 4) == 1
    assert machine.thread_count(None, {}, 10**6) == 1


@pytest.mark.parametrize(
    ("own", "cores", "others", "busy"),
    [
        (2, 2, 1, True), (1, 4, 4, True), (2, 2, 0, False), (4, 64, 60, False), (64, 64, 16, False),
        (64, 64, 17, True), (16, 8, 0, False), (16, 8, None, False),
    ],
)  # fmt: skip
def test_busy_is_a_machine_without_a_core_for_each_thread(own, cores, others, busy):
    assert machine.is_busy(own, cores, lambda: others, lambda: others) == busy


def test_a_quiet_moment_or_a_short_burst_means_not_busy():
    assert not machine.is_busy(2, 2, lambda: 0, lambda: pytest.fail("not measured on a quiet machine"))
    assert not machine.is_busy(2, 2, lambda: 3, lambda: 0.4)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/stat")
def test_the_load_of_others_is_measured_and_not_one_s_own(monkeypatch):
    code = "import time\nend = time.time() + 20\nwhile time.time() < end: pass"
    worker = subprocess.Popen([sys.executable, "-c", code])
    try:
        time.sleep(0.5)
        after, running = machine.cores_in_use(), [machine.runnable() for _ in range(20)]
    finally:
        worker.kill()
    assert 0.3 < after < 1.1 * os.cpu_count()
    assert sorted(running)[10] >= 1


def test_cores_in_use_are_those_of_user_nice_and_system(monkeypatch):
    lines, clock = iter(["cpu 100 0 100 5 0", "cpu 110 5 110 85 9"]), iter([10.0, 10.5])
    monkeypatch.setattr(machine.Path, "read_text", lambda path: next(lines))
    monkeypatch.setattr(machine.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(machine.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(machine.os, "sysconf", lambda name: 100)
    assert machine.cores_in_use() == pytest.approx(0.5)


def test_a_system_that_does_not_tell_is_not_busy(monkeypatch):
    def missing(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr(machine.Path, "read_text", missing)
    assert machine.runnable() is None
    assert not machine.is_busy(os.cpu_count(), os.cpu_count())


@pytest.mark.parametrize("given", machine.POLICIES)
def test_a_policy_of_the_user_stays(given):
    environ = {given: "7"}
    machine.sleep_while_waiting(environ)
    assert environ == {given: "7"}
    machine.sleep_while_waiting(environ := {})
    assert environ == {"OMP_WAIT_POLICY": "PASSIVE"}


def grown(root, *, available="1000", limits=()):
    """A file system with so many kB available, and control groups with (limit, used, cached), the root first."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(f"MemTotal: 9000 kB\nMemAvailable: {available} kB\n")
    names = ["", "slurm", "slurm/job_1"][: len(limits)]
    (root / "proc/self/cgroup").write_text(f"0::/{names[-1] if names else ''}\n")
    for name, (most, used, cached) in zip(names, limits, strict=True):
        group = root / "sys/fs/cgroup" / name
        group.mkdir(parents=True, exist_ok=True)
        (group / "memory.max").write_text(f"{most}\n")
        (group / "memory.current").write_text(f"{used}\n")
        (group / "memory.stat").write_text(
            f"anon 5\nactive_file {cached // 3}\ninactive_file {cached - cached // 3}\n"
        )
    return root


def test_free_memory_is_the_least_of_machine_and_groups(tmp_path):
    assert machine.free_memory(grown(tmp_path / "a")) == 1_024_000
    limits = [("max", 10, 0), (500_000, 100_000, 30_000), (600_000, 10_000, 0)]
    assert machine.free_memory(grown(tmp_path / "b", limits=limits)) == 430_000
    assert machine.free_memory(grown(tmp_path / "c", limits=[(100, 700, 0)])) == 0


def test_free_memory_may_be_unknown(tmp_path):
    assert machine.free_memory(tmp_path) is None
    root = grown(tmp_path / "a")
    (root / "proc/self/cgroup").write_text("")
    assert machine.free_memory(root) == 1_024_000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_free_memory_of_this_machine():
    assert 0 < machine.free_memory() < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_cores_are_at_most_those_of_the_slurm_task_and_of_every_quota(tmp_path):
    root = grown(tmp_path, limits=[("max", 0, 0)] * 3)
    mine = machine.available_cores({}, tmp_path / "none")
    assert machine.available_cores({}, root) == mine
    assert machine.available_cores({"SLURM_CPUS_PER_TASK": "1"}, root) == 1
    assert machine.available_cores({"SLURM_CPUS_PER_TASK": "10000"}, root) == mine
    (root / "sys/fs/cgroup/slurm/job_1/cpu.max").write_text("max 100000\n")
    assert machine.available_cores({}, root) == mine
    (root / "sys/fs/cgroup/slurm/cpu.max").write_text("50000 100000\n")
    assert machine.available_cores({}, root) == 1


def test_a_task_of_slurm_has_its_cores_for_itself_unless_torchrun_splits_it():
    task = {"SLURM_CPUS_PER_TASK": "4", "SLURM_PROCID": "1", "RANK": "1"}
    assert machine.thread_count(None, task, 2) == 4
    assert machine.thread_count(None, {**task, "TORCHELASTIC_RUN_ID": "x"}, 2) == 2
    assert machine.thread_count(None, {**task, "RANK": "3"}, 2) == 2
