"""`gangda augment`: the real training images with synthetic ones added or put in their place, as a set.

The set holds images of the train split and what was made from it, never a test or validation image; a
generator is taken only if it saw nothing but this set's training and validation images.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gangda.augmenting.builder import fill, split_by_method
from gangda.augmenting.decision import Decision, decide, decision_of
from gangda.augmenting.plan import AugmentPlan
from gangda.augmenting.task import Task, header_of, provenance, task_of
from gangda.config.schema import (
    AugmentConfig,
    ClassifierConfig,
    DataConfig,
    Runtime,
    SamplerOptions,
    TransformConfig,
)
from gangda.data.images import IntArray
from gangda.data.loading import load_splits
from gangda.data.sample_set import SetHeader, SetIndex, finished_index
from gangda.runtime.progress import SILENT, Reporter
from gangda.sampling.filters import in_order
from gangda.sampling.set_result import SetResult, timed_set
from gangda.training.leaks import refuse_synthetic

__all__ = ["AugmentResult", "augment", "split_by_method"]


@dataclass(frozen=True, kw_only=True)
class AugmentResult(SetResult):
    """An augmented set.

    Attributes:
        plan: per class: have, want, make.
        generated, traditional: synthetic images of each class by origin, (K,).
        run: the run folder whose generator was used, if one was.
    """

    plan: AugmentPlan
    generated: IntArray
    traditional: IntArray
    run: Path | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values; one row of the plan per class."""
        rows = self.plan.as_dict(self.header.class_names)
        for row, generated, traditional in zip(
            rows, self.generated.tolist(), self.traditional.tolist(), strict=True
        ):
            row |= {"generated": generated, "traditional": traditional}
        return {
            **super().as_dict(),
            "plan": rows,
            "run": None if self.run is None else str(self.run),
            "chosen": self.header.provenance.get("chosen"),
        }


def augment(
    data: DataConfig,
    config: AugmentConfig,
    transforms: TransformConfig,
    runtime: Runtime,
    *,
    run: Path | None,
    out: Path | None,
    classifier: ClassifierConfig = ClassifierConfig(),  # noqa: B008  (frozen)
    sampler: SamplerOptions = SamplerOptions(),  # noqa: B008
    dry_run: bool = False,
    reporter: Reporter = SILENT,
) -> AugmentResult:
    """Make the plan and fill it; `out` defaults to augmented/<data>-<method>-<hash>.

    `run` None takes the newest finished run for these images. The subset of real images is drawn by
    `runtime.seed`. What the options leave open is chosen on validation images, by `classifier`; in a dry run too.

    Raises:
        UsageError: options that exclude each other, an unknown class, nothing to choose by.
        DataError: the real images cannot be read, or lack a class.
        RunError: no run for these images, one that saw others, `out` of somebody else's, a full disk.
    """
    splits = load_splits(data, runtime.seed)
    refuse_synthetic(splits)
    for note in splits.notes:
        reporter.line(note)
    task = task_of(splits, config, transforms, classifier, sampler, runtime, run, reporter)
    header = header_of(task, data, provenance(task))
    out = out or Path("augmented") / f"{splits.name}-{config.method}-{header.key[:8]}"
    finished = finished_index(out, header)
    if finished is not None:
        return _reprinted(task, header, out, finished, dry_run)
    decision = decide(task)
    if decision.record:
        header = replace(header, provenance={**header.provenance, "chosen": dict(decision.record)})
    result = _result(task, header, out, decision, dry_run)
    return result if dry_run else _fill(result, task, decision)


def _result(task: Task, header: SetHeader, out: Path, decision: Decision, dry_run: bool) -> AugmentResult:
    plan = decision.plan(task.splits.train)
    generated, traditional = split_by_method(plan.make, task.config.method)
    header = replace(header, total=tuple(plan.want.tolist()))
    return AugmentResult(
        out=out,
        header=header,
        plan=plan,
        generated=generated,
        traditional=traditional,
        run=task.run,
        dry_run=dry_run,
    )


def _reprinted(task: Task, header: SetHeader, out: Path, finished: SetIndex, dry_run: bool) -> AugmentResult:
    """The set that is there already.

    Raises:
        RunError: it does not say any more what was chosen for it.
    """
    decision = Decision(task.config)
    if task.config.is_open:
        decision = decision_of(
            finished.provenance.get("chosen"), task.config, len(header.class_names), str(out)
        )
    return _result(task, header, out, decision, dry_run).recorded(finished)


def _fill(result: AugmentResult, task: Task, decision: Decision) -> AugmentResult:
    """Write the set, with its contact sheet and cost."""
    header = result.header
    sampler = task.sampler(in_order(decision.config.filter)) if result.generated.any() else None
    if sampler is not None:
        header = replace(header, provenance={**header.provenance, "labels": sampler.as_dict()})
    seed, method = task.runtime.seed, task.config.method
    with timed_set(result.out, header) as writer:
        fill(writer, task.splits.train, result.plan, method, sampler, task.transforms, seed, task.reporter)
    return replace(result, header=header).written(writer)
