"""Curves of generators: losses and samples during training, diversity of each class at its end."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gangda.comparing.cell_result import CellResult, TrainingCurves
from gangda.metrics.diversity import MIN_DISTINCT_MODES, MIN_DIVERSITY
from gangda.report.page import ACCENT, CALM, INK, MARKS, PALETTE, drawing, to_svg

MOST_CLASSES = 20  # rows of a figure; of more classes, the least varied
POINTS = 1200  # drawn in a line of all seeds together: the page stays small
OF_SAMPLES = {"gan_test": "GAN-test", "diversity": "diversity", "distinct_modes": "distinct modes"}

# Each figure's panels by title: a line of reference, if there is one.
FIGURES: Mapping[str, Mapping[str, float | None]] = {
    "losses": {"loss terms": None, "discriminator's accuracy": 0.5},
    "samples": {"samples, at each evaluation": 1.0, "distance to real images": None},
}

Seeds = Mapping[int, TrainingCurves]  # of one generator
Line = Sequence[tuple[int, float]]  # of one seed: (step, value)


def trainings(cells: Sequence[CellResult]) -> list[dict[str, Any]]:
    """Of each generator that was trained step by step: its figure, its alarms, and its classes at the end."""
    found = []
    for key, record in cells[0].generators.items():
        seeds = {
            cell.seed: curves
            for cell in cells
            if key in cell.generators and (curves := cell.generators[key].curves) is not None
        }
        if not any(any(curves.terms.values()) for curves in seeds.values()):
            continue
        alarms = [
            {"seed": seed, "step": alarm.step, "text": "; ".join(alarm.texts)}
            for seed, curves in seeds.items()
            for alarm in curves.alarms
        ]
        classes = classes_figure(key, seeds, cells[0].class_names)
        figures = {"figures": curves_figures(key, seeds), "classes": classes}
        found.append({"key": key, "shared": record.shared, "alarms": alarms, **figures})
    return found


def curves_figures(key: str, seeds: Seeds) -> list[str]:
    """Loss terms and the discriminator's accuracy; figures of the samples: over the steps, without empty panels."""
    every = max(1, sum(len(curves.steps) for curves in seeds.values()) // POINTS)

    def term(name: str) -> list[Line]:
        """A line for each seed, thinned so that all together are not too long for the page."""
        pairs = [zip(each.steps, each.terms.get(name, ()), strict=False) for each in seeds.values()]
        return [[(step, value) for step, value in seed if value is not None][::every] for seed in pairs]

    def evaluated(name: str) -> list[Line]:
        return [
            [(one["step"], one[name]) for one in curves.evaluations if one.get(name) is not None]
            for curves in seeds.values()
        ]

    names = sorted({name for curves in seeds.values() for name in curves.terms})
    losses = [name for name in names if name != "d_accuracy" and not name.endswith("gradient")]
    lines = {
        "loss terms": {name: term(name) for name in losses},
        "discriminator's accuracy": {"": term("d_accuracy")},
        "samples, at each evaluation": {words: evaluated(name) for name, words in OF_SAMPLES.items()},
        "distance to real images": {"": evaluated("distance")},
    }
    last = max(curves.steps[-1] for curves in seeds.values() if curves.steps)
    alarms = sorted({alarm.step for curves in seeds.values() for alarm in curves.alarms})
    found = []
    for figure, references in FIGURES.items():
        # A run may be too short for an evaluation, and only adversarial training has a discriminator.
        panels = {title: lines[title] for title in references if any(map(any, lines[title].values()))}
        if not panels:
            continue
        with drawing(f"{figure}-{key}", 2.5 * len(panels), len(panels), 1, width=4.2) as (fig, grid):
            for axes, (title, curves) in zip(grid.flat, panels.items(), strict=True):
                _draw_panel(axes, title, curves, references[title])
                axes.set_xlim(-0.02 * last, 1.04 * last)
                for step in alarms:
                    axes.axvline(step, color=ACCENT, lw=1, ls="--", alpha=0.7)
            grid[-1, 0].set_xlabel("generator steps")
            words = f"Training curves of {key}: {' and '.join(panels)} over steps; one thin line a seed."
            found.append(to_svg(fig, f"{words} Alarms are listed below."))
    return found


def _draw_panel(axes: Any, title: str, curves: Mapping[str, Sequence[Line]], reference: float | None) -> None:
    """Thin lines, fainter where there are many seeds; labels above them, never over them."""
    marked = title in FIGURES["samples"]
    for number, (label, seeds) in enumerate(curves.items()):
        style: dict[str, Any] = {"lw": 1, "color": PALETTE[number % len(PALETTE)]}
        style["alpha"] = 0.9 if len(seeds) == 1 else 0.65 if len(seeds) < 4 else 0.45
        if marked:
            style |= {"marker": MARKS[number], "ms": 3.5, "mec": "none"}
        for index, line in enumerate(line for line in seeds if line):
            axes.plot(*zip(*line, strict=True), label=label if index == 0 else "", **style)
    labels = axes.get_legend_handles_labels()[1]
    axes.set_title(title, fontsize=10, loc="left", pad=20 if labels else 6)
    if labels:
        where = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.1}
        axes.legend(ncols=4, fontsize=8, frameon=False, handlelength=1.2, columnspacing=1, **where)
    if reference is not None:
        axes.axhline(reference, color=INK, lw=0.8, ls=":")
    if title != "loss terms":
        axes.set_ylim(0, 1.06 * max(axes.get_ylim()[1], 0.0 if reference is None else 1.0))
    axes.grid(axis="y", alpha=0.15, color=INK)


def classes_figure(key: str, seeds: Seeds, names: Sequence[str]) -> str | None:
    """Diversity and distinct modes of each class at the last evaluation; None where classes were not evaluated."""
    last = [curves.evaluations[-1] for curves in seeds.values() if curves.evaluations]
    spread, modes = (
        np.array([one[figure] for one in last if figure in one], float)
        for figure in ("diversity_per_class", "distinct_modes_per_class")
    )
    if not spread.size or spread.shape[1] != len(names):
        return None
    least = spread.min(axis=0)
    order = np.sort(np.argsort(np.where(np.isnan(least), np.inf, least))[:MOST_CLASSES])
    with drawing(f"classes-{key}", 1.2 + 0.3 * len(order)) as (fig, axes):
        axes.axvline(1.0, color=INK, lw=1)
        axes.axvline(MIN_DIVERSITY, color=CALM, lw=1, ls="--")
        axes.axvline(MIN_DISTINCT_MODES, color=ACCENT, lw=1, ls="--")
        for values, aside, colour, mark, words in (
            (spread, -0.14, CALM, "o", "diversity"),
            (modes, 0.14, ACCENT, "s", "distinct modes"),
        ):
            if values.size:
                shown = values[:, order]
                rows = np.broadcast_to(np.arange(len(order)) + aside, shown.shape)
                style = {"ms": 5, "alpha": 0.7, "color": colour, "mec": "none", "label": words}
                axes.plot(shown.ravel(), rows.ravel(), mark, **style)
        axes.set_yticks(range(len(order)), [names[k] for k in order], parse_math=False)
        axes.set_ylim(len(order) - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("share of real images' (dashed: collapsed below it)")
        fig.legend(loc="outside upper left", ncols=2, frameon=False)
        words = f"Diversity and distinct modes of each class of {key}"
        return to_svg(fig, f"{words} at the last evaluation, one mark a seed.")
