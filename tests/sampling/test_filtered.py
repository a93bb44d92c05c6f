from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pytest

from gangda.data.images import UInt8Array
from gangda.errors import RunError, UsageError
from gangda.sampling.batch_sources import SampleBatch
from gangda.sampling.filtered import (
    EXAMPLES,
    Filtered,
    FilterStatistics,
    check_filters,
    classifier_chose,
    filtering_shares,
    in_order,
)
from gangda.sampling.filters.base import Filter, Judge, Reasons
from gangda.sampling.pseudo_labels import TALLIES
from gangda.training.saved_model import Model, ModelCard
from gangda.zoo.base import Generator
from gangda.zoo.draw import BLOCK


@dataclass
class Noise:
    """A source of one pixel, uniform in 0..255; each attempt gives `size` of them."""

    size: int = BLOCK
    most_attempts: int = 8
    generator: Any = None
    asked: list[tuple[int, int, int]] = field(default_factory=list)

    def attempt(self, label: int, block: int, number: int) -> SampleBatch:
        self.asked.append((label, block, number))
        rng = np.random.default_rng([label, block, number])
        pixels = rng.integers(0, 256, (self.size, 1, 1, 1), dtype=np.uint8)
        return SampleBatch(
            pixels,
            np.arange(self.size) % 2,
            np.full(self.size, np.nan, dtype=np.float32),
            np.full(len(TALLIES), self.size, dtype=np.int64),
        )

    def draw(self, label: int, block: int, count: int) -> SampleBatch:
        return self.attempt(label, block, 0).take(slice(count))

    def as_dict(self) -> dict[str, Any]:
        return {"made": "noise"}


@dataclass
class Between:
    """Rejects what is not in [low, high)."""

    low: int
    high: int
    reason: str

    def judge(self, label: int, block: int) -> Judge:
        def judged(pixels: UInt8Array) -> Reasons:
            x = pixels[:, 0, 0, 0].astype(int)
            return np.where((x >= self.low) & (x < self.high), "", self.reason).astype(object)

        return judged

    def as_dict(self) -> dict[str, Any]:
        return {"low": self.low}


BRIGHT, DARK = Between(128, 256, "dark"), Between(0, 192, "bright")


def filtered(source: Noise, **filters: Any) -> Filtered:
    return Filtered(source, cast(dict[str, Filter], filters or {"a": BRIGHT, "b": DARK}), ("x", "y"))


def test_blocks_are_filled_with_what_all_filters_keep_and_all_is_counted() -> None:
    drawn = filtered(Noise()).draw(1, 0, BLOCK)
    x = drawn.pixels[:, 0, 0, 0]
    assert len(drawn) == len(drawn.generator) == BLOCK
    assert ((x >= 128) & (x < 192)).all()
    sifted = drawn.sifted
    assert sifted is not None
    assert sifted.drawn == sifted.kept + sum(sifted.rejected.values())
    assert sifted.drawn % BLOCK == 0
    assert sifted.kept / sifted.drawn == pytest.approx(0.25, abs=0.05)
    assert sifted.rejected["a"] / sifted.drawn == pytest.approx(0.5, abs=0.06)
    assert (drawn.tally == sifted.drawn).all(), "what sorting counted is added up as without filters"
    assert len(sifted.examples) == len(sifted.reasons) == EXAMPLES
    for image, reason in zip(sifted.examples[:, 0, 0, 0], sifted.reasons, strict=True):
        assert reason == ("dark" if image < 128 else "bright")


def test_an_image_depends_on_its_block_alone() -> None:
    supply = filtered(Noise())
    whole, part = supply.draw(0, 3, BLOCK), supply.draw(0, 3, 7)
    assert np.array_equal(part.pixels, whole.pixels[:7])
    assert not np.array_equal(part.pixels, supply.draw(0, 4, 7).pixels)


def test_the_order_of_filters_changes_blame_alone() -> None:
    one, other = filtered(Noise(), a=BRIGHT, b=DARK), filtered(Noise(), b=DARK, a=BRIGHT)
    assert np.array_equal(one.draw(0, 0, 50).pixels, other.draw(0, 0, 50).pixels)
    assert in_order(["duplicates", "agreement", "duplicates"]) == ("agreement", "duplicates")


def test_too_few_are_told_with_class_share_and_filters() -> None:
    narrow = filtered(Noise(), agreement=Between(0, 1, "no"), duplicates=DARK)
    with pytest.raises(
        RunError,
        match=r"the run: only \d+ of 1,024 samples \(0\.\d+%\) of class 'y' pass --filter agreement,duplicates "
        r"\(rejected by agreement [\d,]+, duplicates 0\)",
    ):
        narrow.draw(1, 0, BLOCK)
    with pytest.raises(RunError, match="only 0 of 0 samples"):
        filtered(Noise(size=0)).draw(1, 0, 1)


def test_what_filters_did_to_a_set() -> None:
    sieve, supply = FilterStatistics(), filtered(Noise())
    assert sieve.tallies(2) == {}
    for block in range(2):
        sieve.add(1, supply.draw(1, block, BLOCK))
    sieve.add(0, Noise().draw(0, 0, 5))  # unfiltered
    tallies = sieve.tallies(2)
    assert list(tallies) == ["drawn", "kept", "a", "b"]
    assert tallies["drawn"][0] == 0
    assert tallies["drawn"][1] == sum(tallies[name][1] for name in ("kept", "a", "b"))
    assert len(sieve.kept[1]) == len(sieve.rejected[1]) == len(sieve.reasons[1]) == EXAMPLES
    shares = filtering_shares({"drawn": [0, 200], "kept": [0, 50], "a": [0, 150]}, ("x", "y"))
    assert shares["y"] == {"acceptance": 0.25, "rejected": {"a": 0.75}}
    assert shares["x"] == {"acceptance": None, "rejected": {"a": None}}
    assert filtering_shares({}, ("x", "y")) == {}


def test_filters_that_asked_classifiers_are_known_by_what_they_say() -> None:
    assert not classifier_chose(filtered(Noise()).as_dict())
    assert classifier_chose({"filters": {"agreement": {"classifiers": ["0"]}}})
    for forged in (None, 3, {"filters": None}, {"filters": {"a": 3}}):
        assert not classifier_chose(forged)


def model(arch: str, generator: Generator | None = None, classes: Sequence[str] = ("x", "y")) -> Model:
    card = ModelCard(arch, {}, (1, 8, 8), tuple(classes), {}, "f", 0, 1, "fp32", "r1")
    return Model(generator or Generator(), card, np.arange(3))


def test_what_a_filter_cannot_judge_is_refused() -> None:
    check_filters(model("cdcgan"), ("agreement", "discriminator", "duplicates"))
    with pytest.raises(UsageError, match="r1 has no discriminator"):
        check_filters(model("pca"), ("discriminator",))
    with pytest.raises(UsageError, match="one class only"):
        check_filters(model("dcgan", classes=("x",)), ("agreement",))


def test_rebuilt_training_images_are_not_filtered() -> None:
    class Rebuilt(Generator):
        available = (1, 2)

    with pytest.raises(UsageError, match="rebuilds training images"):
        check_filters(model("pca", Rebuilt()), ("duplicates",))
    check_filters(model("pca", Rebuilt()), ())
