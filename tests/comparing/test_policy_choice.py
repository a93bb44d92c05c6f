"""Traditional transforms chosen by cross-validation: what the choice sees, and what it may not see."""

import dataclasses
import json

import numpy as np
import pytest

from gangda import comparing
from gangda.classifying.fit import fit_classifier
from gangda.comparing import cells
from gangda.comparing.policy_choice import (
    choose_policy,
    folds_of,
    policy_candidates,
    policy_cost,
    policy_fits,
    search_config,
)
from gangda.config import resolve
from gangda.config.architectures import PcaSpec
from gangda.config.policies import POLICIES
from gangda.config.schema import (
    Budget,
    ClassifierConfig,
    CompareConfig,
    ComparisonConfig,
    DataConfig,
    Runtime,
    TransformConfig,
)
from gangda.data.images import LabelledImages, real_images
from gangda.data.loading import load_splits
from gangda.errors import OutcomeError, UsageError
from gangda.runtime.plain import to_plain

DRAWS_FIGURES = True
ALL = ("real", "traditional", "generated+traditional", "pseudo-labelled+traditional")


def experiment(arms=("real", "traditional"), policy="auto", **data):
    return ComparisonConfig(
        data=DataConfig(**{"per_class": 6, **data}),
        arch="pca",
        spec=PcaSpec(components=4),
        budget=Budget(steps=1),
        transforms=TransformConfig(policy=policy),
        classifier=ClassifierConfig(classifier="logistic", classifier_steps=4),
        compare=CompareConfig(arms=arms, seeds=1),
        runtime=Runtime(device="cpu", precision="fp32", threads=1),
    )


def sides(per_class):
    """A bright half: the left one is class 0, the right one class 1; a flip turns one into the other."""
    rng, labels = np.random.default_rng(3), np.repeat([0, 1], per_class)
    pixels = rng.integers(0, 160, (2 * per_class, 8, 8, 1), dtype=np.uint8)
    pixels[labels == 0, :, :4] += 60
    pixels[labels == 1, :, 4:] += 60
    return real_images(pixels, labels, ["left", "right"])


class Guess:
    """A classifier that is right on a share of the images, which is given by the policy."""

    def __init__(self, images, share):
        self.answers, self.share = (
            {row.tobytes(): label for row, label in zip(images.pixels, images.labels, strict=True)},
            share,
        )

    def predict(self, pixels):
        right = np.arange(len(pixels)) < self.share * len(pixels)
        labels = np.array([self.answers[row.tobytes()] for row in pixels])
        return np.where(right, labels, 1 - labels)


def test_folds_are_dealt_class_by_class():
    images = sides(10)
    fold = folds_of(images, 5)
    for label in (0, 1):
        assert sorted(np.bincount(fold[images.labels == label], minlength=3).tolist()) == [3, 3, 4]
    assert np.array_equal(fold, folds_of(images, 5))
    assert not np.array_equal(fold, folds_of(images, 6))


def test_a_class_of_one_image_is_always_trained_on():
    images = sides(4).take(np.array([0, 4, 5]))
    fold, trained = folds_of(images, 0), []
    assert fold.tolist() in ([-1, 0, 1], [-1, 1, 0])

    def fit(train, transforms):
        trained.append(train.counts().tolist())
        return Guess(images, 1.0)

    choose_policy(images, TransformConfig(), fit, "balanced", 0)
    assert trained == [[1, 1]] * (16 + 4)


def test_the_best_quarter_on_the_first_fold_goes_on_and_the_best_of_all_folds_wins():
    images, fitted = sides(15), []

    def fit(train, transforms):
        fitted.append((transforms, len(train)))
        late = len([1 for one, _ in fitted if one == transforms]) > 1
        share = {"weak": 0.9, "none": 1.0 if not late else 0.2}.get(transforms.policy, 0.5)
        return Guess(images, share if not transforms.mixup else 0.1)

    found = choose_policy(images, TransformConfig(), fit, "accuracy", 0)
    assert (found.policy, found.mixup) == ("weak", 0.0)
    assert len(fitted) == policy_fits() == 16 + 2 * 4
    assert all(count == 20 for _, count in fitted)
    by_name = {(trial.policy, trial.mixup): trial for trial in found.trials}
    assert by_name["weak", 0.0].images == by_name["none", 0.0].images == 30
    assert by_name["weak", 0.2].images == 10
    assert by_name["weak", 0.0].score == pytest.approx(0.9)
    assert by_name["none", 0.0].score == pytest.approx((10 + 2 + 2) / 30)


