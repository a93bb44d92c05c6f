"""The HTML report of a comparison: one file that loads nothing from a network."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gangda.comparing.analyses import load_analyses, rendered
from gangda.comparing.arm_sets import passes_of
from gangda.comparing.cell_result import CellResult, ClassImages
from gangda.comparing.comparison import DECIDED, Comparison, objections_to
from gangda.comparing.plan import ComparisonPlan
from gangda.comparing.report import tables
from gangda.comparing.report.figures import Dots, dots_figure, ratio_figure
from gangda.comparing.report.gain_figure import gain_figure, spread
from gangda.comparing.report.training_figures import trainings
from gangda.config import resolve
from gangda.config.arms import parse_arm
from gangda.config.schema import CompareConfig
from gangda.metrics.names import readable
from gangda.report.grids import sheet
from gangda.report.page import ACCENT, CALM, INK, drawing, to_svg
from gangda.statistics.values import Contrast, Judgement
from gangda.statistics.words import bounds_text

GLANCE = 3  # images of a class, real and generated, on the first screen
OF_SAMPLES = {
    "gan_test": "GAN-test, validation images",
    "diversity": "diversity, ratio to real",
    "distance": "distance to real images",
}


def _ratio_words(compare: CompareConfig) -> str:
    """What the numbers that arms choose from mean."""
    if compare.fill:
        return "every class is filled up to this many times the largest"
    if compare.replace:
        return "share of each class that is generated in place of real"
    added = ", spent on the smallest classes first" if compare.balance else " added"
    return f"generated images per real one{added}"


def render(comparison: Comparison, plan: ComparisonPlan) -> str:
    """The page."""
    judged, cells, config = comparison.judgement, comparison.cells, plan.config
    names = [arm.name for arm in judged.arms]
    main = next((contrast for contrast in judged.contrasts if contrast.primary), None)
    known = load_analyses()
    parts = [known[name].section(result, comparison) for name, result in comparison.analyses.items()]
    limits = [analysis.limit(comparison.analyses.get(name)) for name, analysis in known.items()]
    grids = [(cell.seed, cell.pictures) for cell in cells if cell.pictures is not None]
    ratios = ratio_figure(cells, names, judged.score)
    return rendered(
        "comparison.html",
        contents=[],
        comparison=comparison,
        plan=plan,
        notes=comparison.notes,
        judged=judged,
        main=main,
        word=word_of(main, comparison),
        bounds=bounds_text(judged.n, judged.n_test, judged.test_se, judged.resolution, judged.score),
        arms=list(zip(judged.arms, comparison.arms, strict=True)),
        **_dots_figures(judged),
        counts=cells[0].rows,
        shape=cells[0].image_shape,
        glance=_glance(cells),
        spent=sum(cell.seconds for cell in cells),
        alarmed=any(note.startswith("ALARM") for note in comparison.notes),
        seeds=[cell.seed for cell in cells],
        sections=[part for part in parts if part is not None],
        limits=[limit for limit in limits if limit],
        ratios=ratios or any(len(set(arm.ratios or ())) > 1 for arm in comparison.arms),
        ratio_figure=ratios,
        ratio_words=_ratio_words(config.compare),
        added=tables.added_table(comparison.arms, cells[0].class_names, cells[0].rows["train"].per_class),
        passes=max(passes_of(config, *parse_arm(arm.name)) for arm in comparison.arms),
        filters=comparison.filters,
        recall=tables.recall_table(cells, names),
        confusion=tables.confusion_tables(cells),
        grids=grids,
        generator=tables.generator_row(cells, config.arch),
        trainings=trainings(cells),
        nearest=[
            (seed, tables.nearest_images(key, found, seed))
            for seed, pictures in grids
            for key, found in pictures.nearest.items()
        ],
        sheet=sheet,
        config_yaml=resolve.dump(config),
    )


def _dots_figures(judged: Judgement) -> dict[str, str]:
    """Scores of the arms, and their differences."""
    score = judged.score
    arms = [Dots(arm.name, arm.scores, arm.mean, arm.interval) for arm in judged.arms]
    contrasts = [
        Dots(one.name, one.deltas, one.mean, one.interval, one.verdict.startswith(DECIDED), one.margin)
        for one in judged.contrasts
    ]
    label = f"difference in {score}, points; the band is the equivalence margin"
    words = f"{score.capitalize()} of each arm"
    return {
        "arms_figure": dots_figure("arms", arms, f"{score} on the test set, per cent", words),
        "contrasts_figure": dots_figure("contrasts", contrasts, label, "Differences between arms", zero=True),
    }


def _glance(cells: Sequence[CellResult]) -> list[ClassImages]:
    """The first images of each class of the first seed that has any, real and generated."""
    found = next((cell.pictures.classes for cell in cells if cell.pictures is not None), ())
    return [
        ClassImages(one.name, one.real[:GLANCE], None if one.generated is None else one.generated[:GLANCE])
        for one in found
        if len(one.real)
    ]


def word_of(main: Contrast | None, comparison: Comparison) -> str:
    """The verdict in a few words; an analysis may take a decided one back."""
    if main is None:
        return "no verdict"
    return main.verdict + objections_to(main.verdict, comparison.analyses)


def render_experiment(document: Mapping[str, Any], better: str) -> str:
    """The page of `experiment.json`'s content; `better` says in words which values of the figure are better."""
    rows, share, figure = document["rows"], document["share"], readable(document["figure"])
    curves = [training_curve(rows, key, words) for key, words in OF_SAMPLES.items()]
    differences = [_dots(row, "deltas") for row in document["differences"]]
    scale, (unit, apart) = (100, (", per cent", ", points")) if share else (1, ("", ""))
    scores = [_dots(row, "scores") for row in rows]
    words, difference = f"{figure} of each setting", "difference of each setting"
    shown = dots_figure(f"settings-{figure}", scores, figure + unit, words, scale=scale)
    how: dict[str, Any] = {"scale": scale, "zero": True}
    # Variants may have different arms.
    means = {row["name"]: {arm["name"]: arm["mean"] for arm in row["arms"]} for row in rows}
    return rendered(
        "experiment.html",
        contents=[],
        document=document,
        notes=document["notes"],
        better=better,
        spread=[row for row in rows if row.get("spread")],
        figure=shown,
        figure_name=figure,
        readable=readable,
        arms=list(dict.fromkeys(name for each in means.values() for name in each)),
        means=means,
        gains=gain_figure(document),
        differences=dots_figure("settings-difference", differences, f"difference{apart}", difference, **how),
        curves=[svg for svg in curves if svg is not None],
    )


