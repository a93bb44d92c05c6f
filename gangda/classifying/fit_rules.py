"""What an arm's `FitRule` changes in the training of its classifier: the rows' order, weights and targets."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gangda.classifying.output_layer import SCALE
from gangda.config.arms import FitRule
from gangda.data.images import PSEUDO_LABELLED, REAL, LabelledImages
from gangda.errors import DataError

DISTILLED_SHARE = 0.5  # of the target that is the teachers' prediction; the rest is the label
ANNEALED_FROM = 2 / 3  # share of the steps from which annealed weights fall
RETRAINED_SHARE = 10  # one of so many steps trains the last layer again: 10 epochs after 90 in Kang 2020
LARGEST_MARGIN = 0.5  # of a cosine; Cao 2019
REWEIGHTED_FROM = (4, 5)  # share of the steps, a fraction: epoch 160 of 200 in Cao 2019
EFFECTIVE = 0.9999  # beta of the effective number of images


def weighted(train: LabelledImages, rule: FitRule) -> LabelledImages:
    """The images with the weights of the rule: float32 (N,), or None where all count alike.

    "class-weights": N / (K n_y), so that every class counts alike (King and Zeng 2001). Images that were made count
    `added_weight` times what they would.
    """
    weight = np.ones(len(train), dtype=np.float32) if train.weight is None else train.weight
    if rule.loss == "class-weights":
        counts = np.maximum(train.counts(), 1)
        weight = weight * (len(train) / (train.num_classes * counts)).astype(np.float32)[train.labels]
    if rule.added_weight != 1.0:
        weight = weight * np.where(train.made, rule.added_weight, 1.0).astype(np.float32)
    plain = train.weight is None and rule.loss != "class-weights" and rule.added_weight == 1.0
    return train if plain else replace(train, weight=weight)


def logit_shift(train: LabelledImages, rule: FitRule) -> Tensor | None:
    """What is added to the logits in training, float32 (K,): the log of each class's share, or None.

    Source: Menon 2021, equation 10, tau = 1; a class without images counts as one with one.
    """
    if rule.loss != "logit-adjusted":
        return None
    counts = np.maximum(train.counts(), 1).astype(np.float64)
    return torch.tensor(np.log(counts / counts.sum()), dtype=torch.float32)


def margins(train: LabelledImages, rule: FitRule) -> Tensor | None:
    """What is taken from the logit of an image's own class in training, float32 (K,), or None.

    Proportional to the class's size to the power -1/4, at most `LARGEST_MARGIN` times the logits' scale. Source: Cao
    2019, equation 12 (LDAM); a class without images counts as one with one.
    """
    if rule.loss != "ldam-drw":
        return None
    sizes = np.maximum(train.counts(), 1).astype(np.float64) ** -0.25
    return torch.tensor(SCALE * LARGEST_MARGIN * sizes / sizes.max(), dtype=torch.float32)


def deferred_weights(train: LabelledImages, rule: FitRule) -> Tensor | None:
    """Weights of the images in the last fifth of the steps, float32 (N,) with mean 1, or None.

    Inverse to the effective number (1 - beta^n) / (1 - beta) of the class's images. Source: Cao 2019, algorithm 1
    (DRW); Cui 2019, equation 2. Departure: relative to their mean over the set, not over each batch.
    """
    if rule.loss != "ldam-drw":
        return None
    weight = (1 / (1 - EFFECTIVE ** train.counts().astype(np.float64).clip(1)))[train.labels]
    return torch.tensor(weight / weight.mean(), dtype=torch.float32)


def is_reweighted(step: int, steps: int) -> bool:
    """Whether `deferred_weights` count at step 0, 1, ... of `steps`."""
    share, whole = REWEIGHTED_FROM
    return whole * step >= share * steps


def stages(rule: FitRule, steps: int) -> tuple[int, int]:
    """Steps that train the whole network, and those that then train its last layer again: `steps` together."""
    last = -(-steps // RETRAINED_SHARE) if rule.retrained else 0
    return steps - last, last


def synthetic_weight(rule: FitRule, step: int, steps: int) -> float:
    """Weight of images that were made at step 0, 1, ... of `steps`: 1, falling to 0 over the last third."""
    if not rule.annealed:
        return 1.0
    return min(1.0, max(0.0, (1 - step / steps) / (1 - ANNEALED_FROM)))


def passes(
    train: LabelledImages, rule: FitRule, stream: torch.Generator, part: int | None
) -> Iterator[Tensor]:
    """Endless passes over the set, int64 positions each: every image once, in a random order.

    `balanced`: every class as often as the largest. `synthetic_passes` n: of the images that were made, every n-th of
    each class, those after the ones of the pass before; so it is with pseudo-labelled images, by `pseudo_ratio`, all of
    them where there are fewer than that.
    `part`: real images only (0), or the others only (1).
    """
    keep = np.ones(len(train), dtype=np.bool_) if part is None else train.made == bool(part)
    # Of every image: it comes once in `period` passes, in the one of number `turn`.
    period, turn = np.ones(len(train), dtype=np.int64), np.zeros(len(train), dtype=np.int64)
    for kind, often in (
        (train.made, rule.synthetic_passes),
        (train.origin == PSEUDO_LABELLED, _pseudo_passes(train, rule)),
    ):
        period[kind] = often
        # Class by class, counted on: so every pass has as many of each class, and as many of all, within one.
        rows = np.flatnonzero(kind)
        turn[rows[np.argsort(train.labels[rows], kind="stable")]] = np.arange(len(rows)) % often
    for number in itertools.count():
        chosen = torch.from_numpy(np.flatnonzero(keep & (number % period == turn)))
        if rule.balanced:
            chosen = _oversampled(chosen, torch.from_numpy(train.labels), stream)
        yield chosen[torch.randperm(len(chosen), generator=stream)]


def _pseudo_passes(train: LabelledImages, rule: FitRule) -> int:
    """In how many passes every pseudo-labelled image comes once."""
    if rule.pseudo_ratio is None:
        return 1
    labelled, pseudo = (int((train.origin == origin).sum()) for origin in (REAL, PSEUDO_LABELLED))
    return max(1, round(pseudo / (rule.pseudo_ratio * max(1, labelled))))


def _oversampled(rows: Tensor, labels: Tensor, stream: torch.Generator) -> Tensor:
    """Every class as often as the largest: whole permutations of its rows one after the other, cut to length."""
    groups = [rows[labels[rows] == label] for label in labels[rows].unique()]
    largest = max(len(group) for group in groups)

    def repeated(group: Tensor) -> Tensor:
        times = range(-(-largest // len(group)))
        return torch.cat([group[torch.randperm(len(group), generator=stream)] for _ in times])[:largest]

    return torch.cat([repeated(group) for group in groups])


def order(
    train: LabelledImages, rule: FitRule, batch: int, steps: int, stream: torch.Generator
) -> Iterator[Tensor]:
    """The rows of each step, int64 (batch,), pass after pass.

    `pretrained`: half the steps on added images, half on real ones. `retrained`: classes equally often in the second of
    its `stages`.

    Raises:
        DataError: `pretrained` without images of both kinds.
    """
    if not rule.pretrained:
        first, last = stages(rule, steps)
        yield from _batched(passes(train, rule, stream, None), batch, first)
        yield from _batched(passes(train, replace(rule, balanced=True), stream, None), batch, last)
        return
    if not train.made.any() or train.made.all():
        raise DataError("pre-training on added images needs both added and real ones; choose another ratio")
    yield from _batched(passes(train, rule, stream, 1), batch, steps // 2)
    yield from _batched(passes(train, rule, stream, 0), batch, steps - steps // 2)


def _batched(whole: Iterator[Tensor], batch: int, steps: int) -> Iterator[Tensor]:
    """Passes one after the other, cut into `steps` batches; what is left of one pass begins the next batch."""
    left = torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        while len(left) < batch:
            left = torch.cat([left, next(whole)])
        yield left[:batch]
        left = left[batch:]


def distilled(y: Tensor, x: Tensor, teachers: Sequence[nn.Module], classes: int) -> Tensor:
    """Targets float32 (B, K): half the label, half the mean probabilities of the teachers for this very view.

    Source: Hinton 2015, section 2, temperature 1; on the views the student sees, as in Beyer 2022.
    """
    with torch.no_grad():
        predicted = torch.stack([teacher(x).float().softmax(1) for teacher in teachers]).mean(0)
    return torch.lerp(functional.one_hot(y, classes).float(), predicted, DISTILLED_SHARE)


def label_shares(target: Tensor, classes: int) -> Tensor:
    """Each class's share of the targets, float32 (B, K): of labels 0 and 1, of blends what they are of each label."""
    if target.dtype == torch.int64:
        return functional.one_hot(target, classes).float()
    return target / target.sum(1, keepdim=True).clamp_min(1e-12)  # weights are multiplied into them


