import platform
import subprocess
import sys

import pytest
import torch

from gangda.configs import Runtime
from gangda.errors import UsageError
from gangda.runtime import device


def test_threads_come_from_the_flag_then_the_scheduler():
    assert device.thread_count(3, {"SLURM_CPUS_PER_TASK": "5"}) == 3
    assert device.thread_count(None, {"SLURM_CPUS_PER_TASK": "5", "OMP_NUM_THREADS": "2"}) == 5
    assert device.thread_count(None, {"OMP_NUM_THREADS": "2"}) == 2
    assert device.thread_count(None, {"OMP_NUM_THREADS": "2,4"}) == device.available_cores()


@pytest.mark.parametrize("name", ["cuda:99", "mps", "meta", "nonsense", "cuda:x"])
def test_a_device_that_is_not_here_is_refused(name):
    with pytest.raises(UsageError, match="--device"):
        device.pick_device(name)


def test_auto_prefers_cuda_then_mps(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert device.pick_device("auto").type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert device.pick_device("auto").type == "cuda"


def test_precision():
    cpu, mps = torch.device("cpu"), torch.device("mps")
    assert device.pick_dtype("fp32", cpu) == torch.float32
    assert device.pick_dtype("bf16", cpu) == torch.bfloat16
    assert device.pick_dtype("auto", mps) == torch.float32
    with pytest.raises(UsageError, match="MPS"):
        device.pick_dtype("bf16", mps)


@pytest.mark.parametrize(("amx", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_takes_bf16_where_the_cpu_is_fast_at_it(amx, expected, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_tile": amx, "avx512_bf16": True})
    assert device.pick_dtype("auto", torch.device("cpu")) == expected


def test_prepare_sets_threads():
    machine = device.prepare(Runtime(threads=1, device="cpu", precision="fp32"))
    assert torch.get_num_threads() == 1
    assert (machine.threads, machine.precision) == (1, "fp32")


FAULTS = """
import resource, sys, torch
from gangda.runtime.device import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
for _ in range(20):
    several = [torch.ones(2**22) for _ in range(5)]
    del several
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_memory_is_kept_for_the_next_step():
    kept, returned = (
        int(
            subprocess.run(
                [sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True
            ).stdout
        )
        for how in ("kept", "returned")
    )
    assert kept < returned - 10 * 5 * 2**24 // 4096  # half of what is freed, in pages
