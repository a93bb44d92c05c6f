"""From finished variants to what the experiment found: `experiment.json` and `report.html`."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gangda.comparing.advice import TooFewImages
from gangda.comparing.cell_result import FailedCell
from gangda.comparing.comparison import NO_ADVICE, Advice
from gangda.comparing.results import failure_note, failure_words, last_day
from gangda.comparing.storage import StoredCells
from gangda.comparing.sweeps.settings import Setting, data_alarms
from gangda.data.images import FloatArray
from gangda.experiments import Experiment
from gangda.runtime.files import FORMAT_VERSION, write_bytes, write_json
from gangda.runtime.plain import to_plain
from gangda.statistics.components import Components
from gangda.statistics.differences import HIGHER, LOWER, TOO_FEW, against, summary_of
from gangda.statistics.signflip import smallest_p
from gangda.statistics.values import ArmSummary, Contrast, Difference, Interval
from gangda.statistics.words import points

BETTER = {  # by direction
    "higher": "higher is better",
    "lower": "lower is better",
    "target": "nearest to the floor, which real images reach, is better",
}
CHOSEN = {  # by `Findings.by_validation`
    None: "",
    True: "; chosen on validation images",
    False: "; chosen on the images that it is reported of, so flattering",
}
SHARES = ("gan_test", "cas")  # metrics that are accuracies


@dataclass(frozen=True)
class VariantRow:
    """A variant over the seeds."""

    name: str
    folder: str  # its name inside `variants`
    scores: tuple[float, ...]  # of each seed, in the figure that variants are compared in; NaN without one
    mean: float  # NaN where a cell has neither a value nor failed, or all failed
    sd: float
    interval: Interval | None
    figures: Mapping[str, float]  # mean of every figure
    failed: tuple[FailedCell, ...]
    seconds: float | None = None  # of a seed, mean (measure "compare": of its slowest arm)
    notes: tuple[str, ...] = ()
    headline: str = ""  # of measure "compare", as all to `report`: what its own comparison found
    advice: Advice | None = None
    verdict: str = ""
    worth: tuple[str, ...] = ()  # of its added images
    arms: tuple[ArmSummary, ...] = ()
    contrasts: tuple[Contrast, ...] = ()  # that it tested
    too_few_images: TooFewImages | None = None  # to decide the first of them, where it is inconclusive
    per_class: int | None = None  # real images
    report: str | None = None
    floors: Mapping[str, float | None] = field(default_factory=dict)  # of measure "score", as what follows
    validation: float | None = None  # the figure on validation images, mean; None where some seed has none
    validation_floor: float | None = None
    evaluations: tuple[tuple[Mapping[str, Any], ...], ...] = ()  # of each seed, during training
    spread: Components | None = None  # of CAS, where it was repeated
    steps: int | None = None  # of training

    @property
    def complete(self) -> bool:
        """Whether every seed whose cell has not failed has a value."""
        return sum(map(math.isfinite, self.scores)) == len(self.scores) - len(self.failed)


@dataclass(frozen=True)
class Findings:
    """What an experiment found."""

    figure: str  # what variants are compared in: an arm's score, or a metric
    direction: str  # of it, "higher" or "lower" is better, or "target": the floor is the ideal
    share: bool  # whether the figure is a share: shown in per cent, differences in points
    alpha: float
    rows: tuple[VariantRow, ...]
    differences: tuple[Difference, ...]  # of every variant against the first, where they can be tested
    notes: tuple[str, ...]
    headline: str = ""
    by_validation: bool | None = None  # whether the best variant is chosen so; None of measure "compare"
    day: str = ""  # on which the last cell was written, as in 2026-11-27
    seconds: float = 0.0  # of all cells together
    device: str = ""
    advice: Advice = NO_ADVICE


def compare_variants(
    experiment: Experiment, settings: Sequence[Setting], cells: Sequence[StoredCells[Any]]
) -> Findings:
    """How variants differ from the first, by their cells."""
    figure, compare = settings[0].figures[0], settings[0].plan.config.compare
    first = next(result for found in cells for result in found.results.values())
    direction = settings[0].direction(first)
    rows = tuple(_row(setting, found, compare.alpha) for setting, found in zip(settings, cells, strict=True))
    notes = data_alarms(settings)
    notes += [f"{row.name}: {note}" for row in rows if (note := failure_note(row.failed, compare.seeds))]
    differences: list[Difference] = []
    if len({setting.plan.fingerprint for setting in settings}) > 1:
        notes.append("The variants have different images: no difference between them is tested.")
    elif experiment.between and len(rows) > 1:
        reference, known = rows[0].name, {row.name: row.scores for row in rows if row.complete}
        if reference in known and len(known) > 1:
            differences = against(reference, known, compare.alpha)
        if lacking := [row.name for row in rows if not row.complete]:
            what = "no difference is tested" if reference in lacking else "they are not tested"
            notes.append(f"{figure} has no value in some seed of {'; '.join(lacking)}: {what}.")
    notes += _too_few(differences, compare.alpha)
    share = experiment.measure == "compare" or figure in SHARES
    chosen = None
    if experiment.measure == "score":
        chosen = all(row.validation is not None for row in rows if math.isfinite(row.mean))
    findings = Findings(
        figure,
        direction,
        share,
        compare.alpha,
        rows,
        tuple(differences),
        tuple(notes),
        by_validation=chosen,
        day=last_day(setting.folder / setting.kind.folder for setting in settings),
        seconds=sum(result.seconds for found in cells for result in found.results.values()),
        device=settings[0].plan.config.runtime.device,
    )
    return dataclasses.replace(findings, headline=_headline(findings, between=experiment.between))


def _row(setting: Setting, found: StoredCells[Any], alpha: float) -> VariantRow:
    def values(figure: str) -> FloatArray:
        """A figure of every seed, float64 (n,); NaN where it has no value, or the cell failed."""
        results = [found.results.get(cell.index) for cell in setting.plan.cells]
        each = [None if result is None else setting.value(result, figure) for result in results]
        return np.array(each, dtype=np.float64)

    def known(figure: str) -> FloatArray | None:
        """Its values; None where a seed whose cell has not failed has none, or all failed."""
        finite = (each := values(figure))[np.isfinite(each)]
        return finite if 0 < len(finite) == len(each) - len(found.failed) else None

    found_of = {name: known(name) for name in setting.figures}
    figures = {name: math.nan if each is None else float(np.mean(each)) for name, each in found_of.items()}
    main, each = next(iter(found_of.items()))
    summary = None if each is None else summary_of(setting.name, each, alpha)
    return VariantRow(
        setting.name,
        folder=setting.folder.name,
        scores=tuple(values(main).tolist()),
        mean=figures[main],
        sd=math.nan if summary is None else summary.sd,
        interval=None if summary is None else summary.interval,
        figures=figures,
        failed=found.failed,
        **setting.details(found),
    )


def _too_few(differences: Sequence[Difference], alpha: float) -> list[str]:
    """A note on the differences that so few seeds cannot decide, whatever they are."""
    if not (short := [difference for difference in differences if difference.verdict == TOO_FEW]):
        return []
    n = min(len(difference.deltas) for difference in short)
    some = "" if len(short) == len(differences) else f" ({'; '.join(one.name for one in short)})"
    several = len(differences) > 1
    tested = f"{len(differences)} differences are" if several else "one difference is"
    return [
        f"{n} seeds give no p below {smallest_p(n):.3g}, which is not enough where {tested} tested at {alpha:g}"
        f"{' (Holm)' if several else ''}: too few seeds for a verdict{some}; add --seeds."
    ]


def _headline(findings: Findings, *, between: bool) -> str:
    """What differs from the reference; where variants are not compared with each other, the verdict of each."""
    rows, differences = findings.rows, findings.differences
    lost = "".join(f" {row.name}:{reason}" for row in rows if (reason := failure_words(row.failed)))
    if (not between or len(rows) == 1) and all(row.verdict for row in rows):
        return " ".join([rows[0].verdict] if len(rows) == 1 else map(_own_verdict, rows)) + lost
    lead = best_of(findings)
    decided = [one for one in differences if one.verdict in (HIGHER, LOWER)]
    if not differences:
        return lead + lost
    if not decided:
        return f"{lead} No variant was shown to differ from {rows[0].name}.{lost}"
    scale, form, unit = (100, ".2f", " points") if findings.share else (1, ".4f", "")
    words = [
        f"{d.name} is {d.verdict} by {scale * abs(d.mean):{form}}{unit} (adjusted p {d.adjusted_p:.3g})"
        for d in decided
    ]
    return f"{lead} Against {rows[0].name}: {'; '.join(words)}.{lost}"


def _own_verdict(row: VariantRow) -> str:
    """The verdict of a variant's own comparison, short."""
    if not row.contrasts:
        return f"{row.name}: {row.verdict}"
    one = row.contrasts[0]
    return f"{row.name}: {one.verdict} ({one.name}, {points(one.mean, signed=True)} points)."