def draw_mixup(count: int, alpha: float, stream: torch.Generator) -> tuple[Tensor, Tensor]:
    """A batch's share, from Beta(alpha, alpha) by two gamma draws, and the row that each row is mixed with."""
    a, b = (torch._standard_gamma(torch.tensor([alpha, alpha]), generator=stream)).tolist()
    return torch.tensor(a / max(a + b, 1e-12)), torch.randperm(count, generator=stream)


def mixup(
    x: Tensor, target: Tensor, weight: Tensor | None, classes: int, share: Tensor, other: Tensor
) -> tuple[Tensor, Tensor]:
    """Convex combinations of images, and of targets, with those of other rows (Zhang 2018, equation 1).

    Each target is first multiplied by its image's weight, float32 (B,): the cross-entropy with a blend is then that of
    its two images, each with its own share and weight.
    """
    soft = functional.one_hot(target, classes).float() if target.dtype == torch.int64 else target
    if weight is not None:
        soft = soft * weight[:, None]
    return torch.lerp(x[other], x, share), torch.lerp(soft[other], soft, share)


def recalibrate_batch_norm(network: nn.Module, batches: Iterator[Tensor]) -> None:
    """Compute the running statistics of all batch norms again, from these batches alone (Besnier 2020).

    They are the means of the batches' own statistics, each batch counting by its images. All other layers work as in
    evaluation (no dropout), and the network is in that mode afterwards.
    """
    norms = [layer for layer in network.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
    network.eval()
    for layer in norms:
        layer.train()
    seen = 0
    with torch.no_grad():
        for x in batches:
            seen += len(x)
            for layer in norms:
                layer.momentum = len(x) / seen
            network(x)
    network.eval()
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
