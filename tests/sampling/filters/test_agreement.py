import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from gangda.config.schema import ClassifierConfig, DataConfig
from gangda.data.loading import load_splits
from gangda.data.splits import DataSplits
from gangda.errors import DataError
from gangda.runtime.device import DeviceContext
from gangda.sampling.filters import agreement
from gangda.sampling.filters.agreement import FOLDS, Agreement, folds_of
from gangda.sampling.filters.base import FilterContext


@pytest.fixture(scope="module")
def splits() -> DataSplits:
    return load_splits(DataConfig(per_class=60), 0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "ClassifierConfig", lambda: ClassifierConfig(classifier_steps=150))


def filter_context(splits: DataSplits, context: DeviceContext, home: Path | None = None) -> FilterContext:
    nothing = cast(Any, None)
    return FilterContext(nothing, nothing, lambda: splits, seed=0, fit_seed=3, context=context, home=home)


def test_wrong_labels_go_and_right_ones_stay(splits: DataSplits, context: DeviceContext) -> None:
    """Half of the samples, which are other real images, come under a wrong label."""
    chosen = Agreement.build(filter_context(splits, context))
    test = splits.test
    right, wrong = [], []
    for label in range(10):
        predicate = chosen.predicate(label, 0)
        own, others = test.pixels[test.labels == label], test.pixels[test.labels != label]
        said = predicate(np.concatenate([own, others[: len(own)]]))
        right += (said[: len(own)] == "").tolist()
        wrong += (said[len(own) :] == "").tolist()
        assert all(reason in ("", *(f"like {name}" for name in test.class_names)) for reason in said)
    assert np.mean(right) > 0.9
    assert np.mean(wrong) < 0.1
    about = chosen.as_dict()
    assert len(set(about["classifiers"])) == FOLDS
    assert 0.8 < about["real_kept"] <= 1
    assert len(chosen.predicate(0, 0)(test.pixels[:0])) == 0
    own = splits.validation.labels
    said = [chosen.predicate(label, 0)(splits.validation.pixels[own == label]) for label in range(10)]
    assert about["real_kept"] == pytest.approx(np.mean(np.concatenate(said) == ""))


def test_folds_are_even_in_every_class_and_no_classifier_sees_its_own(splits: DataSplits) -> None:
    labels = splits.train.labels
    folds = folds_of(labels, 0)
    for label in range(10):
        counts = np.bincount(folds[labels == label], minlength=FOLDS)
        assert counts.max() - counts.min() <= 1
    assert not np.array_equal(folds, folds_of(labels, 1))


def test_a_sample_stays_where_its_class_is_the_most_probable_of_the_mean(splits: DataSplits) -> None:
    """Three classifiers: the first class wins two votes of three, the second has the larger mean."""
    members = [SimpleNamespace(class_names=splits.train.class_names) for _ in range(3)]
    for member, p in zip(members, (0.55, 0.55, 0.05), strict=True):
        row = np.log([p, 1 - p, *[1e-9] * 8])
        member.logits = lambda pixels, row=row: np.tile(row, (len(pixels), 1))
    chosen, pixels = Agreement(cast(Any, members), None), splits.test.pixels[:2]
    assert chosen.predicate(1, 0)(pixels).tolist() == ["", ""]
    assert chosen.predicate(0, 0)(pixels).tolist() == ["like 1", "like 1"]


def test_what_is_kept_in_the_run_folder_is_the_same(
    splits: DataSplits, context: DeviceContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreement, "ClassifierConfig", lambda: ClassifierConfig(classifier_steps=5))
    first = Agreement.build(filter_context(splits, context, tmp_path))
    monkeypatch.setattr(agreement, "fit_classifier", None)  # not called any more
    again = Agreement.build(filter_context(splits, context, tmp_path))
    assert again.as_dict() == first.as_dict()
    with pytest.raises(TypeError):
        Agreement.build(filter_context(splits, context))


@pytest.mark.parametrize(
    "damage",
    [
        lambda about: about.pop("real_kept"),
        lambda about: about.update(real_kept=None),
        lambda about: about.update(real_kept="most"),
        lambda about: about.update(real_kept=float("nan")),
        lambda about: about.pop("classifiers"),
    ],
)
def test_what_is_kept_damaged_is_trained_anew(
    damage: Callable[[dict[str, Any]], Any],
    splits: DataSplits,
    context: DeviceContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agreement, "ClassifierConfig", lambda: ClassifierConfig(classifier_steps=2))
    first = Agreement.build(filter_context(splits, context, tmp_path))
    path = tmp_path / "agreement" / "agreement.json"
    whole = path.read_bytes()
    about = json.loads(whole)
    damage(about)
    path.write_text(json.dumps(about))
    assert Agreement.build(filter_context(splits, context, tmp_path)).as_dict() == first.as_dict()
    assert path.read_bytes() == whole


def test_a_class_of_one_image_is_refused(splits: DataSplits, context: DeviceContext) -> None:
    train = splits.train
    rows = np.concatenate([np.flatnonzero(train.labels != 4), np.flatnonzero(train.labels == 4)[:1]])
    with pytest.raises(DataError, match="class '4' has 1 training image"):
        Agreement.build(
            FilterContext(
                cast(Any, None),
                cast(Any, None),
                lambda: dataclasses.replace(splits, train=train.take(rows)),
                seed=0,
                fit_seed=0,
                context=context,
            )
        )
