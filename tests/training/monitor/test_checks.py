"""Planted failures are told apart, and healthy samples raise nothing: on the digits, with a real classifier."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, pdist

from gangda.config.schema import DataConfig
from gangda.data.loading import load_splits
from gangda.metrics.scorer import ClassifierTrainer
from gangda.training.monitor import reference as monitor_reference
from gangda.training.monitor.alarms import COLLAPSE, LABELS, NOISE, find_alarms
from gangda.training.monitor.checks import check_samples, measure
from gangda.training.monitor.reference import make_reference
from gangda.zoo.base import Generator


def alarms_of(check, names, **options):
    return find_alarms(check, names, "advice", **options)


@pytest.fixture(scope="module")
def splits():
    return load_splits(DataConfig(source="digits"), 0)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("monitor")


def prepared(splits, context, cache, conditional):
    return make_reference(
        splits.train, splits.validation, conditional=conditional, seed=0, context=context, cache=cache
    )


@pytest.fixture(scope="module")
def reference(splits, context, cache):
    return prepared(splits, context, cache, True)


@pytest.fixture(scope="module")
def unlabelled(splits, context, cache):
    return prepared(splits, context, cache, False)


@pytest.fixture(scope="module")
def real(splits):
    """Fifty training images of each class that the reference does not hold, in class order."""
    rows = np.concatenate([np.flatnonzero(splits.train.labels == label)[-50:] for label in range(10)])
    return splits.train.pixels[rows], splits.train.labels[rows]


def repeat(real, count, classes=range(10)):
    """`count` images, repeated, in each of these classes, the others as they are."""
    pixels, labels = real
    pixels = pixels.copy()
    for label in classes:
        mine = np.flatnonzero(labels == label)
        pixels[mine] = pixels[mine[np.arange(50) % count]]
    return pixels, labels


def relabel(real, new):
    pixels, labels = real
    return pixels, np.asarray(new)[labels]


def shuffle(real):
    return real[0], np.random.default_rng(0).permutation(real[1])


def noise(real):
    return np.random.default_rng(0).integers(0, 256, real[0].shape).astype(np.uint8), real[1]


def grey_noise(real):
    return np.random.default_rng(0).normal(128, 30, real[0].shape).clip(0, 255).astype(np.uint8), real[1]


SWAPPED = [0, 1, 2, 7, 4, 5, 6, 3, 8, 9]
PLANTED = {
    "one image per class": (lambda real: repeat(real, 1), COLLAPSE, "(0, 1, 2, 3, 4, 5, 6, 7 and 2 more)"),
    "two images per class": (lambda real: repeat(real, 2), COLLAPSE, "(0, 1, 2, 3, 4, 5, 6, 7 and 2 more)"),
    "five images in one class": (lambda real: repeat(real, 5, [3]), COLLAPSE, "mode collapse (3)"),
    "all labels moved on": (lambda real: relabel(real, np.roll(range(10), 1)), LABELS, "and 5 more"),
    "two labels swapped": (lambda real: relabel(real, SWAPPED), LABELS, "(3 looks like 7, 7 looks like 3)"),
    "shuffled labels": (shuffle, LABELS, "a classifier finds the intended class in"),
    "noise": (noise, NOISE, "unlike any real image"),
    "grey noise": (grey_noise, NOISE, "unlike any real image"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_failures_are_told_apart(name, real, reference):
    plant, kind, words = PLANTED[name]
    alarms = alarms_of(measure(*plant(real), reference), reference.images.class_names)
    assert [alarm.kind for alarm in alarms] == [kind]
    assert words in alarms[0].text
    assert "\n" not in alarms[0].text


def test_real_images_raise_nothing(real, splits, reference):
    held = splits.validation
    for pixels, labels in (real, (held.pixels, held.labels)):
        check = measure(pixels, labels, reference)
        assert alarms_of(check, reference.images.class_names) == []
        assert check.distance < 0.03
        assert check.gan_test > 0.9
        assert check.gan_test_real > 0.9


def test_blurred_samples_are_worse_but_no_noise(real, reference):
    pixels = real[0].astype(np.float32)
    blurred = np.mean([np.roll(pixels, shift, axis) for axis in (1, 2) for shift in (-1, 0, 1)], axis=0)
    check = measure(blurred.astype(np.uint8), real[1], reference)
    assert NOISE not in {alarm.kind for alarm in alarms_of(check, reference.images.class_names)}
    assert check.distance > measure(*real, reference).distance + 0.05


def test_without_labels_missing_classes_and_copies_are_found(real, splits, unlabelled):
    names, zeros = unlabelled.images.class_names, np.zeros(500, dtype=np.int64)
    assert alarms_of(measure(real[0], zeros, unlabelled), names) == []
    rows = np.flatnonzero(splits.train.labels != 8)[:500]
    (missing,) = alarms_of(measure(splits.train.pixels[rows], zeros, unlabelled), names)
    assert "classes missing (8)" in missing.text
    copies = real[0][np.arange(500) % 50 * 10]
    assert "mode collapse (all images)" in alarms_of(measure(copies, zeros, unlabelled), names)[0].text


def thinned(images, label, count):
    """The same set with so many images of one class."""
    rows = np.flatnonzero(images.labels == label)[count:]
    return images.take(np.setdiff1d(np.arange(len(images)), rows))


@pytest.fixture
def borrowed(monkeypatch, unlabelled):
    """No classifier is trained: the one of the whole set answers."""
    monkeypatch.setattr(ClassifierTrainer, "fit_cached", lambda *_: unlabelled.classifier)


def drawn(images, count=500):
    """What a perfect unconditional generator makes: training images, whatever their class."""
    rows = np.random.default_rng(0).choice(len(images), count)
    return images.pixels[rows], np.zeros(count, dtype=np.int64)


@pytest.mark.usefixtures("borrowed")
@pytest.mark.parametrize("count", [3, 60])
def test_a_rare_class_is_expected_as_often_as_it_is(count, splits, context):
    train, validation = thinned(splits.train, 9, count), thinned(splits.validation, 9, count // 3)
    reference = make_reference(train, validation, conditional=False, seed=0, context=context, cache=None)
    shares = reference.images.counts() / len(reference.images)
    assert shares == pytest.approx(train.counts() / len(train), abs=0.002)
    check = measure(*drawn(train), reference)
    assert alarms_of(check, train.class_names) == []
    even = measure(splits.train.pixels[:500], np.zeros(500, dtype=np.int64), reference)
    assert check.distance < even.distance
    without = alarms_of(measure(*drawn(thinned(train, 9, 0)), reference), train.class_names)
    assert ["classes missing (9)" in alarm.text for alarm in without] == ([True] if count == 60 else [])


class Still(Generator):
    """One image for each class, whatever the noise; two generators when asked."""

    conditional = True

    def __init__(self, images, num_generators=1):
        super().__init__()
        self.latent_dim, self.num_classes, self.image_shape = 2, images.num_classes, images.image_shape
        self.num_generators = num_generators
        first = [int(np.flatnonzero(images.labels == label)[0]) for label in range(images.num_classes)]
        self.images = torch.tensor(images.pixels[first]).permute(0, 3, 1, 2) / 127.5 - 1

    def forward(self, z, y):
        return self.images[y]


@pytest.mark.parametrize("generators", [1, 3])
def test_a_frozen_generator_is_caught(generators, splits, context, reference):
    check = check_samples(Still(splits.train, generators), reference, seed=0, context=context)
    assert check.samples == 500
    assert check.gan_test > 0.8  # the labels stay with their images, however the rows are dealt out
    assert alarms_of(check, splits.train.class_names)[0].kind == COLLAPSE


def test_distance_is_the_energy_distance(real, unlabelled):
    """Against SciPy's distances, on the same features (Szekely and Rizzo 2013, unbiased form)."""
    pixels = real[0][::25]
    check = measure(pixels, np.zeros(20, dtype=np.int64), unlabelled)
    ours, theirs = (
        unlabelled.extractor.embed(part).astype(float) for part in (pixels, unlabelled.images.pixels)
    )
    within = pdist(theirs).mean()
    expected = (2 * cdist(ours, theirs).mean() - pdist(ours).mean() - within) / within
    assert check.mixture == pytest.approx(expected, abs=1e-4)
    assert check.diversity[0] == pytest.approx(pdist(ours).mean() / within, abs=1e-4)


