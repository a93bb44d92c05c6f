"""`gangda augment`: the real training images with synthetic ones added or put in their place, as a set.

The set holds images of the train split and what was made from it, never a test or validation image; a
generator is taken only if it saw nothing but this set's training and validation images.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gangda.augmenting.decision import decide, recorded_decision
from gangda.augmenting.plan import AugmentPlan, split_by_method
from gangda.augmenting.task import fill, load_task
from gangda.config.schema import AugmentationConfig
from gangda.data.images import IntArray
from gangda.data.sample_set import SetIndex, finished_index
from gangda.runtime.files import refuse_unwritable
from gangda.runtime.progress import SILENT, Reporter
from gangda.sampling.filters import in_order
from gangda.sampling.writing import SetResult, timed_set


@dataclass(frozen=True, kw_only=True)
class AugmentResult(SetResult):
    """An augmented set."""

    plan: AugmentPlan  # per class: have, want, make
    generated: IntArray  # synthetic images of each class by origin, (K,)
    traditional: IntArray
    pseudo_labelled: IntArray  # unlabelled images that were added under each class, (K,); in a dry run none
    run: Path | None  # the run folder whose generator was used, if one was
    samples: Path | None = None  # the set whose images were used, if one was
    data_alarms: tuple[str, ...] = ()  # about the images

    def as_dict(self) -> dict[str, Any]:
        """Plain values; one row of the plan per class."""
        rows = self.plan.as_dict(self.index.class_names)
        names = ("generated", "traditional", "pseudo_labelled")
        made = zip(*(getattr(self, name).tolist() for name in names), strict=True)
        return {
            **super().as_dict(),
            "plan": [
                {**row, **dict(zip(names, counts, strict=True))}
                for row, counts in zip(rows, made, strict=True)
            ],
            "run": None if self.run is None else str(self.run),
            "samples": None if self.samples is None else str(self.samples),
            "shard": list(self.index.shard),
            "chosen": self.index.provenance.get("chosen"),
            "data_alarms": list(self.data_alarms),
        }


def augment(
    config: AugmentationConfig,
    run: Path | None = None,
    out: Path | None = None,
    *,
    samples: Path | None = None,
    dry_run: bool = False,
    reporter: Reporter = SILENT,
) -> AugmentResult:
    """Make the plan and fill it; `out` defaults to augmented/<data>-<method>-<hash>.

    `run` None takes the newest finished run for these images; `samples` is a set whose generated images are taken in
    place of a run's, the first ones of each class. What the options leave open is chosen on validation
    images.

    Raises:
        UsageError: options that exclude each other, an unknown class, nothing to choose by.
        DataError, RunError: images, or a run, that cannot be used; `out` of somebody else's; a full disk.
    """
    task, method = load_task(config, run, samples, reporter), config.augment.method
    header = task.header()
    out = out or Path("augmented") / f"{task.splits.name}-{method}-{header.key[:8]}"
    index = finished_index(out, header)
    reprinted = index is not None
    if not (dry_run or reprinted):
        refuse_unwritable(out)
    decision = decide(task) if index is None else recorded_decision(index, config.augment, out)
    plan = decision.plan(task.splits.train)
    if said := plan.too_few(task.splits.train.class_names):
        reporter.line(said)
    generated, traditional = split_by_method(plan.make, method)
    chosen = {"chosen": dict(decision.record)} if decision.record else {}
    want = tuple(plan.want.tolist())
    header = replace(header, total=want, provenance={**header.provenance, **chosen})
    if dry_run and not reprinted:
        index = SetIndex(**vars(header), counts=want)
    if index is None:
        sampler = task.sampler(in_order(decision.config.filter)) if generated.any() else None
        more = {} if sampler is None else {"labels": sampler.as_dict()}
        found = task.pseudo_labelled()
        if config.augment.pseudo_label:
            more["pseudo_labelled"] = found.counts().tolist()
            want = tuple((plan.want + found.counts()).tolist())
        header = replace(header, total=want, provenance={**header.provenance, **more})
        with timed_set(out, header) as writer:
            fill(writer, task, plan, sampler, found)
        index = writer.index
    return AugmentResult(
        out=out,
        index=index,
        plan=plan,
        generated=generated,
        traditional=traditional,
        pseudo_labelled=np.array(index.provenance.get("pseudo_labelled", [0] * len(want)), dtype=np.int64),
        run=None if task.model is None else task.model.run,
        samples=None if task.stored is None else task.stored.path,
        data_alarms=task.splits.alarms,
        dry_run=dry_run,
        reprinted=reprinted,
    )
