"""Where added images come from: each pool against what it says, and every arm in one small experiment."""

import dataclasses
import json

import numpy as np
import pytest

from gangda import comparing
from gangda.augmenting.selection import Candidate
from gangda.comparing.added_images import AddedImages
from gangda.comparing.arm_evaluator import ArmEvaluator, Choice
from gangda.comparing.arm_sets import passes_of, wanted, wanted_by
from gangda.comparing.controls import outside
from gangda.comparing.plan import make_plan
from gangda.config.architectures import PcaSpec
from gangda.config.arms import ARMS, DEFAULT, FitRule, parse_arm
from gangda.config.schema import (
    Budget,
    ClassifierConfig,
    CompareConfig,
    ComparisonConfig,
    DataConfig,
    Runtime,
)
from gangda.data.images import REAL
from gangda.data.loading import load_splits
from gangda.errors import UsageError
from gangda.runtime.device import prepare


def experiment(**compare) -> ComparisonConfig:
    return ComparisonConfig(
        data=DataConfig(per_class=12, unlabelled="40" if "unlabelled" in str(compare) else None),
        arch="pca",
        spec=PcaSpec(components=8),
        budget=Budget(steps=1),
        classifier=ClassifierConfig(classifier_steps=8),
        compare=CompareConfig(**{"seeds": 1, **compare}),
        runtime=Runtime(device="cpu", precision="fp32", threads=1),
    )


@pytest.fixture
def pools(tmp_path):
    config = experiment(ratios=(1.0,), arms=(*DEFAULT, "generated-unlabelled+traditional"))
    splits = load_splits(config.data, 0)
    plan = make_plan(config, splits.fingerprint, None, None)
    return AddedImages(
        plan, plan.cells[0], splits, prepare(plan.config.runtime), tmp_path, lambda share, info: None
    )


@pytest.mark.parametrize("added", sorted({arm.added for arm in ARMS.values()} - {""}))
def test_every_pool_has_enough_of_every_class_and_nothing_real(pools, added):
    pool = pools.of(added)
    assert (pool.counts() >= pools.wanted()).all()
    assert (pool.origin != REAL).all()
    assert (pool.row_id == -1).all()
    assert pools.of(added) is pool


def test_filters_are_fitted_on_the_cell_alone_and_counted(tmp_path):
    config = experiment(ratios=(1.0,), filter=("duplicates",))
    splits = load_splits(config.data, 0)
    plan = make_plan(config, splits.fingerprint, None, None)
    assert plan.fixed["compare"]["filter"] == ["duplicates"]
    assert make_plan(experiment(), splits.fingerprint, None, None).fixed["compare"]["filter"] == []
    context = prepare(plan.config.runtime)
    filtered = AddedImages(plan, plan.cells[0], splits, context, tmp_path, lambda share, info: None)
    pool = filtered.of("generator")
    made = filtered.records["pca"].samples
    assert made.labels["filters"]["duplicates"]["compared"] == len(splits.train)
    assert set(made.filtering) == set(pool.class_names)
    assert all(0 < row.acceptance <= 1 for row in made.filtering.values())


def test_copies_are_real_images_and_shuffled_ones_under_other_labels(pools):
    train = pools.splits.train
    known = {image.tobytes(): label for image, label in zip(train.pixels, train.labels, strict=True)}
    copies, shuffled = pools.of("copies"), pools.of("shuffled")
    assert all(known[x.tobytes()] == y for x, y in zip(copies.pixels, copies.labels, strict=True))
    wrong = [known[x.tobytes()] != y for x, y in zip(shuffled.pixels, shuffled.labels, strict=True)]
    assert 0.6 < np.mean(wrong) < 1.0


def test_held_back_images_are_of_no_split(pools):
    splits = pools.splits
    used = {x.tobytes() for part in (splits.train, splits.validation, splits.test) for x in part.pixels}
    fresh = [x.tobytes() not in used for x in pools.of("held back").pixels]
    assert np.mean(fresh) > 0.99  # the digits hold a few duplicates


def test_how_many_are_outside_does_not_depend_on_the_seed(tmp_path):
    """So that what is refused when the plan is made is all there is to refuse."""
    config = dataclasses.replace(experiment(ratios=(1.0,)), data=DataConfig(per_class=70))
    counts = []
    for seed in (0, 1, 2):
        whole, rows = outside(config, load_splits(config.data, seed), seed)
        counts.append(np.bincount(whole.labels[rows], minlength=10).tolist())
    assert counts[0] == counts[1] == counts[2]


def test_too_few_held_back_images_are_refused_when_it_is_planned(tmp_path):
    config = dataclasses.replace(experiment(arms=("real", "held-back")), data=DataConfig(per_class=120))
    with pytest.raises(UsageError, match="class '0' has 22 images outside the subset, 108 are needed"):
        comparing.compare(config, tmp_path / "e", dry_run=True)
    none = dataclasses.replace(config, compare=dataclasses.replace(config.compare, ratios=(0.0,)))
    assert comparing.compare(none, tmp_path / "f", dry_run=True).dry_run


def rules_of(config, work, *names):
    """The rule that each arm's classifier is really trained by, and its images."""
    splits = load_splits(config.data, 0)
    plan = make_plan(config, splits.fingerprint, None, None)
    context = prepare(plan.config.runtime)
    pools = AddedImages(plan, plan.cells[0], splits, context, work, lambda share, info: None)
    fits = ArmEvaluator(config, 0, splits, pools, context, pools.progress)
    found = []
    for name in names:
        arm, arch = parse_arm(name)
        choice = Choice(arm, arch, Candidate(1.0), fits._asked(name, Candidate(1.0)))
        images = fits._images(choice)
        found.append((fits._rule(choice, images), images))
    return found


