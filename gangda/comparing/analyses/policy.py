"""Which traditional transforms the seeds chose under `--policy auto`, and how all policies scored."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gangda.comparing.analyses import (
    Additions,
    Analysis,
    AnalysisResult,
    Evaluator,
    Judged,
    Section,
    Table,
    rendered,
)
from gangda.comparing.comparison import Comparison
from gangda.comparing.policy_choice import PolicyChoice
from gangda.config.arms import parse_arm
from gangda.config.policies import AUTO, FINALISTS, FOLDS, SEARCH_STEPS
from gangda.config.schema import ComparisonConfig
from gangda.errors import UsageError
from gangda.report.page import percent


@dataclass(frozen=True)
class PolicyRow:
    """A policy over the seeds."""

    policy: str
    mixup: float
    chosen: int  # seeds that chose it
    finalist: int  # seeds in which it was scored on all folds
    score: float | None  # mean over those, in [0, 1]; None where there are none


@dataclass(frozen=True, kw_only=True)
class PolicyTable(AnalysisResult):
    """All policies, as they were listed."""

    rows: tuple[PolicyRow, ...]


class PolicyAnalysis(Analysis):
    """`--policy auto`: a cell begins with the choice (`cells.py`); this records and shows it."""

    cell_type, result_type = PolicyChoice, PolicyTable

    def plan(self, config: ComparisonConfig) -> Additions | None:
        """Nothing more; a UsageError where no arm has these transforms."""
        if config.transforms.policy != AUTO:
            return None
        if not any(parse_arm(name)[0].rule.transforms == "traditional" for name in config.compare.arms):
            raise UsageError(
                "--policy auto: none of these --arms has the traditional transforms; leave it out"
            )
        return Additions(fixed={"steps": f"1/{SEARCH_STEPS}", "finalists": f"1/{FINALISTS}"})

    def run_in_cell(self, evaluator: Evaluator, config: ComparisonConfig) -> PolicyChoice | None:
        """What the cell's arms were trained with."""
        return evaluator.policy

    def judge(self, found: Sequence[PolicyChoice], judged: Judged) -> PolicyTable:
        """How often each was chosen, and its mean score."""
        counts = Counter((one.policy, one.mixup) for one in found)
        rows = []
        for place, trial in enumerate(found[0].trials):
            tried = [cell.trials[place] for cell in found]
            most = [max(other.images for other in cell.trials) for cell in found]
            scores = [
                one.score
                for one, whole in zip(tried, most, strict=True)
                if one.score is not None and one.images == whole
            ]
            mean = float(np.mean(scores)) if scores else None
            key = (trial.policy, trial.mixup)
            rows.append(PolicyRow(*key, counts[key], len(scores), mean))
        words = ", ".join(f"{named(*key)} in {count}" for key, count in counts.most_common())
        said = (
            f"Every arm with the traditional transforms used the policy that its seed chose among {len(rows)} by "
            f"{FOLDS}-fold cross-validation on its real images, without generated ones: {words}."
        )
        if any(parse_arm(arm.name)[0].generated for arm in judged.judgement.arms):
            said += " What suits the generated images was not asked, which favours the control."
        return PolicyTable(rows=tuple(rows), sentences=(said,))

    def section(self, result: PolicyTable, comparison: Comparison) -> Section:
        """A table."""
        values = {
            "rows": result.rows,
            "sentences": result.sentences,
            "score": comparison.judgement.score,
            "folds": FOLDS,
        }
        return Section("policy", "Traditional transforms, chosen", rendered("policy.html", **values))

    def limit(self, result: PolicyTable | None) -> str:
        """Whether the control was tuned."""
        return (
            "" if result else "The traditional transforms were given, not tuned; --policy auto chooses them."
        )

    def tables(self, result: PolicyTable) -> tuple[Table]:
        """The same."""
        rows = [
            (named(row.policy, row.mixup), str(row.chosen), percent(row.score), str(row.finalist))
            for row in result.rows
        ]
        title = f"Traditional transforms by {FOLDS}-fold cross-validation on the real images"
        return (Table(title, ("policy", "seeds that chose it", "mean %", "seeds scored on all folds"), rows),)


def named(policy: str, mixup: float) -> str:
    """A policy in words, as in "weak, mixup 0.2"."""
    return f"{policy}, mixup {mixup:g}" if mixup else policy