def test_a_policy_that_diverges_is_out_and_says_why():
    images = sides(6)

    def fit(train, transforms):
        if transforms.policy != "strong":
            raise OutcomeError("the loss is NaN")
        return Guess(images, 0.5)

    found = choose_policy(images, TransformConfig(), fit, "accuracy", 0)
    assert found.policy == "strong"
    assert {trial.reason for trial in found.trials if trial.policy == "weak"} == {"the loss is NaN"}

    def never(train, transforms):
        raise OutcomeError("the loss is NaN")

    with pytest.raises(OutcomeError, match="failed with every policy: the loss is NaN"):
        choose_policy(images, TransformConfig(), never, "accuracy", 0)


def test_classifiers_of_the_search_have_half_of_the_steps():
    assert search_config(ClassifierConfig(classifier_steps=501)).classifier_steps == 250
    assert search_config(ClassifierConfig(classifier_steps=1)).classifier_steps == 1
    assert policy_cost() == policy_fits() / 2 == 12


def test_where_a_flip_changes_the_class_none_is_chosen(context):
    config = ClassifierConfig(classifier="logistic", classifier_steps=30, classifier_batch=16)

    def fit(train, transforms):
        return fit_classifier(train, config, seed=0, context=context, transforms=transforms)

    found = choose_policy(sides(30), TransformConfig(), fit, "accuracy", 0)
    scores = {trial.policy: trial.score for trial in found.trials if not trial.mixup}
    assert "flips" not in found.policy
    assert scores["flips"] + 0.1 < scores["none"], "nearly a coin's throw: every class is both"


def test_the_users_own_ranges_are_a_candidate():
    own = TransformConfig(rotation=40.0, mixup=0.4)
    candidates = policy_candidates(own)
    assert len(candidates) == 2 * (len(POLICIES) + 1)
    assert own in candidates
    assert {one.mixup for one in candidates} == {0.0, 0.4}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("policy") / "exp"
    config = experiment(ALL, unlabelled="40")
    result = comparing.compare(config, out, jobs=1)
    return result, json.loads((out / "comparison.json").read_text()), (out / "report.html").read_text()


def test_the_choice_is_recorded_said_and_used_by_every_arm_that_says_traditional(finished, tmp_path):
    result, written, page = finished
    [cell] = written["cells"]
    chosen = cell["analyses"]["policy"]
    assert len(chosen["trials"]) == 16
    [said] = result.comparison.analyses["policy"].sentences
    assert chosen["policy"] in said
    assert "without generated ones" in said
    assert said.endswith("which favours the control.")
    assert 'id="policy"' in page
    assert sum(row["chosen"] for row in written["analyses"]["policy"]["rows"]) == 1
    named = experiment(ALL, chosen["policy"], unlabelled="40")
    transforms = dataclasses.replace(named.transforms, mixup=chosen["mixup"])
    comparing.compare(dataclasses.replace(named, transforms=transforms), tmp_path / "exp", jobs=1)
    [again] = json.loads((tmp_path / "exp/comparison.json").read_text())["cells"]
    for arm in ALL:
        assert again["arms"][arm]["classifier"] == cell["arms"][arm]["classifier"]


