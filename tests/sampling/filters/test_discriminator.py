from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import scipy.stats
import torch

from gangda.config import architectures
from gangda.data.images import LabelledImages, UInt8Array, to_float
from gangda.errors import RunError, UsageError
from gangda.runtime.device import DeviceContext
from gangda.sampling.build import loss_of
from gangda.sampling.filters.base import FilterContext, FilterTarget
from gangda.sampling.filters.discriminator import DiscriminatorRejection, acceptance, shifted
from gangda.sampling.sample_statistics import SampleStatistics
from gangda.sampling.sampler import Sampler
from gangda.training.saved_model import (
    ModelCard,
    build_networks,
    load_model,
    load_network,
    save_model,
)
from gangda.zoo.draw import BLOCK, SampleBatch

GREY = np.arange(256)
REAL = (GREY + 1) / (GREY + 1).sum()  # a density that rises linearly
ODDS = np.log(REAL * 256)  # against a uniform generator


class Uniform(Sampler):
    """Draws one pixel, uniform in 0..255."""

    def attempts(
        self, label: int, block: int, statistics: SampleStatistics | None = None
    ) -> Iterator[SampleBatch]:
        for number in range(64):
            rng = np.random.default_rng([label, block + 1, number])
            pixels = rng.integers(0, 256, (BLOCK, 1, 1, 1), dtype=np.uint8)
            yield SampleBatch(pixels, np.zeros(BLOCK, dtype=np.int64))


UNIFORM = Uniform(cast(Any, None), ("x",), 0, cast(Any, None))


def perfect(pixels: UInt8Array, label: int) -> Any:
    return ODDS[pixels[:, 0, 0, 0]]


def misfit(pixels: UInt8Array) -> float:
    """p of a chi-square test against the density, in 16 equally likely parts."""
    part = np.digitize(pixels[:, 0, 0, 0], np.searchsorted(np.cumsum(REAL), np.arange(1, 16) / 16))
    inside = np.digitize(GREY, np.searchsorted(np.cumsum(REAL), np.arange(1, 16) / 16))
    expected = np.bincount(inside, weights=REAL, minlength=16)
    return float(scipy.stats.chisquare(np.bincount(part, minlength=16), expected * len(pixels)).pvalue)


def drawn(percentile: float | None, blocks: int = 30) -> UInt8Array:
    chosen = DiscriminatorRejection(perfect, UNIFORM.attempts, 0, percentile)
    sampler = replace(UNIFORM, filters={"discriminator": chosen})
    return np.concatenate([sampler.draw(0, block, BLOCK).pixels for block in range(blocks)])


def test_with_the_true_density_ratio_samples_have_the_density_of_real_images() -> None:
    assert misfit(drawn(None)) > 0.01
    unfiltered = np.concatenate([UNIFORM.draw(0, block, BLOCK).pixels for block in range(30)])
    assert misfit(unfiltered) < 1e-6


def test_the_shift_sharpens_and_keeps_the_order() -> None:
    """With gamma the chance still rises with the odds, and half of them stay at the percentile."""
    largest, gamma = DiscriminatorRejection(perfect, UNIFORM.attempts, 0).burn_in(0)
    assert largest == ODDS.max()
    chances = acceptance(ODDS, largest, gamma)
    assert (np.diff(chances) > 0).all()
    assert chances[int(0.8 * 256)] == pytest.approx(0.5, abs=0.05)
    assert drawn(80.0, 10).mean() > 128


def test_acceptance_by_hand() -> None:
    odds = np.log([1.0, 0.5, 0.25])
    assert acceptance(odds, 0.0, 0.0) == pytest.approx([1.0, 0.5, 0.25], abs=1e-6)
    assert shifted(odds[1:], 0.0, 0.0) == pytest.approx([0.0, -np.log(3)], abs=1e-6)
    assert acceptance(odds[1:], 0.0, -np.log(3)) == pytest.approx([0.75, 0.5], abs=1e-6)


