import dataclasses
import os
import platform
import re
import subprocess
import sys

import pytest
import torch

from gangda.config.schema import Runtime
from gangda.errors import UsageError
from gangda.runtime import device
from gangda.runtime.launch import DistributedEnv


@pytest.mark.parametrize("name", ["cuda:99", "mps", "meta", "nonsense", "cuda:x"])
def test_a_missing_device_is_refused(name):
    with pytest.raises(UsageError, match="--device"):
        device.pick_device(name)


def test_auto_prefers_cuda_then_mps(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert device.pick_device("auto").type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert device.pick_device("auto").type == "cuda"


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_each_rank_takes_the_gpu_of_its_number(name, two_gpus):
    assert device.pick_device(name, DistributedEnv(3, 4, 1, 2)) == torch.device("cuda:1")
    with pytest.raises(
        UsageError, match=r"no GPU for rank 2 of this machine, which has 2; .* --nproc-per-node 2"
    ):
        device.pick_device(name, DistributedEnv(2, 4, 2, 4))


def test_ranks_do_not_share_a_gpu(two_gpus):
    with pytest.raises(UsageError, match=r"--device cuda:1: 2 ranks .* need a GPU each; use --device cuda"):
        device.pick_device("cuda:1", DistributedEnv(0, 2, 0, 2))
    assert device.pick_device("cuda:1", DistributedEnv(0, 2, 0, 1)) == torch.device(
        "cuda:1"
    )  # one on each machine


def test_ranks_do_not_use_mps(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert device.pick_device("auto", DistributedEnv(0, 2, 0, 2)).type == "cpu"
    with pytest.raises(UsageError, match="--device mps: several ranks cannot share it"):
        device.pick_device("mps", DistributedEnv(0, 2, 0, 2))


class Moved:
    """Takes note of how a tensor travels."""

    def __init__(self):
        self.calls = []

    def pin_memory(self):
        self.calls.append("pinned")
        return self

    def to(self, place, non_blocking=False):
        self.calls.append((place.type, non_blocking))
        return self


@pytest.mark.parametrize(
    ("name", "way"),
    [("cuda", ["pinned", ("cuda", True)]), ("mps", [("mps", False)]), ("cpu", [("cpu", False)])],
)
def test_copies_to_a_gpu_are_pinned_and_not_waited_for(name, way):
    tensor = Moved()
    device.DeviceContext(torch.device(name), torch.float32, 1).put(tensor)
    assert tensor.calls == way


@pytest.mark.parametrize("name", ["cuda", "cpu"])
@pytest.mark.filterwarnings("ignore:User provided device_type")
def test_autocast_is_that_of_the_device(name):
    found = device.DeviceContext(torch.device(name), torch.bfloat16, 1).autocast()
    assert (found.device, found.fast_dtype) == (name, torch.bfloat16)


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
    context = device.prepare(Runtime(threads=1, device="cpu", precision="fp32"))
    assert torch.get_num_threads() == 1
    assert (context.threads, context.precision) == (1, "fp32")


# Huge pages, of which the kernel takes as many as it finds, would leave few faults to count.
FAULTS = """
import ctypes, resource, sys, torch
NO_HUGE_PAGES = 41
assert ctypes.CDLL(None).prctl(NO_HUGE_PAGES, 1, 0, 0, 0) == 0
from gangda.runtime.device import keep_freed_memory
keep_freed_memory()
for step in range(20):
    several = [torch.ones(2**22) for _ in range(5)]
    del several
    if step == 4:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_memory_is_kept_for_the_next_step():
    # Another allocator, or glibc's set otherwise by the user, is not what is tested.
    foreign = re.compile(r"LD_PRELOAD|GLIBC_TUNABLES|MALLOC_.*")
    own = {name: value for name, value in os.environ.items() if not foreign.fullmatch(name)}
    faults = int(subprocess.check_output([sys.executable, "-c", FAULTS], text=True, env=own))
    # Without, it is fifteen times that, unless the heap happens to lie so that its end is in use.
    assert faults < 5 * 2**24 // 4096  # pages of one step


def test_a_gpu_that_is_listed_but_cannot_run_says_what_to_give(monkeypatch):
    def broken(*args, **options):
        raise RuntimeError(
            "CUDA error: no kernel image is available for execution on the device\nCompile with ..."
        )

    monkeypatch.setattr(device, "pick_device", lambda *_: torch.device("cuda:0"))
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr(torch, "ones", broken)
    with pytest.raises(
        UsageError, match=r"--device cuda:0: listed, but cannot run \(CUDA error: .*\); give --device cpu"
    ):
        device.prepare(Runtime(device="cuda"))


def test_learning_rates_are_tensors_where_recorded_steps_read_them():
    plain = device.DeviceContext(torch.device("cpu"), torch.float32, 1)
    assert plain.adam_options(0.5) == {"lr": 0.5, "fused": True, "capturable": False}
    recorded = dataclasses.replace(plain, recorder=lambda run: run)
    assert torch.equal(recorded.adam_options(0.5)["lr"], torch.tensor(0.5))
