"""What an arm's `FitRule` changes in the training of its classifier: the rows' order, weights and targets."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gangda.config.arms import FitRule
from gangda.data.images import GENERATED, REAL, TRADITIONAL, LabelledImages
from gangda.errors import DataError

DISTILLED_SHARE = 0.5  # of the target that is the teachers' prediction; the rest is the label
ANNEALED_FROM = 2 / 3  # share of the steps from which annealed weights fall


def weighted(train: LabelledImages, rule: FitRule) -> LabelledImages:
    """The images with the weights of the rule: float32 (N,), or None where all count alike.

    "class-weights": N / (K n_y), so that every class counts alike (King and Zeng 2001). Images that are not real count
    `added_weight` times what they would.
    """
    weight = np.ones(len(train), dtype=np.float32) if train.weight is None else train.weight
    if rule.loss == "class-weights":
        counts = np.maximum(train.counts(), 1)
        weight = weight * (len(train) / (train.num_classes * counts)).astype(np.float32)[train.labels]
    if rule.added_weight != 1.0:
        weight = weight * np.where(train.origin == REAL, 1.0, rule.added_weight).astype(np.float32)
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


def synthetic_weight(rule: FitRule, step: int, steps: int) -> float:
    """Weight of images that are not real at step 0, 1, ... of `steps`: 1, falling to 0 over the last third."""
    if not rule.annealed:
        return 1.0
    return min(1.0, max(0.0, (1 - step / steps) / (1 - ANNEALED_FROM)))


def passes(
    train: LabelledImages, rule: FitRule, stream: torch.Generator, part: int | None
) -> Iterator[Tensor]:
    """Endless passes over the set, int64 positions each: every image once, in a random order.

    `balanced`: every class as often as the largest. `synthetic_passes` n: of the images that were made, every n-th of
    each class, those after the ones of the pass before. `part`: real images only (0), or the others only (1).
    """
    added = torch.from_numpy(train.origin != REAL)
    keep = torch.ones(len(train), dtype=torch.bool) if part is None else added == bool(part)
    made = np.isin(train.origin, (TRADITIONAL, GENERATED))
    passes_of_made = np.zeros(len(train), dtype=np.int64)
    for label in range(train.num_classes):
        rows = np.flatnonzero((train.labels == label) & made)
        passes_of_made[rows] = np.arange(len(rows)) % rule.synthetic_passes
    for number in itertools.cycle(range(rule.synthetic_passes)):
        shown = torch.from_numpy(~made | (passes_of_made == number))
        chosen = torch.nonzero(keep & shown)[:, 0]
        if rule.balanced:
            chosen = _oversampled(chosen, torch.from_numpy(train.labels), stream)
        yield chosen[torch.randperm(len(chosen), generator=stream)]


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

    `pretrained`: half the steps on added images, half on real ones.

    Raises:
        DataError: `pretrained` without images of both kinds.
    """
    if not rule.pretrained:
        yield from _batched(passes(train, rule, stream, None), batch, steps)
        return
    if not (train.origin != REAL).any() or not (train.origin == REAL).any():
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
