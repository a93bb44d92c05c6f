"""An architecture, a loss and a method from outside the package: a class or function each, and a catalog entry."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import nn
from training_setup import start

from gangda import training
from gangda.config import catalog, methods
from gangda.config.architectures import ArchSpec
from gangda.config.fields import option
from gangda.config.methods import AdversarialOptions, MethodOptions, default_options
from gangda.config.schema import Budget, DataConfig, Runtime, TrainConfig
from gangda.training.adversarial.losses import Loss
from gangda.training.draws import Draws
from gangda.training.method import Batch, IterativeMethod
from gangda.training.saved_model import load_model
from gangda.zoo.base import Generator, Networks, Scores


def exponential():
    """Exponential loss on both sides."""
    return Loss(
        lambda real, fake: (-real).exp().mean() + fake.exp().mean(), lambda fake, real: (-fake).exp().mean()
    )


@dataclass(frozen=True)
class ToySpec(ArchSpec):
    width: int = option(8, "units", minimum=1)


class ToyGenerator(Generator):
    latent_dim = 4

    def __init__(self, spec, image_shape, num_classes):
        super().__init__()
        self.image_shape, self.num_classes = image_shape, num_classes
        size = torch.Size(image_shape).numel()
        self.layers = nn.Sequential(
            nn.Linear(4, spec.width), nn.ReLU(), nn.Linear(spec.width, size), nn.Tanh()
        )

    def forward(self, z, y):
        return self.layers(z).view(-1, *self.image_shape)


class ToyDiscriminator(nn.Module):
    def __init__(self, image_shape):
        super().__init__()
        self.layer = nn.Linear(torch.Size(image_shape).numel(), 1)

    def forward(self, x, y):
        return Scores(self.layer(x.flatten(1)).squeeze(1))


def build(spec, image_shape, num_classes):
    return Networks(ToyGenerator(spec, image_shape, num_classes), ToyDiscriminator(image_shape))


@dataclass(frozen=True)
class MeanOptions(MethodOptions):
    total_steps: ClassVar[int | None] = None
    monitored: ClassVar[bool] = False
    pull: float = option(0.5, "how far each step goes", minimum=0.0, maximum=1.0)


class MeanMethod(IterativeMethod):
    """Pulls the last layer's bias towards the mean image of each batch."""

    def update(self, batch: Batch, draws: Draws):
        bias = self.generator.layers[2].bias
        target = torch.atanh(batch[0].mean(0).flatten().clamp(-0.99, 0.99))
        with torch.no_grad():
            bias.lerp_(target, self.config.method.pull)
        return {"g_loss": (bias - target).square().mean().detach()}


@dataclass(frozen=True)
class MeanSpec(ToySpec):
    method: ClassVar[str] = "mean"


def build_generator(spec, image_shape, num_classes):
    return Networks(ToyGenerator(spec, image_shape, num_classes))


ENTRIES = {
    "ARCHITECTURES": {
        "toy": catalog.Entry(f"{__name__}:build", "a toy", "here 2026", f"{__name__}:ToySpec"),
        "toy-mean": catalog.Entry(
            f"{__name__}:build_generator", "a toy", "here 2026", f"{__name__}:MeanSpec"
        ),
    },
    "LOSSES": {"exponential": catalog.Entry(f"{__name__}:exponential", "exponential loss", "here 2026")},
    "METHODS": {"mean": catalog.Entry(f"{__name__}:MeanMethod", "pulls", spec=f"{__name__}:MeanOptions")},
}


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(sys.modules, __name__, sys.modules[build.__module__])
    for table, entries in ENTRIES.items():
        for name, entry in entries.items():
            monkeypatch.setitem(getattr(catalog, table), name, entry)


def config(kind, **values):
    recipe, method = default_options({"batch_size": 8, **values}, kind.method)
    spec = kind()
    return TrainConfig(
        data=DataConfig(per_class=12),
        arch="toy" if kind is ToySpec else "toy-mean",
        spec=spec,
        recipe=recipe,
        method=method,
        budget=Budget(steps=4),
        runtime=Runtime(threads=1),
    )


def test_an_architecture_is_trained_saved_and_sampled(registered, tmp_path: Path):
    result = training.train(config(ToySpec, loss="hinge", r1=0.0), tmp_path / "run")
    assert result.finished
    assert result.steps == 4
    generator = load_model(tmp_path / "run").generator
    assert isinstance(generator, ToyGenerator)


def test_a_loss_is_an_entry(registered, blobs, context, monkeypatch):
    field = AdversarialOptions.__dataclass_fields__["loss"]
    known = {**field.metadata, "choices": tuple(catalog.LOSSES)}
    monkeypatch.setattr(field, "metadata", known)
    _, loop = start("toy", blobs, context, loss="exponential", r1=0.0)
    first = next(loop).numbers()
    assert first["d_loss"] == pytest.approx(2.0, rel=0.5)


def test_a_method_is_a_class(registered, tmp_path: Path):
    assert methods.options_class("mean") is MeanOptions
    result = training.train(config(MeanSpec, pull=0.9), tmp_path / "run")
    assert result.finished
    assert set(result.parameters) == {"generator"}
