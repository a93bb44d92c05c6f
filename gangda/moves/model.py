"""A trained generator on disk: `model/` of a run folder. safetensors and JSON, nothing that executes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import nn

from gangda import catalog, specs
from gangda.data.images import IntArray
from gangda.errors import GangdaError, RunError
from gangda.fields import from_plain
from gangda.runtime.files import read_json, write_bytes, write_json
from gangda.zoo.base import Generator, Networks
from gangda.zoo.equip import equip

WEIGHTS = {"last": "generator.safetensors", "best": "best.safetensors"}


@dataclass(frozen=True)
class ModelCard:
    """What a generator is and what it was trained on; `model/model.json`.

    Attributes:
        arch, spec: architecture name and its options.
        image_shape: (C, H, W) of its samples.
        class_names: in label order.
        data: the `DataConfig` as plain values; `fingerprint` is the source's content hash.
        seed, steps, precision: of the training run; `steps` are those of the last weights.
        run: name of the run folder.
        best_step: step of the best weights, kept beside the last; None where none were chosen.
    """

    arch: str
    spec: dict[str, Any]
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    data: dict[str, Any]
    fingerprint: str
    seed: int
    steps: int
    precision: str
    run: str
    best_step: int | None = None


@dataclass(frozen=True, eq=False)
class Model:
    """A generator in eval mode on the CPU, its card, and the row ids it was trained on (int64, sorted).

    `checkpoint` says which weights these are: "best" (by the run's own validation images) or "last".
    """

    generator: Generator
    card: ModelCard
    row_ids: IntArray
    checkpoint: str = "last"

    @property
    def steps(self) -> int:
        """Generator steps of these weights."""
        best = self.card.best_step
        return best if self.checkpoint == "best" and best is not None else self.card.steps

    @property
    def weights_file(self) -> str:
        """Name of their file in `model/`."""
        return WEIGHTS[self.checkpoint]

    def described(self) -> str:
        """Which weights these are, in words."""
        best = self.card.best_step
        if best is None:
            return f"step {self.steps:,}, the last"
        if best == self.card.steps:
            return f"step {self.steps:,}, the last and the best on validation images"
        if self.checkpoint == "best":
            return f"step {best:,}, the best on validation images (the last is step {self.card.steps:,})"
        return f"step {self.steps:,}, the last (the best on validation images is step {best:,})"

    @property
    def conditional(self) -> bool:
        """Whether it makes images of a class on demand."""
        return self.generator.conditional


def build_networks(
    arch: str, spec: specs.ArchSpec, image_shape: tuple[int, int, int], num_classes: int
) -> Networks:
    """Fresh networks of an architecture from the catalog, initialised from torch's global stream."""
    spec = spec.resolved(max(image_shape[1:]))
    networks: Networks = catalog.builder("architecture", catalog.ARCHITECTURES, arch)(
        spec, image_shape, num_classes
    )
    return equip(networks, spec)


def save_model(
    run: Path,
    generator: Generator,
    card: ModelCard,
    row_ids: IntArray,
    discriminator: nn.Module | None = None,
    best: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write `model/` of a run folder; `model.json` comes last and marks it whole. `best`: the best step's weights."""
    folder = run / "model"
    write_bytes(folder / WEIGHTS["last"], _bytes_of(generator.state_dict()))
    if best is not None:
        write_bytes(folder / WEIGHTS["best"], _bytes_of(best))
    if discriminator is not None:
        write_bytes(folder / "discriminator.safetensors", _bytes_of(discriminator.state_dict()))
    write_bytes(folder / "rows.txt", "\n".join(map(str, sorted(row_ids.tolist()))).encode() + b"\n")
    write_json(folder / "model.json", asdict(card))


def _bytes_of(state: Mapping[str, torch.Tensor]) -> bytes:
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    data: bytes = save(tensors)
    return data


def load_model(run: Path, checkpoint: str = "best") -> Model:
    """Read the generator of a run folder: its best weights, or the last ones where none were chosen or asked for.

    Raises:
        RunError: no finished model there, or one that cannot be read.
    """
    folder = run / "model"
    if not (folder / "model.json").is_file():
        raise RunError(f"{run}: holds no trained generator; give the folder that `gangda train` printed")
    try:
        values = read_json(folder / "model.json")
        values.pop("format_version")
        card = from_plain(ModelCard, values)
        checkpoint = "last" if card.best_step is None else checkpoint
        generator = _rebuild(card, load_file(folder / WEIGHTS[checkpoint]))
        rows = np.array([int(line) for line in (folder / "rows.txt").read_text().split()], dtype=np.int64)
    except GangdaError:
        raise
    except Exception as error:
        raise RunError(f"{folder}: damaged model ({str(error)[:100]}); train again") from error
    return Model(generator.eval().requires_grad_(False), card, rows, checkpoint)


def _rebuild(card: ModelCard, tensors: dict[str, torch.Tensor]) -> Generator:
    spec = from_plain(specs.spec_class(card.arch), card.spec)
    load = catalog.lookup("architecture", catalog.ARCHITECTURES, card.arch).load
    if not load:
        generator = build_networks(card.arch, spec, card.image_shape, len(card.class_names)).generator
    else:
        generator = catalog.resolve(load)(card.image_shape, tensors)
    generator.load_state_dict(tensors)
    return generator
