"""Planted failures on real digits: each must be caught by the metric that is there for it."""

import re
from dataclasses import replace

import numpy as np
import pytest

from gangda.config.schema import ClassifierConfig, DataConfig
from gangda.data.images import generated_images
from gangda.data.loading import load_splits
from gangda.errors import DataError
from gangda.metrics import distances, inputs, manifolds, scorer
from gangda.metrics.evaluate import evaluate_metrics, prepare_inputs
from gangda.metrics.scorer import ClassifierTrainer

CLASSIFIER = ClassifierConfig(classifier_steps=300)
CHEAP = (
    "gan_test",
    "is",
    "fid",
    "kid",
    "precision_recall",
    "density_coverage",
    "diversity",
    "memorisation",
    "artefact",
)


@pytest.fixture(scope="module")
def splits():
    return load_splits(DataConfig(per_class=70), 0)


@pytest.fixture(scope="module")
def fresh(splits):
    """Real digits that are in no split, as ideal samples: 360 of them, at most 36 of each class."""
    seen = np.concatenate([splits.train.row_id, splits.validation.row_id])
    whole = load_splits(DataConfig(validation=0.0), 0).train
    rows = np.flatnonzero(~np.isin(whole.row_id, seen))
    rows = np.concatenate([rows[whole.labels[rows] == label][:36] for label in range(10)])
    return generated_images(whole.pixels[rows], whole.labels[rows], whole.class_names)


@pytest.fixture(scope="module")
def measure(splits, context, tmp_path_factory):
    """measure(samples, names) -> {metric's first two words: result}; scorer and features of real images are shared."""
    cache = tmp_path_factory.mktemp("features")

    def run(samples, names=CHEAP, **more):
        results = scored(
            samples, splits, seed=1, context=context, classifier=CLASSIFIER, names=names, cache=cache, **more
        )
        return {re.sub(r"_\d+$", "", result.name): result for result in results}

    return run


def scored(samples, splits, *, names=None, **options):
    return evaluate_metrics(prepare_inputs(samples, splits, **options), names)


def alarms(results):
    return {name for name, result in results.items() if result.note.startswith("ALARM")}


def test_fresh_real_images_raise_no_alarm_and_score_like_their_floor(fresh, measure):
    results = measure(fresh, (*CHEAP, "cas"))
    assert not alarms(results)
    assert len(results) > 20
    for result in results.values():
        assert np.isfinite(result.value)
        assert result.floor is not None
        assert result.n_real > 0 < result.n_fake
        assert result.direction in ("higher", "lower", "target")
    for name in ("diversity_ratio_randconv", "diversity_ratio_pca", "memorisation_ratio_pixels"):
        assert results[name].value == pytest.approx(1, abs=0.1)
    assert results["artefact_auc"].value == pytest.approx(0.5, abs=0.1)
    assert results["precision_randconv"].value == pytest.approx(results["precision_randconv"].floor, abs=0.1)
    assert results["cas_lenet"].value == pytest.approx(results["cas_lenet"].floor, abs=0.06)


def test_one_design_per_class_is_seen_by_labelfree_diversity(fresh, measure):
    """Each class shows three images only, slightly noisy: recognisable, so GAN-test is content."""
    rng = np.random.default_rng(0)
    pixels = fresh.pixels.copy()
    for label in range(10):
        rows = np.flatnonzero(fresh.labels == label)
        pixels[rows] = pixels[rows[np.arange(len(rows)) % 3]]
    pixels = np.clip(pixels + rng.integers(-8, 9, pixels.shape), 0, 255).astype(np.uint8)
    results = measure(replace(fresh, pixels=pixels))
    assert results["gan_test_lenet"].value > 0.85
    for kind in ("randconv", "pca"):
        assert results[f"diversity_ratio_{kind}"].value < 0.85
        assert results[f"diversity_ratio_{kind}"].note.startswith("ALARM")
        assert results[f"vendi_{kind}"].value < 0.6
    assert results["coverage_randconv"].note.startswith("ALARM")


def test_shuffled_labels_are_seen_by_gan_test_and_cas(fresh, measure):
    shuffled = replace(fresh, labels=np.random.default_rng(0).permutation(fresh.labels))
    results = measure(shuffled, ("gan_test", "cas"))
    assert results["gan_test_lenet"].value < 0.25
    assert "gan_test_lenet" in alarms(results)
    assert results["cas_lenet"].value < results["cas_lenet"].floor - 0.2


def test_noise_is_seen_by_nearly_everything(fresh, measure):
    noise = np.random.default_rng(0).integers(0, 256, fresh.pixels.shape, dtype=np.uint8)
    results = measure(replace(fresh, pixels=noise))
    assert {"gan_test_lenet", "coverage_lenet", "coverage_randconv"} <= alarms(results)
    assert results["fid_randconv"].value > 10 * results["fid_randconv"].floor
    assert results["kid_lenet"].value > 10 * abs(results["kid_lenet"].floor)
    assert results["precision_randconv"].value < 0.05
    assert results["artefact_auc"].value > 0.99


