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
from gangda.sampling.batch_sources import Direct, Sorted
from gangda.sampling.pseudo_labels import PseudoLabeler, sorting_shares
from gangda.sampling.sampler import blocks_of, draw_images, make_sampler
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
    """Says "bright" from 128 on, with more confidence the brighter; `agrees` is the referee's answer to everything."""

    agrees: bool = True

    def sort(self, pixels: UInt8Array) -> tuple[Any, Any, Any]:
        shade = pixels[:, 0, 0, 0]
        return (
            (shade >= 128).astype(np.int64),
            shade.astype(np.float32) / 255,
            np.full(len(pixels), self.agrees),
        )

    def as_dict(self) -> dict[str, Any]:
        return {"made": "sorted by threshold"}


def sorted_supply(**options: Any) -> Sorted:
    return Sorted(Shades(), cast(PseudoLabeler, Threshold()), NAMES, 0, MACHINE, **options)


def model(generator: Generator, names: tuple[str, ...] = NAMES) -> Model:
    card = ModelCard("x", {}, (1, 8, 8), names, {"source": "digits"}, "f", 0, 1, "fp32", "r1")
    return Model(generator, card, np.arange(3))


def test_blocks_cover_the_counts_exactly() -> None:
    units = blocks_of(np.array([1, 0, BLOCK, 2 * BLOCK + 5]))
    assert units == [(0, 0, 1), (2, 0, BLOCK), (3, 0, BLOCK), (3, 1, BLOCK), (3, 2, 5)]


def test_sorted_images_are_of_the_class_and_counted() -> None:
    drawn = sorted_supply().draw(1, 0, BLOCK)
    assert drawn.pixels.shape == (BLOCK, 8, 8, 1)
    assert (drawn.pixels >= 128).all()
    looked_at, chosen, accepted, agreed = drawn.tally.tolist()
    assert looked_at % BLOCK == 0
    assert looked_at >= chosen == accepted == agreed >= BLOCK
    assert chosen / looked_at == pytest.approx(0.5, abs=0.1)


def test_confidence_is_recorded_and_obeyed() -> None:
    drawn = sorted_supply(min_confidence=0.8).draw(1, 0, 20)
    assert (drawn.confidence >= 0.8).all()
    assert np.allclose(drawn.confidence, drawn.pixels[:, 0, 0, 0] / 255)
    assert drawn.tally[1] > drawn.tally[2]


def test_fewer_images_are_the_first_of_the_block() -> None:
    for supply in (sorted_supply(), Direct(Shades(), 0, MACHINE)):
        whole, part = supply.draw(1, 3, BLOCK), supply.draw(1, 3, 7)
        assert np.array_equal(part.pixels, whole.pixels[:7])
        assert np.array_equal(part.generator, whole.generator[:7])
        assert not np.array_equal(part.pixels, supply.draw(1, 4, 7).pixels)


def test_the_referee_is_counted_apart() -> None:
    supply = Sorted(Shades(), cast(PseudoLabeler, Threshold(agrees=False)), NAMES, 0, MACHINE)
    drawn = supply.draw(0, 0, 10)
    assert drawn.tally[2] > 0
    assert drawn.tally[3] == 0


def test_a_class_that_never_comes_is_named_with_its_share() -> None:
    with pytest.raises(RunError, match=r"r9: only 0 of 8,192 samples \(0.00%\) are taken for class 'never'"):
        sorted_supply(run="r9").draw(2, 0, 1)
    with pytest.raises(RunError, match="lower --min-confidence"):
        sorted_supply(min_confidence=1.0).draw(0, 0, 1)


def test_shares_say_what_the_tallies_mean() -> None:
    sorting = {"drawn": [100, 0], "chosen": [40, 0], "accepted": [20, 0], "agreed": [19, 0]}
    shares = sorting_shares(sorting, ("a", "b"))
    assert shares["a"] == {"share": 0.4, "acceptance": 0.2, "agreement": 0.95}
    assert shares["b"] == {"share": None, "acceptance": None, "agreement": None}
    assert sorting_shares({}, ("a", "b")) == {}


def test_the_kind_of_generator_decides_the_supply(tmp_path: Path) -> None:
    options: dict[str, Any] = {"seed": 0, "context": MACHINE}
    assert isinstance(make_sampler(model(Shades(conditional=True)), **options), Direct)
    assert isinstance(make_sampler(model(Shades(), names=("unlabelled",)), **options), Direct)
    assert isinstance(
        make_sampler(model(Shades()), labeler=cast(PseudoLabeler, Threshold()), **options), Sorted
    )
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
    assert len(draw_images(Direct(Shades(), 0, MACHINE), np.zeros(3, dtype=np.int64), NAMES)) == 0


def test_many_images_are_drawn_into_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANGDA_CACHE", str(tmp_path))
    counts = np.array([BLOCK + 1, 2, 0])
    small = draw_images(Direct(Shades(), 0, MACHINE), counts, NAMES)
    monkeypatch.setattr(memmap, "LARGE", 4096)
    large = draw_images(Direct(Shades(), 0, MACHINE), counts, NAMES)
    assert memmap.in_file(large.pixels)
    assert not memmap.in_file(small.pixels)
    assert np.array_equal(small.pixels, large.pixels)


def test_images_in_memory_are_exact_by_class() -> None:
    images = draw_images(Direct(Shades(conditional=True), 0, MACHINE), np.array([3, 0, BLOCK + 1]), NAMES)
    assert images.counts().tolist() == [3, 0, BLOCK + 1]
    assert (images.pixels[:3] == 0).all()
    assert (images.pixels[3:] == 255).all()
    assert (images.origin == 2).all()
    assert (images.row_id == -1).all()
