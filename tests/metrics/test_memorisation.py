import dataclasses

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from gangda.config.schema import ClassifierConfig, DataConfig
from gangda.data.images import generated_images, real_images
from gangda.data.loading import load_source, load_splits
from gangda.metrics.evaluate import prepare_inputs
from gangda.metrics.extractors import random_convolutions
from gangda.metrics.inputs import MetricInputs, Side
from gangda.metrics.memorisation import closest_pairs, memorisation
from gangda.metrics.neighbours import spectrum

DATA = load_source(DataConfig()).train
TRAIN, HELDOUT, FRESH = slice(0, 600), slice(600, 1000), slice(1000, 1400)


def inputs_with(context, copies):
    """400 fresh real digits as samples, the first `copies` of them replaced by training images."""
    kind = random_convolutions((1, 8, 8), context)
    fake = DATA.pixels[FRESH].copy()
    fake[:copies] = DATA.pixels[TRAIN][:copies]
    embed = {"randconv": kind.embed, "spectrum": spectrum}

    def side(pixels, labels, build):
        return Side(build(pixels, labels, DATA.class_names), lambda name: embed[name](pixels))

    samples = side(fake, DATA.labels[FRESH], generated_images)
    reference = side(DATA.pixels[HELDOUT], DATA.labels[HELDOUT], real_images)
    train = side(DATA.pixels[TRAIN], DATA.labels[TRAIN], real_images)
    return MetricInputs(
        samples,
        reference,
        train,
        train,
        samples,
        reference,
        train,
        {"randconv": lambda: kind},
        "",
        None,
        seed=0,
    )


@pytest.fixture(scope="module")
def by_copies(context):
    return {
        copies: {result.name: result for result in memorisation(inputs_with(context, copies))}
        for copies in (0, 20, 120)
    }


def test_every_number_moves_with_the_share_of_copies(by_copies):
    for name, sign in [
        ("memorisation_auth_randconv", -1),
        ("memorisation_ratio_pixels", -1),
        ("memorisation_near_pixels", 1),
        ("memorisation_ratio_randconv", -1),
        ("memorisation_near_randconv", 1),
    ]:
        values = np.array([results[name].value for results in by_copies.values()])
        assert (sign * np.diff(values) > 0).all(), (name, values)


@pytest.mark.parametrize("kind", ["pixels", "randconv"])
def test_alarm_rings_at_5_percent_and_not_for_fresh_images(by_copies, kind):
    notes = {copies: results[f"memorisation_near_{kind}"].note for copies, results in by_copies.items()}
    assert notes[0] == ""
    assert notes[20].startswith("ALARM")
    assert notes[120].startswith("ALARM")


def test_fresh_images_are_as_far_as_heldout_ones(by_copies):
    for kind in ("pixels", "randconv"):
        assert by_copies[0][f"memorisation_ratio_{kind}"].value == pytest.approx(1, abs=0.1)
    fresh = by_copies[0]["memorisation_auth_randconv"]
    assert fresh.interval[0] - 0.1 < fresh.floor < fresh.interval[1] + 0.1


def test_authenticity_agrees_with_brute_force(context):
    inputs = inputs_with(context, 30)
    fake, train = (side.features("randconv").astype(np.float64) for side in (inputs.fake, inputs.train))
    to_train, own = cdist(fake, train), cdist(train, train)
    np.fill_diagonal(own, np.inf)
    expected = (to_train.min(1) > own[to_train.argmin(1)].min(1)).mean()
    assert memorisation(inputs)[0].value == pytest.approx(expected)


def test_closest_pairs_are_the_copies(context):
    pairs = closest_pairs(inputs_with(context, 8), 8)
    assert sorted(pairs.samples) == list(range(8))
    assert np.array_equal(pairs.samples, pairs.train)
    assert pairs.distances.max() == 0


def test_unlabelled_images_that_the_generator_learnt_from_count(context):
    data = DataConfig(per_class=20, unlabelled="300")
    splits = load_splits(data, 0)
    pixels = splits.unlabelled.pixels
    copies = generated_images(pixels, np.arange(len(pixels)) % 10, splits.train.class_names)

    def near(splits):
        inputs = prepare_inputs(
            copies, splits, seed=0, context=context, classifier=ClassifierConfig(classifier_steps=1)
        )
        return {result.name: result for result in memorisation(inputs)}["memorisation_near_pixels"]

    seen = near(splits)
    assert seen.value == 1.0
    assert seen.note.startswith("ALARM")
    assert near(dataclasses.replace(splits, unlabelled=None)).value < 0.1
