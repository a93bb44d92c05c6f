"""Arms that need images without labels: what each trains on, that the labels they had do not matter, and refusals."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from gangda import comparing
from gangda.augmenting.selection import REAL_ONLY, Candidate
from gangda.classifying import fit_rules
from gangda.comparing.added_images import AddedImages
from gangda.comparing.arm_evaluator import ArmEvaluator, Choice
from gangda.comparing.arm_sets import wanted
from gangda.comparing.cell_result import UNLABELLED, CellResult
from gangda.comparing.plan import make_plan
from gangda.comparing.storage import read_cells
from gangda.config.architectures import PcaSpec
from gangda.config.arms import parse_arm
from gangda.config.schema import (
    Budget,
    ClassifierConfig,
    CompareConfig,
    ComparisonConfig,
    DataConfig,
    Runtime,
)
from gangda.data import loading
from gangda.data.images import GENERATED, NO_LABEL, PSEUDO_LABELLED, REAL
from gangda.data.loading import load_source, load_splits
from gangda.data.splits import draw_splits
from gangda.errors import UsageError
from gangda.runtime.device import prepare
from gangda.sampling import pseudo_labels

SEMI = ("pseudo-labelled+traditional", "generated-unlabelled+traditional")
BOTH = "generated-unlabelled+pseudo-labelled+traditional"
DATA = DataConfig(per_class=6, unlabelled="80")


def experiment(data=DATA, **compare):
    return ComparisonConfig(
        data=data,
        arch="pca",
        spec=PcaSpec(components=4),
        budget=Budget(steps=1),
        classifier=ClassifierConfig(classifier="logistic", classifier_steps=20),
        compare=CompareConfig(**{"seeds": 1, "arms": ("traditional", *SEMI, BOTH), **compare}),
        runtime=Runtime(device="cpu", precision="fp32", threads=1),
    )


def cell_of(config, out):
    comparing.compare(config, out, jobs=1)
    plan = comparing.planned(config, None)
    return read_cells(plan.cells, out, CellResult).results[0]


def test_a_share_of_pseudo_labelled_images_changes_nothing_about_added_ones():
    for amounts in ({"replace": (0.5,)}, {"ratios": (0.5,)}):
        compare = CompareConfig(arms=("smote", "pseudo-labelled+traditional:75%"), **amounts)
        assert compare.of_arm("pseudo-labelled+traditional:75%") is compare
        config, real = experiment(arms=compare.arms, **amounts), load_splits(DATA, 0).train
        plain = experiment(arms=("smote",), **amounts)
        assert wanted(config, real, generated=False).tolist() == wanted(plain, real, generated=False).tolist()


@pytest.fixture
def evaluator(tmp_path):
    config = experiment()
    splits = load_splits(config.data, 0)
    plan = make_plan(config, splits.fingerprint, None, None)
    context = prepare(plan.config.runtime)
    added = AddedImages(plan, plan.cells[0], splits, context, tmp_path, lambda share, info: None)
    return ArmEvaluator(plan.config, 0, splits, added, context, lambda share, info: None)


def images_of(evaluator, name, ratio=None):
    candidate = REAL_ONLY if ratio is None else Candidate(ratio)
    return evaluator._images(Choice(*parse_arm(name), candidate, evaluator._asked(name, candidate)))


def test_what_each_arm_trains_on(evaluator):
    real = len(images_of(evaluator, "traditional"))
    pseudo = images_of(evaluator, SEMI[0])
    certain = (pseudo.origin == PSEUDO_LABELLED).sum()
    assert (pseudo.origin == REAL).sum() == real
    assert 40 < certain == len(pseudo) - real
    made = images_of(evaluator, SEMI[1], 1.0)
    assert np.bincount(made.origin).tolist() == [real, 0, real]
    both = images_of(evaluator, BOTH, 1.0)
    assert np.bincount(both.origin).tolist() == [real, 0, real, certain]
    for images in (pseudo, made, both):
        assert not (images.origin == NO_LABEL).any()


def test_pseudo_labelled_images_count_as_real_ones(evaluator):
    evaluator._config = dataclasses.replace(
        evaluator._config, compare=CompareConfig(arms=(*SEMI, BOTH), generated_weight=0.3)
    )
    images = images_of(evaluator, BOTH, 1.0)
    rules = {
        name: evaluator._rule(Choice(*parse_arm(name), REAL_ONLY, None), images_of(evaluator, name, ratio))
        for name, ratio in ((SEMI[0], None), (BOTH, 1.0))
    }
    assert rules[SEMI[0]] == parse_arm(SEMI[0])[0].rule
    weights = fit_rules.weighted(images, rules[BOTH]).weight
    assert (weights == np.where(images.origin == GENERATED, np.float32(0.3), 1)).all()


def test_a_share_of_pseudo_labelled_images_changes_the_batches_and_not_the_images(evaluator):
    share, plain = f"{SEMI[0]}:25%", SEMI[0]
    evaluator._config = dataclasses.replace(evaluator._config, compare=CompareConfig(arms=(share, plain)))
    (one, two), images = [evaluator.run(name) for name in (share, plain)], images_of(evaluator, share)
    assert images.content_hash() == images_of(evaluator, plain).content_hash()
    assert one.n_train == two.n_train == len(images)
    assert one.ratio is None
    assert one.classifier != two.classifier
    rule = evaluator._rule(Choice(*parse_arm(share), REAL_ONLY, None), images)
    first = next(fit_rules.passes(images, rule, torch.Generator().manual_seed(0), None))
    kinds = np.bincount(images.origin[first.numpy()])
    assert kinds[PSEUDO_LABELLED] == pytest.approx(kinds[REAL] / 3, rel=0.25)


def test_its_generator_is_another_one_and_saw_the_unlabelled_images(evaluator):
    added = evaluator._added
    own, other = added.of("generator"), added.of("semi-supervised")
    assert (other.origin == GENERATED).all()
    assert own.content_hash() != other.content_hash()
    assert set(added.records) == {"pca", f"pca{UNLABELLED}"}
    seen = added.model(f"pca{UNLABELLED}")[0].row_ids
    unlabelled = added.splits.unlabelled.row_id
    assert np.isin(seen, added.splits.usable_rows).all()
    assert np.isin(unlabelled, seen).sum() == len(added.self_trained.certain)
    assert not np.isin(seen, added.splits.test.row_id).any()


def test_a_cell_records_the_unlabelled_rows_and_the_usual_difference(tmp_path):
    cell = cell_of(experiment(), tmp_path / "out")
    assert cell.rows["unlabelled"].count == 80
    assert set(cell.generators) == {f"pca{UNLABELLED}"}
    assert cell.arms[SEMI[0]].n_generated == cell.arms[SEMI[0]].n_train - cell.rows["train"].count
    assert all(len(shown.generated) for shown in cell.pictures.classes)
    assert set(cell.pictures.nearest) == {f"pca{UNLABELLED}"}
    assert cell.versions["numpy"] == np.__version__
    page = (tmp_path / "out" / "report.html").read_text()
    assert f"generated ones (pca{UNLABELLED}) on the right" in page
    plan = json.loads((tmp_path / "out" / "plan.json").read_text())
    assert plan["fixed"]["family"]["primary"] == [f"{SEMI[1]} - {SEMI[0]}"]
    assert plan["fixed"]["data"]["unlabelled"] == "80"


def test_an_unconditional_generator_s_samples_are_labelled(tmp_path, monkeypatch):
    few = ClassifierConfig(classifier="logistic", classifier_steps=10)
    monkeypatch.setattr(pseudo_labels, "ClassifierConfig", lambda: few)
    config = experiment(arms=("traditional", "generated-unlabelled+traditional@gan"))
    splits = load_splits(config.data, 0)
    plan = make_plan(config, splits.fingerprint, None, None)
    context = prepare(plan.config.runtime)
    added = AddedImages(plan, plan.cells[0], splits, context, tmp_path, lambda *_: None, exact=False)
    made = added.of("semi-supervised", "gan")
    assert len(made) == added.wanted().sum()
    assert np.isin(splits.unlabelled.row_id, added.model(f"gan{UNLABELLED}")[0].row_ids).all()


def test_labels_of_the_unlabelled_images_do_not_matter(tmp_path, monkeypatch):
    """The source's labels outside the subset are changed where that leaves the subset as it is; all arms stay equal."""
    source, config = load_source(DATA), experiment()
    train = source.train
    splits = load_splits(DATA, 0)
    rng, labels, changed = np.random.default_rng(0), train.labels.copy(), 0
    at = np.searchsorted(train.row_id, splits.unlabelled.row_id)
    for one, two in zip(rng.permutation(at), rng.permutation(at), strict=True):
        tried = labels.copy()
        tried[[one, two]] = tried[[two, one]]
        other = draw_splits(
            dataclasses.replace(source, train=dataclasses.replace(train, labels=tried)), DATA, 0
        )
        if np.array_equal(other.train.row_id, splits.train.row_id) and np.array_equal(
            other.validation.row_id, splits.validation.row_id
        ):
            changed += int((tried != labels).any())
            labels = tried
    assert changed > 20
    before = cell_of(config, tmp_path / "before")
    relabelled = dataclasses.replace(source, train=dataclasses.replace(train, labels=labels))
    monkeypatch.setattr(loading, "load_source", lambda config: relabelled)
    after = cell_of(config, tmp_path / "after")
    for name, arm in before.arms.items():
        assert arm.classifier == after.arms[name].classifier
        assert arm.test.accuracy == after.arms[name].test.accuracy


