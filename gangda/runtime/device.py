"""Device, precision and threads: `auto` is resolved here, once, and recorded."""

import contextlib
import ctypes
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from gangda.config.schema import Runtime
from gangda.errors import UsageError
from gangda.runtime.capture import Recorder, cuda_graph
from gangda.runtime.distributed import ALONE, Ranks
from gangda.runtime.launch import ONE_PROCESS, DistributedEnv
from gangda.runtime.machine import thread_count

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h


@dataclass(frozen=True)
class DeviceContext:
    """Where the networks run.

    `dtype` is the autocast type (float32: no autocast), `threads` the CPU threads of this process, and `ranks` the
    processes that train together: only this one unless torchrun has started several. `recorder` records training
    steps as CUDA graphs; with it, learning rates and decays are tensors on the device.
    """

    device: torch.device
    dtype: torch.dtype
    threads: int
    ranks: Ranks = ALONE
    recorder: Recorder | None = None

    @property
    def channels_last(self) -> bool:
        """Whether that layout is used: it is faster for convolutions on the CPU and on CUDA."""
        return self.device.type != "mps"

    @property
    def precision(self) -> str:
        """Name of the number format, as recorded in hashes and model cards."""
        return "bf16" if self.dtype == torch.bfloat16 else "fp32"

    def inference_batch(self, values: int) -> int:
        """Images, of so many values each, of a forward pass without gradients: more keep a CUDA device busy."""
        return max(1024, 2**23 // values) if self.device.type == "cuda" else 1024

    def put(self, tensor: torch.Tensor) -> torch.Tensor:
        """A CPU tensor on the device; to a GPU through pinned memory, so that nothing waits for the copy."""
        if self.device.type == "cuda":
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)

    def learning_rate(self, lr: float) -> float | torch.Tensor:
        """As a tensor where recorded steps read it."""
        return lr if self.recorder is None else torch.tensor(lr, device=self.device)

    def adam_options(self, lr: float) -> dict[str, Any]:
        """Adam's learning rate, and how its steps are computed here."""
        return {
            "lr": self.learning_rate(lr),
            "fused": self.device.type in ("cpu", "cuda"),  # elsewhere not in every torch
            "capturable": self.recorder is not None,
        }

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Context for the forward passes of networks."""
        if self.dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype, cache_enabled=True)


def prepare(
    runtime: Runtime, environ: Mapping[str, str] | None = None, ranks: Ranks = ALONE
) -> DeviceContext:
    """Resolve device, precision and threads, and set torch's thread count.

    Raises:
        UsageError: the requested device does not exist or does not work here.
    """
    environ = os.environ if environ is None else environ
    threads = thread_count(runtime.threads, environ, ranks.env.local_world)
    torch.set_num_threads(threads)
    keep_freed_memory()
    torch.set_flush_denormal(True)  # vanishing gradients would otherwise slow the CPU down many times
    device = pick_device(runtime.device, ranks.env)
    recorder = None
    if device.type == "cuda":
        _start_gpu(device)
        # TF32 in matrix products, as convolutions have it by default.
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True  # shapes hardly change
        recorder = cuda_graph if runtime.capture and not ranks.many else None
    return DeviceContext(device, pick_dtype(runtime.precision, device), threads, ranks, recorder)


def _start_gpu(device: torch.device) -> None:
    """Make it the current one, and run a kernel: a GPU can be listed and yet not be usable."""
    try:
        if device.index is not None:
            torch.cuda.set_device(device)  # graphs, streams and pinned memory are the current GPU's
        bool(torch.ones(2, device=device).sum() == 2)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(f"--device {device}: listed, but cannot run ({reason}); give --device cpu") from None


def keep_freed_memory() -> None:
    """Let glibc reuse the memory of a step's tensors in the next step, instead of returning it to the kernel.

    Without it a step of the default networks took 5% longer (60% more page faults). Without glibc nothing is done.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)  # the most that glibc takes
        mallopt(_M_TRIM_THRESHOLD, 256 * 2**20)


def pick_device(name: str, env: DistributedEnv = ONE_PROCESS) -> torch.device:
    """The device called `name`; auto prefers CUDA, then MPS, then the CPU.

    Each of several ranks on one machine takes the GPU of its local rank; MPS cannot be used by several ranks.

    Raises:
        UsageError: no such device here, or not one for each rank.
    """
    mps = env.world == 1 and torch.backends.mps.is_available()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    if env.world > 1:
        name = _of_rank(name, env)
    device = device_called(name)
    if device.type == "cuda" and not (
        torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    ):
        raise UsageError(f"--device {name}: no such CUDA device here; use --device cpu or auto")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("--device mps: not available here; use --device cpu or auto")
    return device


def device_called(name: str) -> torch.device:
    """The device of this name, on this machine or another; a UsageError for what is none."""
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"--device {name}: not a device; choose auto, cpu, cuda, cuda:1 or mps") from None
    if device.type not in ("cpu", "cuda", "mps"):
        raise UsageError(f"--device {name}: choose auto, cpu, cuda, cuda:1 or mps")
    return device


def is_here(name: str) -> bool:
    """Whether there is such a device."""
    try:
        pick_device(name)
    except UsageError:
        return False
    return True


def _of_rank(name: str, env: DistributedEnv) -> str:
    """The device of one of several ranks."""
    if name == "mps":
        raise UsageError(
            "--device mps: several ranks cannot share it; use --device cpu, or start without torchrun"
        )
    if name.startswith("cuda:") and env.local_world > 1:
        raise UsageError(
            f"--device {name}: {env.local_world} ranks on this machine need a GPU each; use --device cuda"
        )
    if name != "cuda" or not torch.cuda.is_available():
        return name
    if env.local_rank >= torch.cuda.device_count():
        raise UsageError(
            f"--device cuda: no GPU for rank {env.local_rank} of this machine, which has "
            f"{torch.cuda.device_count()}; give torchrun --nproc-per-node {torch.cuda.device_count()}"
        )
    return f"cuda:{env.local_rank}"


def pick_dtype(precision: str, device: torch.device) -> torch.dtype:
    """bf16 if the hardware is faster at it (auto), else float32: GPUs are as fast in TF32 at these networks' sizes.

    Raises:
        UsageError: bf16 on MPS.
    """
    if precision == "fp32":
        return torch.float32
    if precision == "bf16":
        if device.type == "mps":
            raise UsageError("--precision bf16: not supported on MPS; use fp32")
        return torch.bfloat16
    fast = False
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        # With AVX-512 BF16 but without AMX, convolutions ran at half to two thirds of the fp32 rate
        # (layers of the default networks, one thread of a Xeon, torch 2.15).
        fast = bool(capabilities.get("amx_tile"))
    return torch.bfloat16 if fast else torch.float32


@contextlib.contextmanager
def evaluating(*modules: torch.nn.Module) -> Iterator[None]:
    """Eval mode and no gradients inside the block; afterwards the previous mode."""
    modes = [module.training for module in modules]
    for module in modules:
        module.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.train(mode)
