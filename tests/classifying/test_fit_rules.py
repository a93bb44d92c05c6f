"""Rules of training: hand-worked weights, orders and targets, and what they do to a classifier."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from gangda.classifying import fit, fit_rules
from gangda.classifying.batches import ClassifierBatches
from gangda.classifying.fit import fit_classifier
from gangda.config.arms import ARMS, FitRule
from gangda.config.schema import ClassifierConfig, TransformConfig
from gangda.data.images import GENERATED, PSEUDO_LABELLED, REAL, LabelledImages
from gangda.errors import DataError
from gangda.runtime.device import DeviceContext

FEW = ClassifierConfig(classifier_steps=6, classifier_batch=8)


def images(
    labels: list[int], origin: list[int] | None = None, classes: int = 2, side: int = 8
) -> LabelledImages:
    """Noise of these labels."""
    count = len(labels)
    rng = np.random.default_rng(0)
    return LabelledImages(
        rng.integers(0, 256, (count, side, side, 1), dtype=np.uint8),
        np.array(labels, dtype=np.int64),
        tuple("abcdef"[:classes]),
        np.arange(count),
        np.array(origin or [REAL] * count, dtype=np.uint8),
    )


def stream() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def test_class_weights_make_classes_count_alike() -> None:
    weight = fit_rules.weighted(images([0, 0, 0, 1]), FitRule(loss="class-weights")).weight
    assert weight is not None
    np.testing.assert_allclose(weight, [2 / 3, 2 / 3, 2 / 3, 2])


def test_added_images_may_count_less() -> None:
    weight = fit_rules.weighted(images([0, 1], [REAL, GENERATED]), FitRule(added_weight=0.25)).weight
    assert weight is not None
    assert weight.tolist() == [1.0, 0.25]
    assert fit_rules.weighted(images([0, 1]), FitRule()).weight is None


def test_logits_are_shifted_by_the_log_of_the_shares() -> None:
    shift = fit_rules.logit_shift(images([0, 0, 0, 1]), FitRule(loss="logit-adjusted"))
    assert shift is not None
    assert shift.tolist() == pytest.approx([math.log(0.75), math.log(0.25)])
    assert fit_rules.logit_shift(images([0, 1]), FitRule()) is None


def test_margins_fall_with_the_fourth_root_of_the_size() -> None:
    """16 images and 1: sizes to the power -1/4 are 1/2 and 1, the largest margin is half a cosine, the scale 30."""
    found = fit_rules.margins(images([0] * 16 + [1]), FitRule(loss="ldam-drw"))
    assert found is not None
    assert found.tolist() == pytest.approx([7.5, 15.0])
    assert fit_rules.margins(images([0, 1]), FitRule()) is None


def test_margins_are_taken_from_the_own_class_alone() -> None:
    """Against cross-entropy of logits whose own entry is lowered by hand; a blend's by its share of each label."""
    logits, taken = torch.tensor([[1.0, 2.0], [0.5, -1.0]]), torch.tensor([0.25, 1.0])
    loss = fit._loss(logits, torch.tensor([0, 1]), None, None, taken)
    lowered = np.array([[0.75, 2.0], [0.5, -2.0]])
    by_hand = [np.log(np.exp(row).sum()) - row[own] for row, own in zip(lowered, (0, 1), strict=True)]
    assert float(loss) == pytest.approx(np.mean(by_hand))
    weighted = torch.tensor(
        [[0.6, 0.2], [0.0, 0.0]]
    )  # shares 3/4 and 1/4 of an image that counts 0.8, and nothing
    torch.testing.assert_close(fit_rules.label_shares(weighted, 2), torch.tensor([[0.75, 0.25], [0.0, 0.0]]))


def test_reweighting_by_effective_numbers_begins_after_four_fifths() -> None:
    rule = FitRule(loss="ldam-drw")
    found = fit_rules.deferred_weights(images([0, 0, 0, 1]), rule)
    assert found is not None
    three, one = 1 / (1 - 0.9999**3), 1 / (1 - 0.9999)
    expected = np.array([three, three, three, one]) * 4 / (3 * three + one)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert [fit_rules.is_reweighted(step, 10) for step in (0, 7, 8, 9)] == [False, False, True, True]


def test_late_weights_reach_the_batches(context: DeviceContext) -> None:
    train = images([0, 0, 0, 1])
    batches = ClassifierBatches(
        train, FitRule(loss="ldam-drw"), batch_size=4, steps=5, seed=0, context=context
    )
    weights = [batch.weight[batch.y == 1] for batch in batches if batch.weight is not None]
    assert [float(one) for one in weights] == pytest.approx([1, 1, 1, 1, 4 * 3 / 6], rel=1e-3)


