"""A trained generator on disk: `model/` of a run folder. safetensors and JSON, nothing that executes."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import load, save
from torch import nn

from gangda.config import architectures
from gangda.config.fields import from_plain as options_from_plain
from gangda.config.schema import DataConfig
from gangda.data.images import IntArray
from gangda.errors import DataError, RunError, UsageError
from gangda.runtime import files
from gangda.runtime.checkpoint_files import checkpoint_paths, is_whole
from gangda.runtime.files import read_json, sync_folder, write_bytes, write_json
from gangda.runtime.hashed_file import read_listed, sha256
from gangda.runtime.plain import from_plain, to_plain
from gangda.runtime.staging import folder_beside
from gangda.zoo.base import Generator
from gangda.zoo.networks import build_networks

WEIGHTS = {"last": "generator.safetensors", "best": "best.safetensors"}


@dataclass(frozen=True)
class ModelCard:
    """What a generator is and what it was trained on; `model/model.json`."""

    arch: str
    spec: Mapping[str, Any]
    image_shape: tuple[int, int, int]  # (C, H, W) of its samples
    class_names: tuple[str, ...]
    data: Mapping[str, Any]  # the `DataConfig` as plain values
    fingerprint: str  # content hash of the source
    seed: int
    steps: int  # those of the last weights
    precision: str
    run: str
    # Step of the best weights, kept beside the last; None where none were chosen.
    best_step: int | None = None
    chosen_by: str = ""  # what they were chosen by, in words, or why none were
    # Hex SHA-256 of the other files in `model/`, by name.
    hashes: Mapping[str, str] = field(default_factory=dict)

    @property
    def options(self) -> architectures.ArchSpec:
        """The architecture's options."""
        return options_from_plain(architectures.spec_class(self.arch), self.spec)


@dataclass(frozen=True, eq=False)
class Model:
    """A generator in eval mode on the CPU."""

    generator: Generator
    card: ModelCard
    row_ids: IntArray  # of the images it was trained on, int64, sorted
    checkpoint: str = "last"  # which weights these are: "best" (by the run's own validation images) or "last"
    run: Path | None = None  # the run folder that it was read from

    @property
    def steps(self) -> int:
        """Generator steps of these weights."""
        best = self.card.best_step
        return best if self.checkpoint == "best" and best is not None else self.card.steps

    @property
    def named(self) -> str:
        """What messages call it: the folder as the user gave it."""
        return self.card.run if self.run is None else str(self.run)

    @property
    def weights_file(self) -> str:
        """Name of their file in `model/`."""
        return WEIGHTS[self.checkpoint]

    def described(self) -> str:
        """Which weights these are, in words."""
        best = self.card.best_step
        if best is None:
            reason = f" (no best one was chosen: {self.card.chosen_by})" if self.card.chosen_by else ""
            return f"step {self.steps:,}, the last{reason}"
        if best == self.card.steps:
            return f"step {self.steps:,}, the last and the best on validation images"
        if self.checkpoint == "best":
            return f"step {best:,}, the best on validation images (the last is step {self.card.steps:,})"
        return f"step {self.steps:,}, the last (the best on validation images is step {best:,})"

    @property
    def conditional(self) -> bool:
        """Whether it makes images of a class on demand."""
        return self.generator.conditional

    @property
    def available(self) -> IntArray | None:
        """Samples of each class there are, int64 (K,), where it rebuilds training images; None: without end."""
        counts = self.generator.available
        return None if counts is None else np.array(counts, dtype=np.int64)


