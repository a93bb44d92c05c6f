"""Does another classifier agree? The first primary difference once more, with the second one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gangda.augmenting.selection import score_of
from gangda.classifying import custom
from gangda.classifying.evaluation import Evaluation
from gangda.comparing.analyses import (
    Additions,
    Analysis,
    AnalysisResult,
    Evaluator,
    Judged,
    first_contrast,
)
from gangda.comparing.plan import digest
from gangda.config import catalog
from gangda.config.schema import ComparisonConfig
from gangda.errors import OutcomeError, UsageError
from gangda.statistics import values
from gangda.statistics.signflip import sign_flip
from gangda.statistics.values import Interval
from gangda.statistics.words import interval_text, points

FLAG = "--second-classifier"
UNDECIDED = (values.EQUIVALENT, values.EQUIVALENT_HERE, values.INCONCLUSIVE, values.NOT_TESTED)


@dataclass(frozen=True, eq=False)
class SecondArm:
    """An arm with the second classifier."""

    ratio: float | None
    seconds: float
    test: Evaluation


@dataclass(frozen=True, eq=False)
class SecondFit:
    """The arms of the first primary difference with the second classifier; no arms, but a reason, where it failed."""

    classifier: str
    contrast: str
    arms: Mapping[str, SecondArm]
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class SecondOpinion(AnalysisResult):
    """The first primary difference under the second classifier; its own interval is exploratory."""

    classifier: str
    contrast: str
    deltas: tuple[float, ...]
    mean: float | None
    interval: Interval | None
    agrees: bool


class SecondClassifier(Analysis):
    """`--second-classifier`: a headline needs the two to agree in sign."""

    cell_type, result_type = SecondFit, SecondOpinion

    def plan(self, config: ComparisonConfig) -> Additions | None:
        """Two more classifiers; the arms of the first primary difference, and the code of a user's own classifier."""
        name = config.compare.second_classifier
        if name is None:
            return None
        if ":" not in name:  # else a classifier of the user's own
            catalog.lookup("classifier", catalog.CLASSIFIERS, name)
        if name == config.classifier.classifier:
            raise UsageError(f"{FLAG} {name}: is --classifier already; give another")
        contrast, _ = first_contrast(config, f"{FLAG} {name}")
        code = digest(custom.code_of(name)) if ":" in name else ""
        return Additions(fits=2, fixed={"contrast": contrast, "code": code})

    def run_in_cell(self, evaluator: Evaluator, config: ComparisonConfig) -> SecondFit:
        """The difference's arms on the same images; where the second classifier fails, the cell still stands."""
        name = str(config.compare.second_classifier)
        contrast, names = first_contrast(config, f"{FLAG} {name}")
        arms = {}
        try:
            for arm in names:
                fitted = evaluator.again(arm, classifier=name)
                arms[arm] = SecondArm(evaluator.ratio_of(arm), fitted.seconds, evaluator.on_test(fitted))
        except OutcomeError as error:
            return SecondFit(name, contrast, {}, str(error))
        return SecondFit(name, contrast, arms)

    def judge(self, found: Sequence[SecondFit], judged: Judged) -> SecondOpinion:
        """Whether the signs agree. Seeds in which the second classifier failed are left out, and counted."""
        name, contrast, compare = found[0].classifier, found[0].contrast, judged.config.compare
        first = next(one for one in judged.judgement.contrasts if one.name == contrast)
        fitted = [fit.arms for fit in found if fit.arms]
        mean, interval, agrees, deltas = None, None, False, np.zeros(0)
        sentence = f"With {name}: failed in all {len(found)} seeds, so this is no headline."
        if fitted:
            plus, minus = (
                [score_of(each[arm].test, compare.score_by) for each in fitted]
                for arm in contrast.split(" - ")
            )
            deltas = np.subtract(plus, minus)
            mean, interval = float(deltas.mean()), sign_flip(deltas).interval(compare.alpha)
            agrees = bool(np.sign(mean) == np.sign(first.mean) != 0)
            seen = f", interval {interval_text(interval)}" if interval else ""
            lost = len(found) - len(fitted)
            without = f" (without {lost} of {len(found)} seeds, in which it failed)" if lost else ""
            sign = "the same sign" if agrees else "not the same sign, so this is no headline"
            # What is equivalent, or undecided, has no sign to agree in.
            verdict = "" if first.verdict in UNDECIDED else f"; {sign}"
            sentence = f"With {name}: {points(mean, signed=True)} points{seen}{without}{verdict}."
        return SecondOpinion(
            classifier=name,
            contrast=contrast,
            deltas=tuple(deltas.tolist()),
            mean=mean,
            interval=interval,
            agrees=agrees,
            headline=sentence,
            objection="" if agrees else f"not with {name}",
        )

    def limit(self, result: SecondOpinion | None) -> str:
        """How many classifiers the verdict rests on."""
        if result is None:
            return "One classifier was used; confirm the result with another (--second-classifier)."
        return f"A second classifier was trained for the first difference. {result.headline}"