def test_retraining_takes_the_last_tenth_and_draws_classes_equally_often() -> None:
    rule, train = FitRule(retrained=True), images([0] * 9 + [1])
    assert [fit_rules.stages(rule, steps) for steps in (20, 25, 1)] == [(18, 2), (22, 3), (0, 1)]
    assert fit_rules.stages(FitRule(), 20) == (20, 0)
    labels = [train.labels[rows].sum() for rows in fit_rules.order(train, rule, 10, 20, stream())]
    assert labels[:18] == [1] * 18, "each pass, of ten images, has the rare one once"
    assert sum(labels[18:]) > 4, "about half of twenty"


def test_annealing_holds_for_two_thirds() -> None:
    rule = FitRule(annealed=True)
    assert [fit_rules.synthetic_weight(rule, step, 12) for step in (0, 8, 10, 12)] == pytest.approx(
        [1, 1, 0.5, 0]
    )
    assert fit_rules.synthetic_weight(FitRule(), 12, 12) == 1.0


def test_every_image_comes_before_any_comes_again() -> None:
    rows = torch.cat(list(fit_rules.order(images([0] * 10), FitRule(), 4, 10, stream())))
    assert len(rows) == 40
    for start in range(0, 40, 10):
        assert sorted(rows[start : start + 10].tolist()) == list(range(10))
    assert rows[:10].tolist() != rows[10:20].tolist()


def test_balanced_passes_have_every_class_as_often_as_the_largest() -> None:
    whole = next(fit_rules.passes(images([0, 0, 0, 0, 1]), FitRule(balanced=True), stream(), None))
    assert sorted(whole.tolist()) == [0, 1, 2, 3, 4, 4, 4, 4]


def test_fresh_images_come_once_in_so_many_passes() -> None:
    train = images([0, 0, 0, 1, 1, 1], [REAL, GENERATED, GENERATED, REAL, GENERATED, GENERATED])
    first, second, third = itertools.islice(
        fit_rules.passes(train, FitRule(synthetic_passes=2), stream(), None), 3
    )
    assert sorted(first.tolist()) == [0, 1, 3, 4]
    assert sorted(second.tolist()) == [0, 2, 3, 5]
    assert sorted(third.tolist()) == [0, 1, 3, 4]


def test_pseudo_labelled_images_come_by_their_ratio_and_all_of_them_in_turn() -> None:
    train = images([0] * 8 + [1] * 4, [REAL, REAL, *[PSEUDO_LABELLED] * 6, REAL, *[PSEUDO_LABELLED] * 3])
    taken = itertools.islice(fit_rules.passes(train, FitRule(pseudo_ratio=1.0), stream(), None), 4)
    first, second, third, fourth = (sorted(rows.tolist()) for rows in taken)
    # 9 of them for 3 real ones: a third of each class in each pass, beside all real images.
    assert (first, second, third) == ([0, 1, 2, 5, 8, 9], [0, 1, 3, 6, 8, 10], [0, 1, 4, 7, 8, 11])
    assert fourth == first
    # Of less than one of a class in a pass, all passes have some.
    few = itertools.islice(fit_rules.passes(train, FitRule(pseudo_ratio=1 / 3), stream(), None), 9)
    assert [len(rows) for rows in few] == [4] * 9
    for ratio in (None, 5.0):
        whole = next(fit_rules.passes(train, FitRule(pseudo_ratio=ratio), stream(), None))
        assert sorted(whole.tolist()) == list(range(12))


def test_pre_training_sees_added_images_first_and_real_ones_last() -> None:
    train = images([0, 1, 0, 1], [REAL, REAL, GENERATED, GENERATED])
    steps = list(fit_rules.order(train, FitRule(pretrained=True), 2, 5, stream()))
    assert [set(rows.tolist()) for rows in steps] == [{2, 3}, {2, 3}, {0, 1}, {0, 1}, {0, 1}]
    with pytest.raises(DataError, match="needs both added and real"):
        list(fit_rules.order(images([0, 1]), FitRule(pretrained=True), 2, 5, stream()))


def test_teachers_have_half_a_say() -> None:
    sure = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    nn.init.zeros_(sure[1].weight)
    sure[1].bias.data = torch.tensor([math.log(3.0), 0.0])  # 3/4 and 1/4
    target = fit_rules.distilled(torch.tensor([1, 0]), torch.zeros(2, 1, 2, 2), [sure, sure], 2)
    torch.testing.assert_close(target, torch.tensor([[0.375, 0.625], [0.875, 0.125]]))


def test_mixup_mixes_images_and_targets_alike() -> None:
    x = torch.arange(4.0).view(4, 1, 1, 1)
    mixed, target = fit_rules.mixup(
        x, torch.tensor([0, 1, 0, 1]), None, 2, *fit_rules.draw_mixup(4, 0.5, stream())
    )
    torch.testing.assert_close(target.sum(1), torch.ones(4))
    a, b = torch._standard_gamma(torch.tensor([0.5, 0.5]), generator=(again := stream())).tolist()
    share, other = a / (a + b), torch.randperm(4, generator=again)
    torch.testing.assert_close(mixed.flatten(), share * torch.arange(4.0) + (1 - share) * other.float())
    second = share * (torch.arange(4) % 2) + (1 - share) * (other % 2)
    torch.testing.assert_close(target[:, 1], second)