def test_copies_of_training_images_are_seen_by_memorisation(fresh, splits, measure):
    pixels = fresh.pixels.copy()
    pixels[:100] = splits.train.pixels[:100]
    results = measure(replace(fresh, pixels=pixels), ("memorisation",))
    assert {"memorisation_near_pixels", "memorisation_near_randconv"} <= alarms(results)


def test_good_gan_test_with_low_cas_is_an_alarm(fresh, measure):
    """One image of each class, over and over: all recognised, and useless to learn from."""
    first = np.array([np.flatnonzero(fresh.labels == label)[0] for label in range(10)])
    results = measure(replace(fresh, pixels=fresh.pixels[first][fresh.labels]), ("gan_test", "cas"))
    assert results["cas_lenet"].note.startswith("ALARM")


def test_sorted_samples_make_gan_test_circular(fresh, measure):
    assert measure(fresh, ("gan_test",), circular=True)["gan_test_lenet"].note.startswith("circular")


def test_features_are_read_from_the_cache_until_content_changes(
    fresh, splits, context, tmp_path, monkeypatch
):
    trained = []
    fit = scorer.fit_classifier
    monkeypatch.setattr(
        scorer, "fit_classifier", lambda *args, **more: trained.append(1) or fit(*args, **more)
    )

    def run(samples, seed=0):
        return scored(
            samples,
            splits,
            seed=seed,
            context=context,
            classifier=ClassifierConfig(classifier_steps=5),
            names=("gan_test", "cas"),
            cache=tmp_path,
        )

    first = run(fresh)
    assert len(trained) == 3  # scorer, samples, ceiling
    assert run(fresh) == first
    assert len(trained) == 3
    run(fresh.take(np.arange(359)))
    assert len(trained) > 3
    before = len(trained)
    run(fresh, seed=1)
    assert len(trained) == before + 3


def test_validation_is_the_reference_while_developing(fresh, splits, context):
    (result,) = scored(
        fresh,
        splits,
        seed=0,
        context=context,
        classifier=ClassifierConfig(classifier_steps=5),
        names=("gan_test",),
        reference="validation",
    )
    assert result.n_real == len(splits.validation)


def test_unlabelled_images_are_scored_without_a_scorer(fresh, splits, context):
    def one_class(images):
        return replace(images, labels=np.zeros_like(images.labels), class_names=("unlabelled",))

    flat = replace(
        splits,
        train=one_class(splits.train),
        validation=one_class(splits.validation),
        test=one_class(splits.test),
        labelled=False,
    )
    results = scored(one_class(fresh), flat, seed=0, context=context, classifier=CLASSIFIER)
    names = {result.name.split("_")[0] for result in results}
    assert names.isdisjoint({"gan", "cas", "is"})
    assert {"fid", "kid", "precision", "coverage", "diversity", "memorisation", "artefact"} <= names
    assert not [result.name for result in results if "lenet" in result.name]


def test_samples_of_two_classes_and_a_handful_of_images(fresh, splits, context):
    rows = np.concatenate([np.flatnonzero(fresh.labels == label)[:3] for label in (2, 5)])
    results = scored(
        fresh.take(rows),
        splits,
        seed=0,
        context=context,
        classifier=ClassifierConfig(classifier_steps=20),
    )
    said = [result for result in results if "too small" in result.note or "too few" in result.note]
    assert len(said) > 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda images: images.take([]), "no samples"),
        (lambda images: replace(images, class_names=tuple("abcdefghij")), "samples of"),
        (lambda images: replace(images, pixels=np.zeros((360, 9, 9, 1), np.uint8)), "--image-size"),
    ],
)
def test_samples_that_do_not_fit_are_refused(fresh, splits, context, change, words):
    with pytest.raises(DataError, match=words):
        scored(change(fresh), splits, seed=0, context=context, classifier=CLASSIFIER)


def test_a_classifier_of_the_users_own_is_called_custom(context):
    assert ClassifierTrainer(ClassifierConfig(classifier="mine:net"), context).name == "custom"
    assert ClassifierTrainer(ClassifierConfig(), context).name == "lenet"


def test_what_depends_on_real_images_alone_is_computed_once(splits, fresh, context, tmp_path, monkeypatch):
    names = ("fid", "kid", "precision_recall", "density_coverage", "diversity", "memorisation", "artefact")
    config = ClassifierConfig(classifier_steps=20)

    def run(samples, cache, seed=1):
        return scored(
            samples, splits, seed=seed, context=context, classifier=config, names=names, cache=cache
        )

    run(fresh, tmp_path)
    other = replace(fresh, pixels=np.flip(fresh.pixels, 2).copy())
    plain = run(other, None)
    computed = []
    for module, function in ((distances, "frechet"), (manifolds, "shares_inside"), (inputs, "shift_search")):
        original = getattr(module, function)
        spy = lambda *a, original=original, name=function: (computed.append(name), original(*a))[1]  # noqa: E731
        monkeypatch.setattr(module, function, spy)
    kept = run(other, tmp_path)
    assert kept == plain  # values, floors, intervals and notes, to the last bit
    assert sorted(computed) == ["frechet"] * 2 + ["shares_inside"] * 2 + ["shift_search"]  # the samples' own
    run(other, tmp_path, seed=2)
    assert computed.count("shift_search") == 3  # another seed, other queries: both sides anew
