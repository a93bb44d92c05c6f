"""Had each arm reached its plateau? Every arm in the first cells with half of the steps, on validation images.

With `--plateau-check` also with twice the steps. Each training has a schedule of its own, as the learning rate is one
cycle. The standard error is that of the images alone: it does not know how far another fit of the same arm would
differ. An arm that chose its ratio or filter on these images scores a little too high on them with the usual steps, so
that its gain from half of the steps is overstated, and that with twice the steps understated.
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
    rendered,
)
from gangda.comparing.comparison import Comparison
from gangda.config.schema import ComparisonConfig
from gangda.errors import OutcomeError
from gangda.runtime.arrays import BoolArray, FloatArray
from gangda.runtime.progress import counted
from gangda.statistics.families import family_of
from gangda.statistics.values import standard_deviation
from gangda.statistics.verdicts import balancing
from gangda.statistics.words import points

FLAG = "--plateau-check"
CELLS = 2  # the first ones, whose validation images are pooled
FEWEST = 50  # of these images, below which no state is claimed
RISING, LEVEL, FALLING, UNKNOWN = "still rising", "level", "falling", "not known"


@dataclass(frozen=True, eq=False)
class PlateauFit:
    """One cell; no arms, but a reason, where a training failed."""

    usual: int  # the steps of the comparison
    steps: tuple[int, ...]  # ascending; the usual ones are among them
    labels: npt.NDArray[np.uint16]  # (N,) of the validation images
    arms: Mapping[str, tuple[BoolArray, ...]]  # which of these are right, bool (N,), after each of the steps
    reason: str = ""


@dataclass(frozen=True)
class PlateauRow:
    """An arm over the pooled validation images."""

    name: str
    scores: tuple[float, ...]  # in [0, 1], after each of the steps
    gain: float  # of the last of these over the one before
    error: float  # its standard error
    state: str  # "still rising", "level" or "falling" at two standard errors; "not known" on too few images


@dataclass(frozen=True, kw_only=True)
class Plateau(AnalysisResult):
    """A curve of every arm; none where no cell could be used."""

    usual: int = 0
    steps: tuple[int, ...] = ()
    images: int = 0  # validation images, of all cells together
    cells: int = 0
    arms: tuple[PlateauRow, ...] = ()


class PlateauCheck(Analysis):
    """Half of the steps wherever there are validation images; `--plateau-check`: twice the steps too."""

    cell_type, result_type = PlateauFit, Plateau

    def plan(self, config: ComparisonConfig) -> Additions | None:
        """One or two more classifiers for every arm, in each of the first cells."""
        longer = config.compare.plateau_check
        if not (longer or config.data.validation):
            return None
        lengths = (0.5, 2.0) if longer else (0.5,)
        return Additions(
            fits=len(lengths) * len(config.compare.arms),
            length=sum(lengths) / len(lengths),
            cells=CELLS,
            validation=longer,
        )

    def run_in_cell(self, evaluator: Evaluator, config: ComparisonConfig) -> PlateauFit | None:
        """Every arm on the images it had; where one fails, the cell still stands."""
        labels = evaluator.validation_labels().astype(np.uint16)
        if not len(labels):
            return None
        names = config.compare.arms
        usual = evaluator.on_validation(evaluator.again(names[0])).steps
        longer = (2 * usual,) * config.compare.plateau_check
        # Half of one step is none.
        steps = tuple(number for number in (usual // 2, usual, *longer) if number)
        arms = {}
        for name in names:
            try:
                fits = [evaluator.again(name, steps=number) for number in steps]
            except OutcomeError as error:
                return PlateauFit(usual, steps, labels, {}, f"{name}: {error}")
            arms[name] = tuple(evaluator.on_validation(fit).correct for fit in fits)
        return PlateauFit(usual, steps, labels, arms) if len(steps) > 1 else None

    def judge(self, found: Sequence[PlateauFit | None], judged: Judged) -> Plateau | None:
        """Curves over the images of all cells that have a result; a note on those in which a training failed."""
        there, compare = [fit for fit in found if fit is not None], judged.config.compare
        fits = [fit for fit in there if fit.arms]
        what = FLAG if compare.plateau_check else "Plateau"
        notes = [
            f"{what}: a shorter or longer training failed: {fit.reason}." for fit in there if not fit.arms
        ]
        if not fits:
            if not (there or compare.plateau_check):
                return None
            reason = "" if there else f": the first {CELLS} cells failed, or hold none"
            return Plateau(notes=(*notes, f"{what}: no result{reason}."))
        images = sum(len(fit.labels) for fit in fits)
        rows = tuple(
            _row(name, fits, images, balanced=compare.score_by == "balanced") for name in compare.arms
        )
        usual, steps = fits[0].usual, fits[0].steps
        sentence = _unknown(images)
        if images >= FEWEST:
            since = "with twice the steps" if steps[-1] > usual else "from half of the steps"
            sentence = _sentence(rows, _tested(judged.config), f"{usual:,} steps", since, images)
        return Plateau(
            usual=usual,
            steps=steps,
            images=images,
            cells=len(fits),
            arms=rows,
            headline=sentence,
            notes=tuple(notes),
        )

    def section(self, result: Plateau, comparison: Comparison) -> Section | None:
        """A table of the curves."""
        if not result.arms:
            return None
        html = rendered("plateau.html", result=result, score=comparison.judgement.score)
        return Section("plateau", "Had the arms reached their plateau?", html)

    def limit(self, result: Plateau | None) -> str:
        """Whether it is known."""
        if result is None or not result.arms:
            where = f"it is measured on validation images of the first {CELLS} seeds (--validation)"
            return f"Whether the arms had reached their plateau is not known: {where}."
        if result.images < FEWEST:
            return _unknown(result.images)
        longer = "" if result.steps[-1] > result.usual else f"; {FLAG} adds twice the steps"
        steps = " and ".join(f"{number:,}" for number in result.steps[-2:])
        return (
            f"Whether the arms had reached their plateau was measured on {result.images:,} validation images of "
            f"{counted(result.cells, 'seed')}, between {steps} steps only{longer}."
        )


def _row(name: str, fits: Sequence[PlateauFit], images: int, *, balanced: bool) -> PlateauRow:
    """Images weigh alike, or, where scores are balanced, classes do within a cell."""
    curves: list[FloatArray] = []
    for fit in fits:
        weights = balancing(fit.labels.astype(np.int64)) if balanced else np.ones(len(fit.labels))
        curves.append(weights * np.array(fit.arms[name]))
    # (steps, images)
    right = np.concatenate(curves, axis=1)
    gains = right[-1] - right[-2]
    gain, error = float(gains.mean()), standard_deviation(gains) / math.sqrt(images)
    state = LEVEL if abs(gain) <= 2 * error else RISING if gain > 0 else FALLING
    scores = tuple(right.mean(axis=1).tolist())
    return PlateauRow(name, scores, gain, error, state if images >= FEWEST else UNKNOWN)


def _tested(config: ComparisonConfig) -> set[str]:
    """The arms of the tested differences; all of them where nothing is tested."""
    primary = family_of(config.compare.arms, config.compare.contrast).primary
    return {arm for terms in primary.values() for arm, _ in terms} or set(config.compare.arms)


def _unknown(images: int) -> str:
    few = f"{counted(images, 'validation image')} {'is' if images == 1 else 'are'} too few"
    return f"Whether longer training would change this is not known: {few} to tell."


def _sentence(rows: Sequence[PlateauRow], tested: set[str], at: str, since: str, images: int) -> str:
    """What the tested arms' last gains say of the verdict; the report's table has the other arms too."""
    shown = [row for row in rows if row.name in tested]
    rising, falling = ([row for row in shown if row.state == state] for state in (RISING, FALLING))
    if not (rising or falling):
        arms = "arm" if len(shown) == len(rows) else "tested arm"
        gains = [row.gain for row in shown]
        span = f"{points(min(gains), signed=True)} to {points(max(gains), signed=True)} points"
        return f"No {arms} was still rising at {at}, as far as {images:,} validation images show ({since}: {span})."
    where = f"at {at}, on {images:,} validation images"
    (state, named), *others = [
        (state, named) for state, named in ((RISING, rising), (FALLING, falling)) if named
    ]
    text = f"{state.capitalize()} {where}: {_listed(named, since)}"
    text += "".join(f"; {state}: {_listed(named, since)}" for state, named in others)
    how = "other" if falling else "more"
    return f"{text}; {how} --classifier-steps may change the verdict."


def _listed(rows: Sequence[PlateauRow], since: str) -> str:
    first, *others = [(row.name, points(row.gain, signed=True), points(row.error)) for row in rows]
    words = [f"{first[0]} ({first[1]} points {since}, standard error {first[2]})"]
    return ", ".join([*words, *(f"{name} ({gain}, {error})" for name, gain, error in others)])