def test_a_blend_counts_by_both_its_images() -> None:
    """Against the two cross-entropies, each with its own image's weight: of images that count 0 nothing is learned."""
    torch.manual_seed(0)
    x, y, weight = torch.randn(4, 1, 1, 1), torch.tensor([0, 1, 0, 1]), torch.tensor([1.0, 0.25, 0.0, 2.0])
    _, target = fit_rules.mixup(x, y, weight, 2, *fit_rules.draw_mixup(len(x), 0.5, stream()))
    a, b = torch._standard_gamma(torch.tensor([0.5, 0.5]), generator=(again := stream())).tolist()
    share, other = a / (a + b), torch.randperm(4, generator=again)
    logits = torch.randn(4, 2)
    own = nn.functional.cross_entropy(logits, y, reduction="none") * weight
    partner = nn.functional.cross_entropy(logits, y[other], reduction="none") * weight[other]
    expected = (share * own + (1 - share) * partner).mean()
    torch.testing.assert_close(fit._loss(logits, target, None, None), expected)


def test_mixup_does_not_bring_back_images_that_count_nothing(context: DeviceContext) -> None:
    """Whatever labels they have, the same is learned."""
    train = images([0, 1] * 8, [REAL, GENERATED, REAL, REAL] * 4, classes=3)
    other = dataclasses.replace(train, labels=np.where(train.origin == REAL, train.labels, 2))
    rule = FitRule(mixup=0.2, added_weight=0.0)
    prints = [
        fit_classifier(one, FEW, seed=0, context=context, rule=rule).fingerprint for one in (train, other)
    ]
    assert prints[0] == prints[1]


def test_equal_weights_change_nothing_in_mixup(context: DeviceContext) -> None:
    train = images([0, 1] * 8)
    alike = dataclasses.replace(train, weight=np.full(16, 4, dtype=np.float32))
    rule = FitRule(mixup=0.2)
    prints = [
        fit_classifier(one, FEW, seed=0, context=context, rule=rule).fingerprint for one in (train, alike)
    ]
    assert prints[0] == prints[1]


def test_recalibration_is_the_mean_over_the_images() -> None:
    network = nn.Sequential(nn.BatchNorm2d(1))
    parts = [torch.full((count, 1, 2, 2), value) for count, value in ((6, 1.0), (2, 4.0), (1, 10.0))]
    parts[1][0] = 2.0  # mean 3, variance 8 / 7 over the eight values
    fit_rules.recalibrate_batch_norm(network, iter(parts))
    assert float(network[0].running_mean) == pytest.approx((6 * 1 + 2 * 3 + 1 * 10) / 9)
    assert float(network[0].running_var) == pytest.approx(2 * (8 / 7) / 9)
    assert network[0].momentum == 0.1


def test_recalibration_drops_nothing_out() -> None:
    network = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm2d(1)).train()
    fit_rules.recalibrate_batch_norm(network, iter([torch.ones(8, 1, 4, 4)]))
    assert float(network[1].running_mean) == 1.0
    assert float(network[1].running_var) == 0.0
    assert not any(layer.training for layer in network.modules())


def test_the_last_batch_of_a_recalibration_is_never_a_single_image(context: DeviceContext) -> None:
    """Nine real images in batches of eight: two of five and four, where batch norm refuses a plane of one value."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    train = images([0, 1] * 4 + [0])
    batches = ClassifierBatches(train, FitRule(), batch_size=8, steps=1, seed=0, context=context)
    fit_rules.recalibrate_batch_norm(network, batches.real_images())
    assert [len(part) for part in batches.real_images()] == [5, 4]


@pytest.mark.parametrize("name", ARMS)
def test_every_rule_trains_and_repeats_itself(context: DeviceContext, name: str) -> None:
    rule = ARMS[name].rule
    train = images([0, 0, 1, 1] * 4, [REAL, GENERATED] * 8)
    teachers = [fit_classifier(train, FEW, seed=9, context=context)] if rule.distilled else []
    transforms = TransformConfig() if rule.transforms == "traditional" else None

    def fingerprint(used: FitRule) -> str:
        fitted = fit_classifier(
            train, FEW, seed=1, context=context, transforms=transforms, rule=used, teachers=teachers
        )
        return fitted.fingerprint

    assert fingerprint(rule) == fingerprint(rule)
    changed = dataclasses.replace(rule, added_weight=0.5, annealed=True, synthetic_passes=2)
    assert fingerprint(changed) != fingerprint(rule)