def test_steps_are_chosen_by_validation_images_alone(real, splits, context, cache, monkeypatch):
    """Against SciPy's distances, on the same features; the reference holds training images too."""
    held = splits.validation
    monkeypatch.setattr(monitor_reference, "MIN_HELD_OUT", 10)  # some 14 there, and training images up to 50
    chosen = make_reference(splits.train, held, conditional=False, seed=0, context=context, cache=cache)
    assert chosen.too_few == ""
    assert 0 < chosen.held_out.sum() == len(held) < len(chosen.images)
    pixels = real[0][::25]
    ours, theirs = (chosen.extractor.embed(part).astype(float) for part in (pixels, held.pixels))
    within = pdist(theirs).mean()
    expected = (2 * cdist(ours, theirs).mean() - pdist(ours).mean() - within) / within
    check = measure(pixels, np.zeros(20, dtype=np.int64), chosen)
    assert check.validation_distance == pytest.approx(expected, abs=1e-4)
    assert check.validation_distance != check.distance


def test_below_fifty_validation_images_a_class_none_is_chosen(reference):
    assert reference.too_few == "fewer than 50 validation images per class"
    assert not reference.held_out.all()


def test_two_images_of_a_class_are_enough_to_go_on(context):
    splits = load_splits(DataConfig(source="digits", per_class=2), 0)
    reference = prepared(splits, context, None, True)
    assert "labels are not checked" in reference.skipped
    assert "no validation images" in reference.skipped
    pixels = np.repeat(splits.train.pixels, 5, axis=0)
    check = measure(pixels, np.repeat(splits.train.labels, 5), reference)
    assert alarms_of(check, splits.train.class_names) == []
    assert check.distance == check.mixture


def test_labels_are_not_checked_during_the_conditioning_warmup(real, reference):
    names = reference.images.class_names
    shuffled = measure(*shuffle(real), reference)
    assert alarms_of(shuffled, names) != []
    assert alarms_of(shuffled, names, warming_up=True) == []
    copies = measure(*repeat(real, 1), reference)
    assert [alarm.kind for alarm in alarms_of(copies, names, warming_up=True)] == [COLLAPSE]
