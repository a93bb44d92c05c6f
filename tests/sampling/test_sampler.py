from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from gangda.data import memmap
from gangda.data.images import UInt8Array
from gangda.errors import RunError, UsageError
from gangda.runtime.device import DeviceContext
from gangda.sampling.build import make_sampler
from gangda.sampling.pseudo_labels import PseudoLabeler
from gangda.sampling.sample_statistics import SampleStatistics, label_shares, table
from gangda.sampling.sampler import Sampler
from gangda.sampling.writing import blocks_of, draw_images
from gangda.training.saved_model import Model, ModelCard
from gangda.zoo.base import Generator
from gangda.zoo.draw import BLOCK

MACHINE = DeviceContext(torch.device("cpu"), torch.float32, 1)
NAMES = ("dark", "bright", "never")


class Shades(Generator):
    """Flat 8x8 images: as bright as the noise says or, conditional, as the label says."""

    latent_dim, num_classes, image_shape = 1, 3, (1, 8, 8)

    def __init__(self, conditional: bool = False, num_generators: int = 1) -> None:
        super().__init__()
        self.conditional, self.num_generators = conditional, num_generators

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        shade = (y - 1).float() if self.conditional else (z[:, 0] / 4).clamp(-1, 1)
        return shade.view(-1, 1, 1, 1).expand(-1, 1, 8, 8)


@dataclass
class Threshold:
    """Says "bright" from 128 on, with more confidence the brighter; `agrees` is the verifier's answer to everything."""

    agrees: bool = True

    def label(self, pixels: UInt8Array) -> tuple[Any, Any, Any]:
        shade = pixels[:, 0, 0, 0]
        return (
            (shade >= 128).astype(np.int64),
            shade.astype(np.float32) / 255,
            np.full(len(pixels), self.agrees),
        )

    def as_dict(self) -> dict[str, Any]:
        return {"made": "by threshold"}


def labelled(agrees: bool = True, **options: Any) -> Sampler:
    labeler = cast(PseudoLabeler, Threshold(agrees))
    return Sampler(Shades(), NAMES, 0, MACHINE, labeler=labeler, **options)


def direct(conditional: bool = False) -> Sampler:
    return Sampler(Shades(conditional), NAMES, 0, MACHINE)


def model(generator: Generator, names: tuple[str, ...] = NAMES) -> Model:
    card = ModelCard("x", {}, (1, 8, 8), names, {"source": "digits"}, "f", 0, 1, "fp32", "r1")
    return Model(generator, card, np.arange(3))


def test_blocks_cover_the_counts_exactly() -> None:
    units = blocks_of(np.array([1, 0, BLOCK, 2 * BLOCK + 5]))
    assert units == [(0, 0, 1), (2, 0, BLOCK), (3, 0, BLOCK), (3, 1, BLOCK), (3, 2, 5)]


def test_labelled_images_are_of_the_class_and_counted() -> None:
    statistics = SampleStatistics()
    batch = labelled().draw(1, 0, BLOCK, statistics)
    assert batch.pixels.shape == (BLOCK, 8, 8, 1)
    assert (batch.pixels >= 128).all()
    drawn, chosen, accepted, agreed = statistics.labels[1].values()
    assert drawn % BLOCK == 0
    assert drawn >= chosen == accepted == agreed >= BLOCK
    assert chosen / drawn == pytest.approx(0.5, abs=0.1)
    labelled().draw(1, 1, BLOCK, statistics)
    assert table(statistics.labels, 3)["drawn"][0] == 0
    assert table(statistics.labels, 3)["drawn"][1] > drawn


def test_confidence_is_recorded_and_obeyed() -> None:
    statistics = SampleStatistics()
    batch = labelled(min_confidence=0.8).draw(1, 0, 20, statistics)
    assert batch.confidence is not None
    assert (batch.confidence >= 0.8).all()
    assert np.allclose(batch.confidence, batch.pixels[:, 0, 0, 0] / 255)
    assert statistics.labels[1]["chosen"] > statistics.labels[1]["accepted"]


