from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pytest

from gangda.config.schema import SamplerOptions
from gangda.data.images import UInt8Array
from gangda.errors import RunError, UsageError
from gangda.sampling.build import check_request
from gangda.sampling.filters import in_order, is_circular
from gangda.sampling.filters.base import Filter, Predicate, Reasons
from gangda.sampling.sample_statistics import EXAMPLES, SampleStatistics, filter_shares, table
from gangda.sampling.sampler import Sampler
from gangda.training.saved_model import Model, ModelCard
from gangda.zoo.base import Generator
from gangda.zoo.draw import BLOCK, SampleBatch


@dataclass(frozen=True, eq=False)
class Noise(Sampler):
    """Draws one pixel, uniform in 0..255; each attempt gives `size` of them."""

    size: int = BLOCK

    def attempts(
        self, label: int, block: int, statistics: SampleStatistics | None = None
    ) -> Iterator[SampleBatch]:
        for number in range(8):
            rng = np.random.default_rng([label, block, number])
            pixels = rng.integers(0, 256, (self.size, 1, 1, 1), dtype=np.uint8)
            if statistics is not None:
                statistics.labels[label].update(drawn=self.size)
            yield SampleBatch(pixels, np.arange(self.size) % 2)


@dataclass
class Between:
    """Rejects what is not in [low, high)."""

    low: int
    high: int
    reason: str

    def predicate(self, label: int, block: int) -> Predicate:
        def reasons(pixels: UInt8Array) -> Reasons:
            x = pixels[:, 0, 0, 0].astype(int)
            return np.where((x >= self.low) & (x < self.high), "", self.reason).astype(object)

        return reasons

    def as_dict(self) -> dict[str, Any]:
        return {"low": self.low}


BRIGHT, DARK = Between(128, 256, "dark"), Between(0, 192, "bright")


def filtered(size: int = BLOCK, **filters: Any) -> Sampler:
    chosen = cast(dict[str, Filter], filters or {"a": BRIGHT, "b": DARK})
    return Noise(Generator(), ("x", "y"), 0, cast(Any, None), filters=chosen, size=size)


def test_blocks_are_filled_with_what_all_filters_keep_and_all_is_counted() -> None:
    statistics = SampleStatistics()
    batch = filtered().draw(1, 0, BLOCK, statistics)
    x = batch.pixels[:, 0, 0, 0]
    assert len(batch) == len(batch.generator) == BLOCK
    assert ((x >= 128) & (x < 192)).all()
    counts = statistics.filters[1]
    assert counts["drawn"] == counts["kept"] + counts["a"] + counts["b"]
    assert counts["drawn"] % BLOCK == 0
    assert counts["kept"] / counts["drawn"] == pytest.approx(0.25, abs=0.05)
    assert counts["a"] / counts["drawn"] == pytest.approx(0.5, abs=0.06)
    assert statistics.labels[1] == {"drawn": counts["drawn"]}, "labels are counted as without filters"
    assert len(statistics.rejected[1]) == len(statistics.reasons[1]) == EXAMPLES
    for image, reason in zip(statistics.rejected[1][:, 0, 0, 0], statistics.reasons[1], strict=True):
        assert reason == ("dark" if image < 128 else "bright")


def test_an_image_depends_on_its_block_alone() -> None:
    sampler = filtered()
    whole, part = sampler.draw(0, 3, BLOCK), sampler.draw(0, 3, 7)
    assert np.array_equal(part.pixels, whole.pixels[:7])
    assert not np.array_equal(part.pixels, sampler.draw(0, 4, 7).pixels)


def test_the_order_of_filters_changes_blame_alone() -> None:
    one, other = filtered(a=BRIGHT, b=DARK), filtered(b=DARK, a=BRIGHT)
    assert np.array_equal(one.draw(0, 0, 50).pixels, other.draw(0, 0, 50).pixels)
    assert in_order(["duplicates", "agreement", "duplicates"]) == ("agreement", "duplicates")


def test_too_few_are_told_with_class_share_and_filters() -> None:
    narrow = filtered(agreement=Between(0, 1, "no"), duplicates=DARK)
    with pytest.raises(
        RunError,
        match=r"the run: only \d+ of 1,024 samples \(0\.\d+%\) of class 'y' pass --filter agreement,duplicates "
        r"\(rejected by agreement [\d,]+, duplicates 0\)",
    ):
        narrow.draw(1, 0, BLOCK)
    with pytest.raises(RunError, match="only 0 of 0 samples"):
        filtered(size=0).draw(1, 0, 1)


def test_what_filters_did_to_a_set() -> None:
    statistics, sampler = SampleStatistics(), filtered()
    assert table(statistics.filters, 2) == {}
    for block in range(2):
        sampler.draw(1, block, BLOCK, statistics)
    counts = table(statistics.filters, 2)
    assert list(counts) == ["drawn", "kept", "a", "b"]
    assert counts["drawn"][0] == 0
    assert counts["drawn"][1] == sum(counts[name][1] for name in ("kept", "a", "b"))
    assert np.array_equal(statistics.kept[1], sampler.draw(1, 0, EXAMPLES).pixels)
    assert len(statistics.rejected[1]) == len(statistics.reasons[1]) == EXAMPLES
    shares = filter_shares({"drawn": [0, 200], "kept": [0, 50], "a": [0, 150]}, ("x", "y"))
    assert shares["y"] == {"acceptance": 0.25, "rejected": {"a": 0.75}}
    assert shares["x"] == {"acceptance": None, "rejected": {"a": None}}
    assert filter_shares({}, ("x", "y")) == {}


def test_filters_that_asked_classifiers_are_known_by_what_they_say() -> None:
    assert not is_circular(filtered().as_dict())
    assert is_circular({"filters": {"agreement": {"classifiers": ["0"]}}})
    assert is_circular({"made": "by lenet", "classifier": "0"}), "pseudo-labels"
    for forged in (None, 3, {"filters": None}, {"filters": {"a": 3}}):
        assert not is_circular(forged)


def model(arch: str, generator: Generator | None = None, classes: Sequence[str] = ("x", "y")) -> Model:
    card = ModelCard(arch, {}, (1, 8, 8), tuple(classes), {}, "f", 0, 1, "fp32", "r1")
    return Model(generator or Generator(), card, np.arange(3))


def check(model: Model, names: Sequence[str]) -> None:
    check_request(model, SamplerOptions(), names)


def test_what_a_filter_cannot_be_used_on_is_refused() -> None:
    check(model("cdcgan"), ("agreement", "discriminator", "duplicates"))
    with pytest.raises(UsageError, match="r1 has no discriminator"):
        check(model("pca"), ("discriminator",))
    with pytest.raises(UsageError, match="one class only"):
        check(model("dcgan", classes=("x",)), ("agreement",))


def test_rebuilt_training_images_are_not_filtered() -> None:
    class Rebuilt(Generator):
        available = (1, 2)

    with pytest.raises(UsageError, match="rebuilds training images"):
        check(model("pca", Rebuilt()), ("duplicates",))
    check(model("pca", Rebuilt()), ())