def badness(findings: Findings, row: VariantRow) -> float:
    """The mean that chooses the best variant, so that less is better; NaN where there is none, or no floor for it."""
    of_test = row.mean, row.floors.get(findings.figure)
    value, floor = (row.validation, row.validation_floor) if findings.by_validation else of_test
    if value is None or findings.direction == "target":
        return math.nan if value is None or floor is None else abs(value - floor)
    return -value if findings.direction == "higher" else value


def best_of(findings: Findings) -> str:
    """The variant with the best mean, in a sentence."""
    known = [
        row for row in findings.rows if math.isfinite(row.mean) and math.isfinite(badness(findings, row))
    ]
    if not known:
        return f"No variant can be called best in {findings.figure}: it has no value, or no floor to be measured by."
    best = min(known, key=lambda row: badness(findings, row))
    value = f"{best.mean:.2%}" if findings.share else f"{best.mean:.4f}"
    return f"Best mean: {best.name}, {value} ({BETTER[findings.direction]}{CHOSEN[findings.by_validation]})."


def publish(out: Path, about: Mapping[str, Any], findings: Findings) -> None:
    """Write `experiment.json` and `report.html`."""
    from gangda.comparing.report.page import render_experiment

    document = {
        "format_version": FORMAT_VERSION,
        "kind": "experiment findings",
        **about,
        **to_plain(findings),
    }
    write_json(out / "experiment.json", document)
    page = render_experiment(document, BETTER[findings.direction])
    write_bytes(out / "report.html", page.encode())