def save_model(
    run: Path,
    generator: Generator,
    card: ModelCard,
    row_ids: IntArray,
    others: Mapping[str, nn.Module] | None = None,
    best: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write `model/` of a run folder; `others`: the other networks by name, `best`: the best step's weights.

    `model.json` is moved in last and marks the model whole; where a model is replaced, the old one's goes first.
    """
    folder = run / "model"
    contents = {WEIGHTS["last"]: _bytes_of(generator.state_dict())}
    if best is not None:
        contents[WEIGHTS["best"]] = _bytes_of(best)
    for name, module in (others or {}).items():
        contents[f"{name}.safetensors"] = _bytes_of(module.state_dict())
    contents["rows.txt"] = "\n".join(map(str, sorted(row_ids.tolist()))).encode() + b"\n"
    hashes = {name: sha256(data) for name, data in contents.items()}
    with files.clear_disk_errors(folder), folder_beside(folder) as temporary:
        for name, data in contents.items():
            write_bytes(temporary / name, data)
        write_json(temporary / "model.json", to_plain(replace(card, hashes=hashes)))
        folder.mkdir(exist_ok=True)
        (folder / "model.json").unlink(missing_ok=True)
        for name in (*contents, "model.json"):
            (temporary / name).replace(folder / name)
        sync_folder(folder)


def _bytes_of(state: Mapping[str, torch.Tensor]) -> bytes:
    return save({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()})


def load_model(run: Path, checkpoint: str = "best") -> Model:
    """The generator of a run folder, with its best weights if any are asked for and kept; a RunError if it has none."""
    folder = run / "model"
    if not (folder / "model.json").is_file():
        if not ((run / "run.json").is_file() and (run / "config.yaml").is_file()):
            raise RunError(f"{run}: holds no trained generator; give the folder that `gangda train` printed")
        missing = "its training is not finished"
        with contextlib.suppress(DataError):
            if read_json(run / "run.json").get("finished") is True:
                missing = "its model is missing"
        raise RunError(f"{run}: {missing}; {_again(run)}")
    with _refusing_damage(run):
        card = _read_card(folder)
        checkpoint = "last" if card.best_step is None else checkpoint
        weights = load(_read(folder, WEIGHTS[checkpoint], card))
        generator = cast(Generator, _rebuild(card, weights, "generator"))
        rows = np.array([int(line) for line in _read(folder, "rows.txt", card).split()], dtype=np.int64)
    return Model(generator.eval().requires_grad_(False), card, rows, checkpoint, run)


def model_is_whole(run: Path, steps: int) -> bool:
    """Whether a run folder has a model of so many steps, all of whose files are as they were written."""
    folder = run / "model"
    try:
        card = _read_card(folder)
        for name in card.hashes:
            _read(folder, name, card)
    except MemoryError:
        raise
    except Exception:  # whatever a damaged file may provoke
        return False
    return card.steps == steps


def _read_card(folder: Path) -> ModelCard:
    """The card in a model's folder."""
    values = read_json(folder / "model.json")
    values.pop("format_version")
    card = from_plain(ModelCard, values)
    texts = (card.arch, card.fingerprint, card.precision, card.run, *card.class_names, *card.hashes.values())
    "".join(texts).encode()  # not all that JSON can hold can be written
    numbers = (card.seed, card.steps, card.best_step or 0, *card.image_shape)
    if min(numbers) < 0 or card.image_shape[0] not in (1, 3):
        raise ValueError("model.json: a value is of the wrong kind")
    options_from_plain(DataConfig, card.data)
    return card


def load_network(model: Model, name: str) -> nn.Module:
    """Another network after the last step, in eval mode on the CPU; a RunError where it is missing or damaged."""
    if model.run is None:
        raise RunError(f"{model.card.run}: keeps no {name}; train again")
    folder, file = model.run / "model", f"{name}.safetensors"
    if not (folder / file).is_file():
        raise RunError(f"{model.named}: keeps no {name}; {_again(model.run)}")
    with _refusing_damage(model.run):
        network = _rebuild(model.card, load(_read(folder, file, model.card)), name)
    return network.eval().requires_grad_(False)


def _again(run: Path) -> str:
    """How to write the model of a run again, in words."""
    config = run / "config.yaml"
    if not config.is_file():
        return "train again"
    saved = any(map(is_whole, checkpoint_paths(run / "checkpoints")))
    gives = "goes on from its last whole checkpoint" if saved else "trains it from the start"
    return f"the command that made it (or: gangda train --config {config} --out {run}) {gives} and writes it anew"


@contextlib.contextmanager
def _refusing_damage(run: Path) -> Iterator[None]:
    """Turn any error that a forged or damaged file causes into a RunError of one line."""
    try:
        yield
    except (UsageError, files.FormatVersionError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).removeprefix(f"{run / 'model'}/").split())[:100]
        raise RunError(f"{run / 'model'}: damaged model ({reason}); {_again(run)}") from error


def _read(folder: Path, name: str, card: ModelCard) -> bytes:
    """A file of the model; DataError if it is missing, or its hash is not that on the card."""
    return read_listed(folder / name, card.hashes.get(name, ""), cure="")


def _rebuild(card: ModelCard, tensors: Mapping[str, torch.Tensor], name: str) -> nn.Module:
    """A network of the card with these weights, built only if they fit: a forged card could fill the memory."""
    asked = (card.arch, card.options, card.image_shape, len(card.class_names))
    with torch.device("meta"):  # shapes without numbers
        network = build_networks(*asked).modules()[name]
    free = getattr(network, "sized_by_data", ())
    expected, found = (
        {key: () if key in free else tensor.shape for key, tensor in several.items()}
        for several in (network.state_dict(), tensors)
    )
    if expected != found:
        raise ValueError(f"the weights of the {name} are not of the networks that model.json describes")
    network = build_networks(*asked).modules()[name]
    network.load_state_dict(tensors)
    return network