def test_a_stopped_search_goes_on_and_its_progress_leaves_room_for_the_arms(tmp_path, monkeypatch):
    plan = comparing.planned(experiment(), None)
    cell, told = plan.cells[0], []

    def progress(share, info):
        told.append((share, info))

    fit, fits = cells.fit_classifier, []

    def stopped(*args, **how):
        if len(fits) == 3:
            raise KeyboardInterrupt
        fits.append(how["transforms"])
        return fit(*args, **how)

    monkeypatch.setattr(cells, "fit_classifier", stopped)
    with pytest.raises(KeyboardInterrupt):
        cells.run_cell(plan, cell, tmp_path, progress)
    again = []
    monkeypatch.setattr(
        cells, "fit_classifier", lambda *args, **how: again.append(how["transforms"]) or fit(*args, **how)
    )
    told.clear()
    cells.run_cell(plan, cell, tmp_path, progress)
    assert len(again) == policy_fits() - 3
    assert again[0] not in fits
    searched = [share for share, info in told if info == "policy"]
    others = [share for share, info in told if info != "policy"]
    assert max(searched) <= cells.SEARCH_SHARE <= min(others)
    assert max(others) == pytest.approx(1.0)


def test_labels_of_test_images_change_nothing(finished, tmp_path, monkeypatch):
    def permuted(config, seed):
        splits = load_splits(config, seed)
        labels = np.random.default_rng(0).permutation(splits.test.labels)
        return dataclasses.replace(splits, test=dataclasses.replace(splits.test, labels=labels))

    monkeypatch.setattr("gangda.comparing.cells.load_splits", permuted)
    comparing.compare(experiment(ALL, unlabelled="40"), tmp_path / "exp", jobs=1)
    [cell] = json.loads((tmp_path / "exp/comparison.json").read_text())["cells"]
    assert cell["analyses"]["policy"] == finished[1]["cells"][0]["analyses"]["policy"]
    assert cell["arms"]["traditional"]["test"] != finished[1]["cells"][0]["arms"]["traditional"]["test"]


def test_the_choice_sees_real_images_of_the_subset_alone(tmp_path, monkeypatch):
    seen: list[LabelledImages] = []

    def choose(images, *rest):
        seen.append(images)
        return choose_policy(images, *rest)

    monkeypatch.setattr(cells, "choose_policy", choose)
    config = experiment(arms=("real", "traditional:auto", "generated+traditional"), policy="explicit")
    comparing.compare(config, tmp_path / "exp", jobs=1)
    [images] = seen
    splits = load_splits(config.data, 0)
    assert set(images.row_id) == {*splits.train.row_id, *splits.validation.row_id}
    assert not np.isin(images.row_id, splits.test.row_id).any()


def test_nothing_is_said_of_generated_images_where_no_arm_has_any(tmp_path):
    result = comparing.compare(experiment(), tmp_path / "exp", jobs=1)
    [said] = result.comparison.analyses["policy"].sentences
    assert "favours" not in said


def test_auto_after_the_arm_is_the_same_comparison():
    spelt = experiment(arms=("real", "traditional:auto"), policy="explicit")
    assert spelt == experiment()
    assert to_plain(spelt.compare)["arms"] == ["real", "traditional"]
    assert spelt.origins["transforms.policy"] == "--arms ARM:auto"


def test_auto_after_the_arm_does_not_go_with_a_policy_that_was_given():
    given = {("compare", "arms"): ("real", "traditional:auto"), ("transforms", "policy"): "explicit"}
    with pytest.raises(UsageError, match="--policy explicit does not go with arms that end in :auto"):
        resolve.resolve(given, {})


@pytest.mark.parametrize(
    ("arms", "policy", "data", "said"),
    [
        (("real", "generated"), "auto", {}, "none of these --arms has the traditional transforms"),
        (("real", "traditional:auto"), "weak", {}, "--policy weak does not go with arms that end in :auto"),
        (("real", "generated:auto"), "explicit", {}, "'auto' is not a ratio"),
        (
            ("real", "traditional"),
            "auto",
            {"per_class": None, "class_counts": (1,) * 10, "validation": 0.0},
            "no class has two real images, and cross-validation takes two",
        ),
    ],
)
def test_what_cannot_be_chosen_is_refused_in_one_line(tmp_path, arms, policy, data, said):
    with pytest.raises(UsageError, match=said) as caught:
        comparing.compare(experiment(arms, policy, **data), tmp_path / "exp", dry_run=True)
    assert "\n" not in str(caught.value)