def _dots(row: Mapping[str, Any], values: str) -> Dots:
    """NaN, which draws nothing, stands for a mean or a value that there is not."""
    mean = math.nan if row["mean"] is None else row["mean"]
    return Dots(row["name"], row[values], mean, row["interval"])


def training_curve(rows: Sequence[Mapping[str, Any]], key: str, words: str) -> str | None:
    """A figure of the samples over steps, a line for each variant (mean over its seeds); None where no seed has it."""
    curves = {row["name"]: _means(row.get("evaluations", ()), key) for row in rows}
    if not any(curves.values()):
        return None
    with drawing(f"course-{key}", 3.0) as (fig, axes):
        shades = np.linspace(0.35, 1.0, max(1, len(rows)))
        for number, means in enumerate(curves.values()):
            style = {"color": ACCENT if number == 0 else CALM, "alpha": shades[number]}
            axes.plot(list(means), list(means.values()), "o-", ms=4, lw=1.5, **style)
        ends = {name: list(means.items())[-1] for name, means in curves.items() if means}
        low, high = axes.get_ylim()
        places = spread([value for _, value in ends.values()], 0.07 * (high - low))  # none covers another
        for (name, (step, _)), place in zip(ends.items(), places, strict=True):
            how = {"textcoords": "offset points", "va": "center", "parse_math": False}
            axes.annotate(name, (step, place), (6, 0), color=INK, fontsize=8, **how)
        axes.set(xlabel="generator steps", ylabel=words)
        axes.grid(axis="y", alpha=0.15, color=INK)
        return to_svg(fig, f"{words} during training, one line for each variant.")


def _means(seeds: Sequence[Sequence[Mapping[str, Any]]], key: str) -> dict[int, float]:
    """Mean over the seeds at each step at which all of them were evaluated."""
    found = [{one["step"]: one[key] for one in seed if one.get(key) is not None} for seed in seeds]
    steps = sorted(set.intersection(*map(set, found))) if found else []
    return {step: float(np.mean([one[step] for one in found])) for step in steps}
