"""Ratio, filter and shares of the classes chosen on validation images, and what the set says of it."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gangda.augmenting import AugmentResult, augment, decision
from gangda.augmenting.plan import make_plan
from gangda.classifying.evaluation import evaluate_predictions
from gangda.config.schema import (
    AUTO_RATIOS,
    AugmentationConfig,
    AugmentConfig,
    ClassifierConfig,
    DataConfig,
    Runtime,
)
from gangda.data.images import GENERATED, REAL
from gangda.data.loading import load_splits
from gangda.data.sample_set import read_set
from gangda.errors import DataError, FilterError, OutcomeError, RunError, UsageError
from gangda.sampling.filters import agreement
from gangda.sampling.filters.duplicates import Duplicates

DATA = DataConfig(per_class=20, validation=0.25)
RUNTIME = Runtime(precision="fp32", device="cpu", threads=1)


def make(
    run: Path | None, data: DataConfig = DATA, steps: int = 5, dry_run: bool = False, **options: Any
) -> AugmentResult:
    classifier = ClassifierConfig(classifier="logistic", classifier_steps=steps)
    config = AugmentationConfig(data, AugmentConfig(**options), classifier=classifier, runtime=RUNTIME)
    return augment(config, run, dry_run=dry_run)


class Answers:
    """A classifier's stand-in that is as good as `score` says of what it was trained on, on the images asked about."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, score: Any) -> None:
        self.asked: list[tuple[Any, Any]] = []

        def evaluate(images: Any, validation: Any) -> Any:
            self.asked.append((images, validation))
            wrong = round((1 - score(images)) * len(validation))
            said = np.where(
                np.arange(len(validation)) < wrong, (validation.labels + 1) % 10, validation.labels
            )
            return evaluate_predictions(validation.labels, said, 10)

        monkeypatch.setattr(decision, "fit_classifier", lambda images, *_, **__: images)
        monkeypatch.setattr(decision, "evaluate", evaluate)


def none_passes(pixels: Any) -> Any:
    return np.full(len(pixels), "like another", dtype=object)


def made_of(images: Any) -> int:
    return int((images.origin != REAL).sum())


