"""How much of a spread comes from where: from the generators, or from the classifiers that judge one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Components:
    """Scores of several generators, each judged by as many classifiers of its own, taken apart."""

    groups: int  # generators
    repeats: int  # classifiers for each generator
    mean: float  # over all scores
    # Standard deviation of the generators' true means; 0 where the scores show none beyond chance.
    between: float
    within: float  # standard deviation of the classifiers on one generator's images
    error: float  # standard error of the mean over new generators and classifiers; G - 1 degrees of freedom


def components_of(scores: Sequence[Sequence[float]]) -> Components | None:
    """Variance components of a balanced table, G rows of C scores; None with fewer than 2 rows or columns.

    The model is y_gc = mu + a_g + e_gc with independent a_g (the generator) and e_gc (the classifier's seed, nested:
    each generator has its own). From the mean squares between rows, MSB = C var(row means), and within, MSW:
    within^2 = MSW, between^2 = max(0, (MSB - MSW) / C), error^2 = MSB / (G C).

    Source: Searle, Casella and McCulloch 1992, "Variance components", sections 3.5 and 3.6 (ANOVA estimators of the
    balanced one-way random model; a negative estimate is set to 0).
    """
    table = np.asarray(scores, dtype=np.float64)
    groups, repeats = table.shape
    if groups < 2 or repeats < 2:
        return None
    within = float(table.var(axis=1, ddof=1).mean())
    among = repeats * float(table.mean(axis=1).var(ddof=1))
    return Components(
        groups=groups,
        repeats=repeats,
        mean=float(table.mean()),
        between=float(np.sqrt(max(0.0, (among - within) / repeats))),
        within=float(np.sqrt(within)),
        error=float(np.sqrt(among / table.size)),
    )
