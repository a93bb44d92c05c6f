"""Curves of generators: losses and samples during training, diversity of each class at its end."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gangda.comparing.cell_result import CellResult, TrainingCurves
from gangda.metrics.diversity import MIN_DISTINCT_MODES, MIN_DIVERSITY
from gangda.report.page import ACCENT, CALM, INK, MARKS, PALETTE, drawing, to_svg

MOST_CLASSES = 20  # rows of a figure; of more classes, the least varied
POINTS = 1200  # drawn in a line of all seeds together: the page stays small
TITLES = ("loss terms", "discriminator's accuracy", "samples, at each evaluation", "distance to real images")
OF_SAMPLES = {"gan_test": "GAN-test", "diversity": "diversity", "distinct_modes": "distinct modes"}

Seeds = Mapping[int, TrainingCurves]  # of one generator


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
        figures = {"figure": curves_figure(key, seeds), "classes": classes}
        found.append({"key": key, "shared": record.shared, "alarms": alarms, **figures})
    return found


def curves_figure(key: str, seeds: Seeds) -> str:
    """Loss terms, the discriminator's accuracy, and figures of the samples, over the generator's steps."""
    every = max(1, sum(len(curves.steps) for curves in seeds.values()) // POINTS)

    def draw_term(axes: Any, name: str, label: str, colour: str) -> None:
        """A line for each seed, thinned so that all together are not too long for the page."""
        pairs = [zip(each.steps, each.terms.get(name, ()), strict=False) for each in seeds.values()]
        lines = [[(step, value) for step, value in seed if value is not None][::every] for seed in pairs]
        _draw_lines(axes, lines, label, color=colour)

    def draw_evaluated(axes: Any, name: str, label: str, number: int) -> None:
        """A figure of the samples, one mark for each evaluation."""
        lines = [
            [(one["step"], one[name]) for one in curves.evaluations if one.get(name) is not None]
            for curves in seeds.values()
        ]
        style = {"color": PALETTE[number], "marker": MARKS[number], "ms": 3.5, "mec": "none"}
        _draw_lines(axes, lines, label, **style)

    names = sorted({name for curves in seeds.values() for name in curves.terms})
    losses = [name for name in names if name != "d_accuracy" and not name.endswith("gradient")]
    last = max(curves.steps[-1] for curves in seeds.values() if curves.steps)
    alarms = sorted({alarm.step for curves in seeds.values() for alarm in curves.alarms})
    with drawing(f"training-{key}", 7.2, 5.2, 2, 2) as (fig, axes):
        for number, name in enumerate(losses):
            draw_term(axes[0, 0], name, name, PALETTE[number % len(PALETTE)])
        draw_term(axes[0, 1], "d_accuracy", "", PALETTE[0])
        for number, (name, words) in enumerate(OF_SAMPLES.items()):
            draw_evaluated(axes[1, 0], name, words, number)
        draw_evaluated(axes[1, 1], "distance", "", 0)
        axes[0, 1].axhline(0.5, color=INK, lw=0.8, ls=":")
        axes[0, 1].set_ylim(0, 1.02)
        axes[0, 1].set_visible("d_accuracy" in names)  # only adversarial training has one
        axes[1, 0].set_ylim(0, 1.12 * max(axes[1, 0].get_ylim()[1], 1.0))
        axes[1, 1].set_ylim(0, 1.12 * max(axes[1, 1].get_ylim()[1], 0.0))
        for panel in axes[1]:  # a run may be too short for an evaluation
            panel.set_visible(bool(panel.lines))
        if axes[1, 0].lines:
            axes[1, 0].axhline(1.0, color=INK, lw=0.8, ls=":")
        for panel, title in zip(axes.flat, TITLES, strict=True):
            labels = panel.get_legend_handles_labels()[1]
            panel.set_title(title, fontsize=10, loc="left", pad=20 if labels else 6)
            if labels:  # above the curves, never over them
                where = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.1}
                panel.legend(ncols=4, fontsize=8, frameon=False, handlelength=1.2, columnspacing=1, **where)
            for step in alarms:
                panel.axvline(step, color=ACCENT, lw=1, ls="--", alpha=0.7)
            panel.set_xlim(-0.02 * last, 1.04 * last)
            panel.grid(axis="y", alpha=0.15, color=INK)
        for panel in axes[1]:
            panel.set_xlabel("generator steps")
        shown = "loss terms, the discriminator's accuracy, GAN-test, diversity and distance to real images"
        words = (
            f"Training curves of {key}: {shown} over steps; one thin line a seed. Alarms are listed below."
        )
        return to_svg(fig, words)


def _draw_lines(axes: Any, lines: Sequence[list[tuple[int, float]]], label: str, **style: Any) -> None:
    """A line for each seed, fainter where there are many; the first has the label."""
    alpha = 0.9 if len(lines) == 1 else 0.65 if len(lines) < 4 else 0.45
    for index, points in enumerate(lines):
        if points:
            steps, values = zip(*points, strict=True)
            axes.plot(steps, values, lw=1, alpha=alpha, label=label if index == 0 else "", **style)


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
    with drawing(f"classes-{key}", 7.2, 1.2 + 0.3 * len(order)) as (fig, axes):
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
        axes.set_xlabel("share of what real images of the class have; dashed: below, it counts as collapsed")
        fig.legend(loc="outside upper left", ncols=2, frameon=False)
        words = f"Diversity and distinct modes of each class of {key}"
        return to_svg(fig, f"{words} at the last evaluation, one mark a seed.")
