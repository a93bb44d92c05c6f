"""Had each arm reached its plateau? The first primary difference's arms with twice the steps, on validation images.

The standard error is that of the images alone: it does not know how far another fit of the same arm would differ. An
arm that chose its ratio or filter on these images scores a little too high on them with the usual steps, so that its
gain is understated.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gangda.comparing.analyses import (
    Additions,
    Analysis,
    AnalysisResult,
    Evaluator,
    Judged,
    Section,
    first_contrast,
    rendered,
)
from gangda.comparing.comparison import Comparison
from gangda.config.schema import ComparisonConfig
from gangda.errors import OutcomeError
from gangda.runtime.arrays import BoolArray
from gangda.statistics.values import standard_deviation
from gangda.statistics.verdicts import balancing
from gangda.statistics.words import points

FLAG = "--plateau-check"
CELLS = 2  # the first ones, whose validation images are pooled
RISING, LEVEL, FALLING = "still rising", "level", "falling"
OWN_STEPS = "--tune-steps gives each arm its own"


@dataclass(frozen=True, eq=False)
class PlateauArm:
    """Which validation images an arm gets right, bool (N,), with the usual steps and with twice as many."""

    usual: BoolArray
    longer: BoolArray


@dataclass(frozen=True, eq=False)
class PlateauFit:
    """The arms of the first primary difference in one cell; no arms, but a reason, where a longer training failed."""

    steps: int  # twice the usual ones
    labels: npt.NDArray[np.uint16]  # (N,) of the validation images
    arms: Mapping[str, PlateauArm]
    reason: str = ""


@dataclass(frozen=True)
class PlateauRow:
    """An arm over the pooled validation images: its scores, what twice the steps gain, and the standard error."""

    name: str
    usual: float
    longer: float
    gain: float
    error: float

    @property
    def state(self) -> str:
        """Whether the gain is more than two standard errors, either way."""
        if abs(self.gain) <= 2 * self.error:
            return LEVEL
        return RISING if self.gain > 0 else FALLING


@dataclass(frozen=True, kw_only=True)
class Plateau(AnalysisResult):
    """Both arms; none where no cell could be used."""

    steps: int = 0  # twice the usual ones
    images: int = 0  # validation images, of all cells together
    cells: int = 0
    arms: tuple[PlateauRow, ...] = ()


class PlateauCheck(Analysis):
    """`--plateau-check`."""

    cell_type, result_type = PlateauFit, Plateau

    def plan(self, config: ComparisonConfig) -> Additions | None:
        """Two more classifiers in each of the first cells."""
        if not config.compare.plateau_check:
            return None
        contrast, _ = first_contrast(config, FLAG)
        return Additions(fits=2, cells=CELLS, validation=True, fixed={"contrast": contrast})

    def run_in_cell(self, evaluator: Evaluator, config: ComparisonConfig) -> PlateauFit:
        """Both arms on the images they had; where one fails, the cell still stands."""
        _, names = first_contrast(config, FLAG)
        labels = evaluator.validation_labels().astype(np.uint16)
        usual = {arm: evaluator.on_validation(evaluator.again(arm)) for arm in names}
        steps = 2 * next(iter(usual.values())).steps
        try:
            longer = {arm: evaluator.on_validation(evaluator.again(arm, steps=steps)) for arm in usual}
        except OutcomeError as error:
            return PlateauFit(steps, labels, {}, str(error))
        arms = {arm: PlateauArm(usual[arm].correct, longer[arm].correct) for arm in usual}
        return PlateauFit(steps, labels, arms)

    def judge(self, found: Sequence[PlateauFit | None], judged: Judged) -> Plateau:
        """Gains over the images of all cells that have a result; a note on those whose longer training failed."""
        there = [fit for fit in found if fit is not None]
        fits = [fit for fit in there if fit.arms]
        notes = [f"--plateau-check: a longer training failed: {fit.reason}." for fit in there if not fit.arms]
        if not fits:
            reason = "" if there else f"the first {CELLS} cells failed, or hold none"
            return Plateau(notes=(*notes, f"--plateau-check has no result{reason and f': {reason}'}."))
        balanced = judged.config.compare.score_by == "balanced"
        rows = tuple(_row(name, fits, balanced=balanced) for name in fits[0].arms)
        images = sum(len(fit.labels) for fit in fits)
        sentence = _sentence(rows, fits[0].steps, images)
        return Plateau(
            steps=fits[0].steps, images=images, cells=len(fits), arms=rows, notes=(sentence, *notes)
        )

    def section(self, result: Plateau, comparison: Comparison) -> Section | None:
        """A table."""
        if not result.arms:
            return None
        html = rendered("plateau.html", result=result, score=comparison.judgement.score)
        return Section("plateau", "Had the arms reached their plateau?", html)

    def limit(self, result: Plateau | None) -> str:
        """Whether it is known."""
        if result is None or not result.arms:
            return "Whether more steps would change an arm was not measured; --plateau-check does that."
        return (
            "Whether more steps change an arm was measured on validation images, with twice the steps only."
        )


def _row(name: str, fits: Sequence[PlateauFit], *, balanced: bool) -> PlateauRow:
    """Images weigh alike, or, where scores are balanced, classes do within a cell."""
    weights = [
        balancing(fit.labels.astype(np.int64)) if balanced else np.ones(len(fit.labels)) for fit in fits
    ]
    usual, longer = (
        np.concatenate([each * right for each, right in zip(weights, rights, strict=True)])
        for rights in ([fit.arms[name].usual for fit in fits], [fit.arms[name].longer for fit in fits])
    )
    gains = longer - usual
    error = standard_deviation(gains) / math.sqrt(len(gains))
    return PlateauRow(name, float(usual.mean()), float(longer.mean()), float(gains.mean()), error)


def _sentence(rows: Sequence[PlateauRow], steps: int, images: int) -> str:
    first, second = (
        f"{points(row.gain, signed=True)} points (standard error {points(row.error)}, {row.state})"
        for row in rows
    )
    states = {row.state for row in rows}
    end = f"on {images:,} validation images neither is shown to rise or to be past its best"
    if states != {LEVEL}:
        end = f"{'not yet level' if RISING in states else 'past the best'}; {OWN_STEPS}"
    return (
        f"With twice the steps ({steps:,}) {rows[0].name} gains {first} on validation images, "
        f"{rows[1].name} {second}: {end}."
    )