def test_a_larger_score_than_in_the_burn_in_counts_within_its_block() -> None:
    def darker(label: int, block: int) -> Iterator[SampleBatch]:
        for batch in UNIFORM.attempts(label, block):
            yield replace(batch, pixels=batch.pixels // (2 if block < 0 else 1))

    chosen = DiscriminatorRejection(perfect, darker, 0, None)
    assert chosen.burn_in(0)[0] == ODDS[127]
    first, second = chosen.predicate(0, 0), chosen.predicate(0, 1)
    bright, half = np.full((128, 1, 1, 1), 255, np.uint8), np.full((128, 1, 1, 1), 127, np.uint8)
    assert (first(bright) == "").all()
    assert (first(half) == "").mean() == pytest.approx(0.5, abs=0.15)
    assert (second(half) == "").all()
    assert len(first(bright[:0])) == 0


def test_a_class_without_samples_is_told() -> None:
    def empty(label: int, block: int) -> Iterator[SampleBatch]:
        yield from (batch.take(slice(0)) for batch in UNIFORM.attempts(label, block))

    with pytest.raises(RunError, match="no samples of class number 3"):
        DiscriminatorRejection(perfect, empty, 0).predicate(3, 0)


@pytest.mark.parametrize("arch", ["cdcgan", "dcgan", "madgan"])
def test_the_score_is_the_log_odds_of_the_runs_own_discriminator(
    arch: str, blobs: LabelledImages, context: DeviceContext, tmp_path: Path
) -> None:
    spec = architectures.spec_class(arch)()
    torch.manual_seed(0)
    networks = build_networks(arch, spec, blobs.image_shape, blobs.num_classes)
    names = blobs.class_names
    card = ModelCard(arch, asdict(spec), blobs.image_shape, names, {}, "f" * 16, 0, 5, "fp32", "run")
    save_model(tmp_path, networks.generator, card, blobs.row_id, {"discriminator": networks.discriminator})
    model = load_model(tmp_path)
    filter_context = FilterContext(
        model, UNIFORM.attempts, cast(Any, None), seed=0, fit_seed=0, context=context
    )
    odds = DiscriminatorRejection.build(filter_context).log_odds(blobs.pixels[:16], 2)
    x, y = to_float(torch.tensor(blobs.pixels[:16]).permute(0, 3, 1, 2)), torch.full((16,), 2)
    with torch.no_grad():
        scores = networks.discriminator.eval()(x, y).adversarial.double()
    if scores.ndim == 2:
        real = scores.softmax(1)[:, -1]
        scores = torch.log(real / (1 - real))
    assert odds == pytest.approx(scores.numpy(), rel=1e-4, abs=1e-5)


def test_a_run_without_discriminator_or_with_a_damaged_one(blobs: LabelledImages, tmp_path: Path) -> None:
    spec = architectures.spec_class("cdcgan")()
    networks = build_networks("cdcgan", spec, blobs.image_shape, 4)
    names = blobs.class_names
    card = ModelCard("cdcgan", asdict(spec), blobs.image_shape, names, {}, "f", 0, 5, "fp32", "r7")
    save_model(tmp_path, networks.generator, card, blobs.row_id)
    with pytest.raises(RunError, match=f"{tmp_path}: keeps no discriminator"):
        load_network(load_model(tmp_path), "discriminator")
    save_model(tmp_path, networks.generator, card, blobs.row_id, {"discriminator": networks.discriminator})
    path = tmp_path / "model" / "discriminator.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(RunError, match="damaged model"):
        load_network(load_model(tmp_path), "discriminator")


def test_scores_that_are_no_log_odds_are_refused(blobs: LabelledImages, tmp_path: Path) -> None:
    for loss in ("nonsaturating", "minimax", ""):
        DiscriminatorRejection.check(FilterTarget("cdcgan", loss, 10, "r"))
    for loss in ("wasserstein", "hinge", "lsgan", "relativistic"):
        with pytest.raises(UsageError, match=rf"under --loss {loss} .* --loss nonsaturating or minimax"):
            DiscriminatorRejection.check(FilterTarget("cdcgan", loss, 10, "r"))
    spec = architectures.spec_class("pca")()
    card = ModelCard("pca", asdict(spec), (1, 8, 8), ("a",), {}, "f", 0, 5, "fp32", "r7")
    from gangda.training.saved_model import Model
    from gangda.zoo.base import Generator

    model = Model(Generator(), card, np.arange(3), run=tmp_path)
    assert loss_of(model) == ""
    (tmp_path / "config.yaml").write_text("method:\n  loss: hinge\n")
    assert loss_of(model) == "hinge"
