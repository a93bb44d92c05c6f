"""Finished runs without training: closed forms, flows of random weights, and a generator that replays its images."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from gangda.config import architectures, catalog
from gangda.config.architectures import ArchSpec
from gangda.config.fields import option
from gangda.config.schema import DataConfig
from gangda.data.loading import load_splits
from gangda.runtime import files
from gangda.runtime.files import write_json
from gangda.training.saved_model import ModelCard, save_model
from gangda.zoo.base import Generator, Networks
from gangda.zoo.closed_form.pca import ComponentsGenerator
from gangda.zoo.networks import build_networks

MakeRun = Callable[..., Path]


@dataclass(frozen=True)
class ReplaySpec(ArchSpec):
    conditional: ClassVar[bool] = False
    rows: int = option(0, "images that it shows")
    generators: int = option(1, "how many generators")


class Replay(Generator):
    """An ideal unconditional generator: shows one of its stored images, whichever the noise points at."""

    latent_dim, conditional = 1, False

    def __init__(self, spec: ReplaySpec, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        self.num_classes, self.image_shape, self.num_generators = num_classes, image_shape, spec.generators
        self.stored: Tensor
        self.register_buffer("stored", torch.zeros(spec.rows, *image_shape))

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        share = torch.special.ndtr(z[:, 0]).clamp(0, 1 - 1e-6)
        return self.stored[(share * len(self.stored)).long()]

    def select(self, k: int) -> Generator:
        one = Replay(ReplaySpec(rows=len(self.stored)), self.image_shape, self.num_classes)
        one.load_state_dict(self.state_dict())
        return one


def build_replay(spec: ReplaySpec, image_shape: tuple[int, int, int], num_classes: int) -> Networks:
    return Networks(Replay(spec, image_shape, num_classes), nn.Identity())


@pytest.fixture
def replay_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = catalog.Entry(f"{__name__}:build_replay", "replays", spec=f"{__name__}:ReplaySpec")
    targets = {entry.target: build_replay, entry.spec: ReplaySpec}
    resolve = catalog.load_target
    monkeypatch.setitem(catalog.ARCHITECTURES, "replay", entry)  # type: ignore[arg-type]
    monkeypatch.setattr(
        catalog, "load_target", lambda target: targets[target] if target in targets else resolve(target)
    )


@pytest.fixture(autouse=True)
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flushing the whole machine's disks is slow, and of no use to a test."""
    monkeypatch.setattr(files, "sync_file_system", lambda folder: None)


@pytest.fixture
def make_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replay_architecture: None) -> MakeRun:
    """make_run(arch, data, seed=0, classes=..., generators=1, **options of arch) -> a run; in `tmp_path`."""
    monkeypatch.chdir(tmp_path)

    def make(
        arch: str,
        data: DataConfig,
        seed: int = 0,
        classes: tuple[int, ...] = (),
        generators: int = 1,
        **options: Any,
    ) -> Path:
        train = load_splits(data, seed).train
        fingerprint = load_splits(data, seed).fingerprint
        spec = (
            ReplaySpec(rows=len(train), generators=generators)
            if arch == "replay"
            else architectures.spec_class(arch)(**options).resolved(train.image_shape[1])
        )
        if isinstance(spec, ReplaySpec):
            generator: Generator = Replay(spec, train.image_shape, train.num_classes)
            pixels = torch.tensor(train.pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
            shown = [row for row in range(len(train)) if not classes or train.labels[row] in classes]
            repeated = [shown[i % len(shown)] for i in range(len(train))]
            generator.load_state_dict({"stored": pixels[repeated]})
        else:
            generator = build_networks(arch, spec, train.image_shape, train.num_classes).generator
            if isinstance(generator, ComponentsGenerator):
                generator.fit(train)
            else:
                torch.manual_seed(0)
                for parameter in generator.parameters():
                    nn.init.normal_(parameter, std=0.05)
        run = Path("runs") / f"{arch}-{seed}"
        card = ModelCard(
            arch,
            asdict(spec),
            train.image_shape,
            train.class_names,
            asdict(data),
            fingerprint,
            seed,
            10,
            "fp32",
            run.name,
        )
        save_model(run, generator, card, train.row_id)
        write_json(run / "run.json", {"finished": True, "steps": 10, "seconds": 1.0})
        return run

    return make