def test_what_sets_added_images_against_real_ones_leaves_arms_without_real_ones_alone(tmp_path):
    options = {
        "generated_weight": 0.3,
        "anneal_synthetic_weight": True,
        "synthetic_passes": 2,
        "recalibrate": True,
    }
    names = ("real", "other-real", "generated-only", "generated")
    config = experiment(arms=names, **options)
    (_, real), (other, others), (alone, _), (both, _) = rules_of(config, tmp_path, *names)
    assert len(others) == len(real)
    assert other == alone == FitRule()
    assert both == FitRule(added_weight=0.3, annealed=True, synthetic_passes=2, recalibrated=True)


def test_no_real_image_left_to_recalibrate_on_is_no_crash(tmp_path):
    config = experiment(arms=("real", "generated"), replace=(1.0,), recalibrate=True)
    config = dataclasses.replace(config, classifier=ClassifierConfig(classifier="resnet", classifier_steps=1))
    comparing.compare(config, tmp_path / "e", jobs=1)
    [cell] = json.loads((tmp_path / "e/comparison.json").read_text())["cells"]
    assert cell["arms"]["generated"]["n_generated"] == cell["rows"]["train"]["count"]


def test_a_ratio_of_its_own_is_drawn_of_a_generator_that_saw_too_much(tmp_path):
    config = experiment(arms=("real", "leaky:3", "smote"))
    comparing.compare(config, tmp_path / "e", jobs=1)
    [cell] = json.loads((tmp_path / "e/comparison.json").read_text())["cells"]
    count = cell["rows"]["train"]["count"]
    added = {name: arm["n_generated"] for name, arm in cell["arms"].items()}
    assert added == {"real": 0, "leaky:3": 3 * count, "smote": count}
    assert cell["generators"]["leaky"]["samples"]["made"] == [
        3 * n for n in cell["rows"]["train"]["per_class"]
    ]


def test_smote_lies_between_neighbours_of_its_class(pools):
    pool, train = pools.of("smote"), pools.splits.train
    for label in range(3):
        of_class = train.pixels[train.labels == label].astype(int)
        made = pool.pixels[pool.labels == label].astype(int)
        assert (made >= of_class.min(0)).all()
        assert (made <= of_class.max(0)).all()


def test_spoilt_pools_are_the_generated_one_spoilt(pools):
    plain = pools.of("generator")
    ranged, sized, permuted = (pools.of(name) for name in ("wrong range", "wrong size", "permuted labels"))
    assert np.array_equal(ranged.pixels, (2 * plain.pixels.astype(int) - 255).clip(0, 255))
    assert np.array_equal(sized.pixels[:, :4, :4], plain.pixels[:, ::2, ::2])
    assert not sized.pixels[:, 4:].any()
    first = plain.pixels[plain.labels == 0]
    assert np.array_equal(permuted.pixels[permuted.labels == 1], first)


def test_every_arm_in_one_experiment(tmp_path):
    names = (*ARMS, "generated@ppca")
    uneven = DataConfig(class_counts=(20, *[12] * 9), unlabelled="40")
    config = dataclasses.replace(experiment(arms=names), data=uneven)
    result = comparing.compare(config, tmp_path / "e", jobs=1)
    [cell] = json.loads((tmp_path / "e/comparison.json").read_text())["cells"]
    assert set(cell["arms"]) == set(names)
    assert set(cell["generators"]) == {"pca", "ppca", "leaky", "pca+unlabelled"}
    train = cell["rows"]["train"]["count"]
    assert cell["arms"]["generated-only"]["n_train"] == cell["arms"]["generated-only"]["n_generated"] == train
    prints = [arm["classifier"] for arm in cell["arms"].values()]
    assert len(set(prints)) == len(prints)  # no two arms are the same training
    assert result.comparison is not None


def test_what_cannot_run_is_refused_when_it_is_planned(tmp_path):
    whole = dataclasses.replace(experiment(arms=("real", "held-back")), data=DataConfig())
    with pytest.raises(UsageError, match="give --per-class"):
        comparing.compare(whole, tmp_path / "a", dry_run=True)
    with pytest.raises(UsageError, match="none of the arms"):
        comparing.compare(experiment(contrast=("generated - smote",)), tmp_path / "b", dry_run=True)


@pytest.mark.parametrize(
    ("arch", "arm", "asked", "expected"),
    [
        ("flow", "generated", None, 10),
        ("cdcgan", "generated", None, 1),
        ("cdcgan", "generated@flow", None, 10),
        ("flow", "generated@cdcgan", None, 1),
        ("flow", "held-back", None, 1),
        ("flow", "smote", None, 1),
        ("flow", "permuted-labels", None, 10),
        ("flow", "held-back", 3, 3),
        ("flow", "generated", 3, 3),
    ],
)
def test_samples_of_flows_come_in_ten_parts_unless_something_else_is_asked_for(arch, arm, asked, expected):
    config = dataclasses.replace(experiment(arms=("real", arm), synthetic_passes=asked), arch=arch)
    parsed = parse_arm(arm)
    assert passes_of(config, *parsed) == expected
    real = load_splits(DataConfig(per_class=10), 0).train
    assert wanted_by(config, real, arm).sum() == expected * len(real)
    assert wanted(config, real, generated=parsed[0].sampled).sum() == expected * len(real)
