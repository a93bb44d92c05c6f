"""A generator with its sampler as one file for other programs: `.pt2` (torch.export) or `.onnx`.

Inputs: `noise` float32 (N, ...), standard normal, and `y` int64 (N,), labels. Output: images float32 (N, C, H, W) in
[-1, 1]. N is free. Of a flow the file holds the whole solver. The file is run once more and its pixels are compared
with the generator's own.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gangda.config.sampler_options import SamplerOptions
from gangda.config.schema import SampleConfig
from gangda.data.images import to_uint8
from gangda.errors import RunError, UsageError
from gangda.runtime.files import clear_disk_errors
from gangda.runtime.seeding import torch_stream
from gangda.runtime.staging import folder_beside
from gangda.sampling.build import check_request
from gangda.training.saved_model import load_model
from gangda.zoo.base import Generator

IMAGES = 6  # that are compared
LEVELS = 1  # grey levels by which a pixel may differ: sums are rounded otherwise
OPSET = 18


class _Sampling(nn.Module):
    """Noise and labels to images."""

    def __init__(self, generator: Generator, options: SamplerOptions) -> None:
        super().__init__()
        self.generator, self.options = generator, options

    def forward(self, noise: Tensor, y: Tensor) -> Tensor:
        """See the module's text."""
        return self.generator.sample(y, noise, self.options)


@dataclass(frozen=True)
class ExportResult:
    """A file that was written and checked."""

    export: Path
    noise_shape: tuple[int, ...]  # of one image
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    largest_difference: int  # in grey levels, over all pixels that were compared

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        shapes = {"noise_shape": list(self.noise_shape), "image_shape": list(self.image_shape)}
        names = {"class_names": list(self.class_names), "largest_difference": self.largest_difference}
        return {"export": str(self.export), **shapes, **names}


def export(run: Path, config: SampleConfig, sampler: SamplerOptions, out: Path) -> ExportResult:
    """Write the generator of a run folder, as the suffix of `out` says.

    Raises UsageError: another suffix, a package that is missing, or what the run cannot do; RunError: `out` is there
    already, or its images are not those of the generator.
    """
    if out.suffix not in WRITERS:
        raise UsageError(f"--export {out}: the name must end in {' or '.join(WRITERS)}")
    if out.exists():
        raise RunError(f"{out}: already exists; choose another name or remove it")
    model = load_model(run, config.checkpoint)
    check_request(model, sampler, (), which=config.generator)
    if sampler.start_from_real is not None or sampler.truncation is not None or model.available is not None:
        what = "start-from-real, truncation and rebuilt images are matters of the inputs"
        raise UsageError(f"--export: {what}; leave them out")
    if model.generator.num_generators > 1 and config.generator is None:
        raise UsageError(f"--export: {model.named} has several generators; choose one with --generator")
    generator = model.generator.select(config.generator or 0)
    module = _Sampling(generator, sampler).eval()
    noise = generator.noise(IMAGES, torch_stream("export"))
    y = torch.arange(IMAGES) % len(model.card.class_names)
    with torch.no_grad(), clear_disk_errors(out), folder_beside(out) as folder:
        file = folder / out.name
        found = WRITERS[out.suffix](module, noise[:2], y[:2], file)(noise, y)
        wanted = module(noise, y)
        worst = int(np.abs(to_uint8(found).astype(int) - to_uint8(wanted).astype(int)).max())
        if worst > LEVELS:
            raise RunError(f"{out}: pixels differ from the generator's by up to {worst} levels; not written")
        file.replace(out)
    return ExportResult(out, tuple(noise.shape[1:]), model.card.image_shape, model.card.class_names, worst)


Run = Callable[[Tensor, Tensor], Tensor]


def _dynamic() -> dict[str, Any]:
    batch = torch.export.Dim("batch", min=1)
    return {"noise": {0: batch}, "y": {0: batch}}


def _write_pt2(module: nn.Module, noise: Tensor, y: Tensor, path: Path) -> Run:
    program = torch.export.export(module, (noise, y), dynamic_shapes=_dynamic())
    torch.export.save(program, path)
    loaded: Run = torch.export.load(path).module()
    return loaded


def _write_onnx(module: nn.Module, noise: Tensor, y: Tensor, path: Path) -> Run:
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  (torch's exporter needs it)
    except ImportError as error:
        raise UsageError(f"--export {path.name}: needs {error.name}; pip install 'gangda[onnx]'") from None
    with warnings.catch_warnings():
        # Both inputs have the axis "batch": that is meant.
        warnings.filterwarnings("ignore", "# The axis name: batch will not be used", UserWarning)
        torch.onnx.export(
            module,
            (noise, y),
            str(path),
            input_names=["noise", "y"],
            output_names=["images"],
            dynamic_shapes=_dynamic(),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda noise, y: torch.from_numpy(session.run(None, {"noise": noise.numpy(), "y": y.numpy()})[0])


WRITERS: Mapping[str, Callable[[nn.Module, Tensor, Tensor, Path], Run]] = {
    ".pt2": _write_pt2,
    ".onnx": _write_onnx,
}