def test_the_best_ratio_is_chosen_told_and_used(make_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run("pca", DATA)
    answers = Answers(monkeypatch, lambda images: 0.8)
    chosen = make(run, ratio=AUTO_RATIOS, dry_run=True).as_dict()["chosen"]
    rows = load_splits(DATA, 0).validation.row_id.tolist()
    assert all(validation.row_id.tolist() == rows for _, validation in answers.asked)
    made = [made_of(images) for images, _ in answers.asked]
    assert made == [0, 40, 80, 150, 300], "0.25 x 15 and 0.5 x 15 of each class, rounded up"
    assert [row["ratio"] for row in chosen["candidates"]] == list(AUTO_RATIOS)
    assert chosen["ratio"] == 0.0, "all are equal, and the smallest is taken"

    better = Answers(monkeypatch, lambda images: 0.9 if made_of(images) == 80 else 0.8)
    result = make(run, ratio=(0.0, 0.5, 1.0))
    chosen = result.as_dict()["chosen"]
    assert (chosen["ratio"], chosen["validation_images"]) == (0.5, 50)
    assert [row["validation"] for row in chosen["candidates"]] == [0.8, 0.9, 0.8]
    assert result.plan.make.tolist() == [8] * 10
    images, judged = read_set(result.out).images, better.asked[1][0]
    assert np.array_equal(images.pixels, judged.pixels), "the very images that were judged"
    assert "ratio 0.5, no filter (90.00% accuracy, the highest of 3 candidates" in chosen["sentence"]
    again = make(run, ratio=(0.0, 0.5, 1.0))
    assert {**again.as_dict(), "reprinted": False} == result.as_dict()
    assert len(better.asked) == 3, "finished work is not judged again"


def test_where_nothing_helps_it_is_said_and_nothing_is_made(
    make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run("pca", DATA)
    Answers(monkeypatch, lambda images: 0.9 - 1e-3 * made_of(images))
    result = make(run, ratio=(0.5, 0.0), filter=("auto", "duplicates"))
    chosen = result.as_dict()["chosen"]
    assert chosen["sentence"].startswith("augmentation did not help here: on 50 validation images none")
    assert (chosen["ratio"], chosen["filter"]) == (0.0, [])
    images = read_set(result.out).images
    assert (images.origin == REAL).all()
    assert len(images) == len(load_splits(DATA, 0).train)
    assert result.index.filtering == {}


def test_a_filter_is_chosen_with_the_ratio(make_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "ClassifierConfig", lambda: ClassifierConfig(classifier_steps=5))
    monkeypatch.setattr(agreement.Agreement, "predicate", lambda *_: none_passes)
    run = make_run("pca", DATA)
    plain = read_set(make(run, ratio=0.5).out).images.pixels.tobytes()
    Answers(monkeypatch, lambda images: 0.8 if images.pixels.tobytes() == plain else 0.9)
    result = make(run, ratio=0.5, filter=("auto",))
    rows = {",".join(row["filter"]): row for row in result.as_dict()["chosen"]["candidates"]}
    assert set(rows) == {"", "agreement", "duplicates"}, "a PCA has no discriminator to ask"
    assert rows["agreement"]["validation"] is None
    assert "pass --filter agreement" in rows["agreement"]["reason"]
    assert 0 < rows["duplicates"]["filtering"]["3"]["acceptance"] <= 1
    index = read_set(result.out).index
    best = "duplicates" if rows["duplicates"]["validation"] > rows[""]["validation"] else ""
    assert ",".join(index.provenance["chosen"]["filter"]) == best


def test_of_several_ratios_0_is_the_real_images_alone_whatever_ratio_a_class_has_of_its_own(
    make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run("pca", DATA)
    answers = Answers(monkeypatch, lambda images: 0.8 if made_of(images) else 0.9)
    options = {"ratio": (0.0, 1.0), "ratio_for": ("3=2",), "filter": ("auto", "duplicates")}
    result = make(run, **options)
    assert not result.plan.make.any()
    chosen = result.as_dict()["chosen"]
    rows = [(row["ratio"], row["filter"], row["made"]) for row in chosen["candidates"]]
    assert rows == [(0, [], 0), (1, [], 165), (1, ["duplicates"], 165)]
    assert [made_of(images) for images, _ in answers.asked] == [0, 165, 165]
    assert chosen["sentence"].startswith("augmentation did not help here: on 50 validation images")
    assert not make(run, **options).plan.make.any()  # what is written already says the same

    by_recall = make(run, allocate="recall", **options).as_dict()["chosen"]
    assert [row["validation"] for row in by_recall["candidates"]] == [0.9, 0.8, 0.8]


def test_ratio_0_alone_still_makes_images_of_a_class_with_a_ratio_of_its_own(make_run: Any) -> None:
    result = make(make_run("pca", DATA), ratio=0.0, ratio_for=("3=2",))
    assert result.plan.make.tolist() == [0, 0, 0, 30, 0, 0, 0, 0, 0, 0]


def test_a_named_filter_that_passes_nothing_is_no_choice_of_ratios(
    make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreement, "ClassifierConfig", lambda: ClassifierConfig(classifier_steps=5))
    monkeypatch.setattr(agreement.Agreement, "predicate", lambda *_: none_passes)
    Answers(monkeypatch, lambda images: 0.8)
    with pytest.raises(FilterError, match="pass --filter agreement"):
        make(make_run("pca", DATA), ratio=(0.5, 1.0), filter=("agreement",))


@pytest.mark.parametrize("error", [DataError, RunError, OutcomeError])
def test_what_goes_wrong_behind_a_filter_is_not_taken_for_its_strictness(
    make_run: Any, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def build(filter_context: Any) -> Any:
        raise error("duplicates: something cannot be read")

    run = make_run("pca", DATA)
    monkeypatch.setattr(Duplicates, "build", staticmethod(build))
    Answers(monkeypatch, lambda images: 0.8)
    with pytest.raises(error, match="cannot be read"):
        make(run, ratio=0.5, filter=("auto", "duplicates"))


def test_a_filter_is_no_choice_where_a_class_has_too_few_images(
    make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = replace(DATA, per_class=None, class_counts=(20,) * 9 + (2,), validation=0.5)
    run = make_run("pca", data)
    Answers(monkeypatch, lambda images: 0.8)
    chosen = make(run, data, ratio=0.5, filter=("auto",), dry_run=True).as_dict()["chosen"]
    assert [row["filter"] for row in chosen["candidates"]] == [[], ["duplicates"]]
    with pytest.raises(UsageError, match="the smallest class has 1 training image; it takes two"):
        make(run, data, ratio=0.5, filter=("agreement",), dry_run=True)


def test_more_is_made_of_classes_that_are_recalled_worse(
    make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first ten wrong answers are of classes that stand first in the validation split."""
    run = make_run("pca", DATA)
    answers = Answers(monkeypatch, lambda images: 0.8)
    result = make(run, ratio=0.5, allocate="recall")
    [(images, validation)] = answers.asked
    assert made_of(images) == 0
    wrong = np.bincount(validation.labels[:10], minlength=10)
    assert result.plan.make.sum() == 80
    order = np.argsort(wrong, kind="stable")
    assert (np.diff(result.plan.make[order]) >= -1).all()
    assert result.plan.make[wrong.argmax()] > result.plan.make[wrong.argmin()]
    told = read_set(result.out).index.provenance["chosen"]["allocation"]
    assert told == {"right": (5 - wrong).tolist(), "validation_images": [5] * 10}
    generated = read_set(result.out).images
    made = np.bincount(generated.labels[generated.origin == GENERATED], minlength=10)
    assert made.tolist() == result.plan.make.tolist()
    again = make(run, ratio=0.5, allocate="recall")
    assert {**again.as_dict(), "reprinted": False} == result.as_dict()


def test_where_the_judge_works_is_part_of_the_set(make_run: Any) -> None:
    """Without a generator too: another number format can choose otherwise."""
    result = make(None, method="traditional", ratio=(0.0, 1.0), dry_run=True)
    judge = result.index.provenance["judge"]
    assert (judge["device"], judge["precision"], judge["threads"]) == ("cpu", "fp32", 1)
    fixed = make(None, method="traditional", ratio=1.0, dry_run=True)
    assert "judge" not in fixed.index.provenance, "nobody judges, and the set keeps the key it had"


def test_images_that_the_generator_was_trained_on_choose_nothing(make_run: Any) -> None:
    run = make_run("pca", replace(DATA, validation=0.0))
    with pytest.raises(UsageError, match="was trained on all of them"):
        make(run, ratio=(0.0, 1.0))
    half = make_run("pca", replace(DATA, validation=0.1))
    splits = load_splits(DATA, 0)
    seen = np.isin(splits.validation.row_id, load_splits(replace(DATA, validation=0.1), 0).train.row_id)
    assert 0 < seen.sum() < len(seen)
    assert (
        make(half, ratio=(0.0, 1.0), dry_run=True).as_dict()["chosen"]["validation_images"] == (~seen).sum()
    )
    with pytest.raises(UsageError, match="there are none; give --validation"):
        make(run, replace(DATA, validation=0.0), ratio=(0.0, 1.0))
    assert not Path("augmented").exists()


def test_transformed_images_can_be_chosen_too_and_the_same_seed_says_the_same(make_run: Any) -> None:
    make_run("pca", DATA)
    first, second = (
        make(None, method="traditional", ratio=(0.0, 1.0), steps=20, dry_run=True).as_dict() for _ in range(2)
    )
    assert first == second
    assert [row["made"] for row in first["chosen"]["candidates"]] == [0, 150]
    assert make_plan(
        SimpleNamespace(counts=lambda: np.array([15]), class_names=["a"]), AugmentConfig(ratio=1.0)
    ).make.tolist() == [15]


@pytest.mark.parametrize("change", [{"filter": None}, {"ratio": [1]}, {"ratio": "x"}, None])
def test_a_damaged_choice_is_no_choice(make_run: Any, monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    run = make_run("pca", DATA)
    Answers(monkeypatch, lambda images: 0.9)
    path = make(run, ratio=(0.0, 1.0)).out / "index.json"
    index = json.loads(path.read_text())
    index["provenance"]["chosen"] = change and {**index["provenance"]["chosen"], **change}
    path.write_text(json.dumps(index))
    with pytest.raises(RunError, match="what was chosen for it is damaged"):
        make(run, ratio=(0.0, 1.0))