def test_cells_without_these_arms_keep_their_identity():
    usual = experiment(DataConfig(per_class=6), arms=("real", "traditional"))
    plan = make_plan(usual, "f", None, None)
    assert "unlabelled" not in json.dumps(plan.fixed)
    with_folder = make_plan(experiment(), "f", None, None, "abc")
    assert with_folder.fixed["unlabelled"] == "abc"
    assert with_folder.cells[0].id != make_plan(experiment(), "f", None, None).cells[0].id


@pytest.mark.parametrize(
    ("data", "arms", "words"),
    [
        (
            DataConfig(per_class=6),
            ("real", SEMI[0]),
            "--arms pseudo.*: needs images without labels; give --unl",
        ),
        (DataConfig(per_class=6), ("real", SEMI[1]), "--arms generated-unl.*: needs images without labels"),
        (DATA, ("real", "traditional"), "--unlabelled 80: none of these --arms uses unlabelled images"),
        (DATA, ("real", f"{SEMI[0]}:fill50%"), "adds no images"),
        (DATA, ("traditional", SEMI[0], f"{SEMI[0]}:50%", f"{SEMI[0]}:1"), "the same arm is there twice"),
        (DATA, ("traditional", f"{SEMI[0]}:75%"), "takes 150 pseudo-.* 50 labelled ones, and 64 of 80 unlab"),
    ],
)
def test_options_that_do_not_go_together(data, arms, words):
    with pytest.raises(UsageError, match=words):
        comparing.planned(experiment(data, arms=arms), None)