def test_fewer_images_are_the_first_of_the_block() -> None:
    for sampler in (labelled(), direct()):
        whole, part = sampler.draw(1, 3, BLOCK), sampler.draw(1, 3, 7)
        assert np.array_equal(part.pixels, whole.pixels[:7])
        assert np.array_equal(part.generator, whole.generator[:7])
        assert not np.array_equal(part.pixels, sampler.draw(1, 4, 7).pixels)


def test_the_verifier_is_counted_apart() -> None:
    statistics = SampleStatistics()
    labelled(agrees=False).draw(0, 0, 10, statistics)
    assert statistics.labels[0]["accepted"] > 0
    assert statistics.labels[0]["agreed"] == 0


def test_a_class_that_never_comes_is_named_with_its_share() -> None:
    with pytest.raises(RunError, match=r"r9: only 0 of 8,192 samples \(0.00%\) are taken for class 'never'"):
        labelled(run="r9").draw(2, 0, 1)
    with pytest.raises(RunError, match="lower --min-confidence"):
        labelled(min_confidence=1.0).draw(0, 0, 1)


def test_shares_say_what_the_counts_mean() -> None:
    counts = {"drawn": [100, 0], "chosen": [40, 0], "accepted": [20, 0], "agreed": [19, 0]}
    shares = label_shares(counts, ("a", "b"))
    assert shares["a"] == {"share": 0.4, "acceptance": 0.2, "agreement": 0.95}
    assert shares["b"] == {"share": None, "acceptance": None, "agreement": None}
    assert label_shares({}, ("a", "b")) == {}


def test_the_kind_of_generator_decides_whether_labels_are_chosen(tmp_path: Path) -> None:
    options: dict[str, Any] = {"seed": 0, "context": MACHINE, "labeler": Threshold()}
    assert make_sampler(model(Shades(conditional=True)), **options).labeler is None
    assert make_sampler(model(Shades(), names=("unlabelled",)), **options).labeler is None
    sampler = make_sampler(model(Shades()), **options)
    assert sampler.labeler is options.pop("labeler")
    assert sampler.as_dict() == {"made": "by threshold", "min_confidence": 0.0}
    with pytest.raises(RunError, match="without labels"):
        make_sampler(model(Shades()), **options)


@pytest.mark.parametrize(
    ("generator", "options", "words"),
    [
        (Shades(conditional=True), {"which": 1}, "--generator 1: r1 has one generator"),
        (Shades(conditional=True, num_generators=3), {"which": 3}, "3 generators, 0 to 2"),
        (Shades(conditional=True), {"min_confidence": 0.5}, "--min-confidence 0.5"),
    ],
)
def test_what_the_model_cannot_do_is_refused(
    generator: Generator, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        make_sampler(model(generator), seed=0, context=MACHINE, **options)


def test_no_images_at_all_are_an_empty_set() -> None:
    assert len(draw_images(direct(), np.zeros(3, dtype=np.int64), NAMES)) == 0


def test_many_images_are_drawn_into_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANGDA_CACHE", str(tmp_path))
    counts = np.array([BLOCK + 1, 2, 0])
    small = draw_images(direct(), counts, NAMES)
    monkeypatch.setattr(memmap, "LARGE", 4096)
    large = draw_images(direct(), counts, NAMES)
    assert memmap.in_file(large.pixels)
    assert not memmap.in_file(small.pixels)
    assert np.array_equal(small.pixels, large.pixels)


def test_images_in_memory_are_exact_by_class() -> None:
    images = draw_images(direct(conditional=True), np.array([3, 0, BLOCK + 1]), NAMES)
    assert images.counts().tolist() == [3, 0, BLOCK + 1]
    assert (images.pixels[:3] == 0).all()
    assert (images.pixels[3:] == 255).all()
    assert (images.origin == 2).all()
    assert (images.row_id == -1).all()
