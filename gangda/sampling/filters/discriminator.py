"""Discriminator rejection sampling: samples stay by chance, the likelier the more real they score."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.special
import torch
from torch import Tensor

from gangda.classifying.fitted_classifier import place, to_device
from gangda.config import architectures, catalog
from gangda.data.images import FloatArray, UInt8Array, to_float
from gangda.errors import FilterError, UsageError
from gangda.runtime.device import evaluating
from gangda.runtime.seeding import numpy_stream
from gangda.sampling.filters.base import FilterContext, FilterTarget, Predicate, Reasons
from gangda.training.adversarial import madgan
from gangda.training.saved_model import load_network
from gangda.zoo.draw import SampleBatch

BURN_IN = 1024  # samples of a class from which the largest log odds and the shift are estimated
BURN_IN_BLOCK = -1  # a block that no set has: its samples are of a stream of their own
PERCENTILE = 80.0  # of F over the burn-in: the shift gamma, as the paper has it for ImageNet
EPSILON = 1e-8  # keeps the logarithm of 1 - exp(0) finite

LOG_ODDS: Mapping[str, Callable[[Tensor], Tensor]] = {  # by method: scores as log odds of "real", (B,)
    "adversarial": lambda adversarial: adversarial,
    "madgan": madgan.real_score,
}


@dataclass(frozen=True, eq=False)
class DiscriminatorRejection:
    """Rejection sampling towards the density of real images, by the density ratio that a discriminator estimates.

    With log odds d(x) of "real" and their maximum m, a sample stays with probability sigmoid(F), F = d - m -
    log(1 - exp(d - m - epsilon)) - gamma; with gamma = 0 that is exp(d - m), exact rejection sampling. The maximum is
    that of a burn-in of the class, raised by what a block's own samples show.

    Source: Azadi 2019, equations 5-8 and algorithm 1; gamma as in their section 4.2. Departures: gamma comes from the
    burn-in once, not from each batch, and the maximum is forgotten at a block's end, so that a sample does not depend
    on the others that are drawn; the discriminator is that of the last training step, not trained further against the
    samples, while the generator may have the weights of its best step.
    """

    log_odds: Callable[[UInt8Array, int], FloatArray]  # of uint8 (n, H, W, C) images of a class: float64 (n,)
    # The samples of the burn-in, see `FilterContext.attempts`.
    attempts: Callable[[int, int], Iterator[SampleBatch]]
    seed: int
    percentile: float | None = PERCENTILE  # 0 to 100; None for gamma = 0
    run: str = "the run"
    _burnt_in: dict[int, tuple[float, float]] = field(default_factory=dict)

    @staticmethod
    def check(target: FilterTarget) -> None:
        """See `Filter.check`."""
        if architectures.spec_class(target.arch).method not in LOG_ODDS:
            raise UsageError(f"--filter discriminator: {target.named} has no discriminator; leave it out")
        builders = {name: catalog.builder("loss", catalog.LOSSES, name) for name in catalog.LOSSES}
        fit = [name for name, build in builders.items() if build().logistic]
        if target.loss and target.loss not in fit:
            raise UsageError(
                f"--filter discriminator: under --loss {target.loss} the score of {target.named} is no log odds of "
                f"'real'; leave it out, or train with --loss {' or '.join(fit)}"
            )

    @staticmethod
    def build(filter_context: FilterContext) -> "DiscriminatorRejection":
        """Load the run's discriminator."""
        model, context = filter_context.model, filter_context.context
        network = place(load_network(model, "discriminator"), context)
        to_odds = LOG_ODDS[architectures.spec_class(model.card.arch).method]

        def log_odds(pixels: UInt8Array, label: int) -> FloatArray:
            """All in one batch; in float32 whatever the precision of the context."""
            if not len(pixels):
                return np.zeros(0)
            y = torch.full((len(pixels),), label, dtype=torch.int64, device=context.device)
            with evaluating(network):
                odds = to_odds(network(to_float(to_device(pixels, context)), y).adversarial)
            found: FloatArray = odds.double().cpu().numpy()
            return found

        return DiscriminatorRejection(log_odds, filter_context.attempts, filter_context.seed, run=model.named)

    def predicate(self, label: int, block: int) -> Predicate:
        """See `Filter.predicate`."""
        largest, gamma = self.burn_in(label)
        chance = numpy_stream(self.seed, "discriminator filter", label, block)

        def reasons(pixels: UInt8Array) -> Reasons:
            nonlocal largest
            odds = self.log_odds(pixels, label)
            largest = max(largest, *odds.tolist()) if len(odds) else largest
            stays = chance.random(len(odds)) < acceptance(odds, largest, gamma)
            return np.where(stays, "", "unlikely").astype(object)

        return reasons

    def burn_in(self, label: int) -> tuple[float, float]:
        """The largest log odds of a class's samples, and gamma. Raises FilterError: the class has no samples at all."""
        if label not in self._burnt_in:
            parts: list[FloatArray] = []
            for batch in self.attempts(label, BURN_IN_BLOCK):
                parts.append(self.log_odds(batch.pixels, label))
                if sum(map(len, parts)) >= BURN_IN:
                    break
            odds = np.concatenate(parts)
            if not len(odds):
                raise FilterError(f"{self.run}: makes no samples of class number {label}; train longer")
            largest, gamma = float(odds.max()), 0.0
            if self.percentile is not None:
                gamma = float(np.percentile(shifted(odds, largest, 0.0), self.percentile))
            self._burnt_in[label] = largest, gamma
        return self._burnt_in[label]

    def as_dict(self) -> dict[str, Any]:
        """How it was set."""
        return {
            "score": "log odds of real, by the run's own discriminator after the last step",
            "burn_in": BURN_IN,
            "gamma_percentile": self.percentile,
        }


def shifted(odds: FloatArray, largest: float, gamma: float) -> FloatArray:
    """F of log odds float64 (n,), none of which is above `largest`. Source: Azadi 2019, equation 8."""
    gap = odds - largest
    f: FloatArray = gap - np.log1p(-np.exp(gap - EPSILON)) - gamma
    return f


def acceptance(odds: FloatArray, largest: float, gamma: float) -> FloatArray:
    """The probability that each sample stays, float64 (n,)."""
    chances: FloatArray = scipy.special.expit(shifted(odds, largest, gamma))
    return chances
