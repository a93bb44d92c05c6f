"""Curves of a comparison: validation score over ratios, losses and samples during training, diversity of each class."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gangda.comparing.cell_result import CellResult, TrainingCurves
from gangda.metrics.diversity import MIN_DISTINCT_MODES, MIN_DIVERSITY
from gangda.report.svg import ACCENT, CALM, INK, PALETTE, drawing, figure, panels, to_svg

MOST_CLASSES = 20  # rows of a figure; of more classes, the least varied
POINTS = 1200  # drawn in a line of all seeds together: the page stays small
MARKS = ("o", "s", "^", "D", "v", "P")
TITLES = (
    "loss terms",
    "discriminator's accuracy",
    "samples, at each evaluation",
    "distance to real images",
)
OF_SAMPLES = {"gan_test": "GAN-test", "diversity": "diversity", "distinct_modes": "distinct modes"}

Seeds = Mapping[int, TrainingCurves]  # of one generator
Points = list[tuple[int, float]]


def ratio_figure(cells: Sequence[CellResult], arms: Sequence[str], score: str = "accuracy") -> str | None:
    """Validation score over the candidate ratios, a line for each arm and filter; None where no arm had a choice."""
    curves = {label: points for arm in arms for label, points in _candidates(cells, arm).items()}
    curves = {label: points for label, points in curves.items() if len(points) > 1}
    if not curves:
        return None
    with drawing("ratios"):
        fig, axes = figure(7.2, 3.4)
        shift = 0.012 * max(max(points) for points in curves.values())
        for number, (arm, points) in enumerate(curves.items()):
            colour, mark = PALETTE[number % len(PALETTE)], MARKS[number % len(MARKS)]
            ratios = sorted(points)
            aside = (number - (len(curves) - 1) / 2) * shift
            for ratio in ratios:
                places = [ratio + aside] * len(points[ratio])
                axes.plot(places, points[ratio], mark, ms=4, alpha=0.55, color=colour, mec="none")
            means = [float(np.mean(points[ratio])) for ratio in ratios]
            axes.plot(ratios, means, f"{mark}-", ms=6, lw=2, color=colour, mec="none", label=arm)
        axes.set_xticks(sorted({ratio for points in curves.values() for ratio in points}))
        axes.set_xlabel("candidate ratio")
        axes.set_ylabel(f"validation {score}, per cent")
        axes.grid(axis="y", alpha=0.15, color=INK)
        columns = 3 if max(map(len, curves)) <= 24 else 2  # what fits beside each other
        fig.legend(loc="outside upper left", ncols=columns, frameon=False)
        return to_svg(fig, f"Validation {score} over candidate ratios: a line for each arm, dots are seeds.")


def _candidates(cells: Sequence[CellResult], arm: str) -> dict[str, dict[float, list[float]]]:
    """For the arm with each filter that it could choose: ratio -> validation score of each seed, in per cent."""
    found: dict[str, dict[float, list[float]]] = {arm: {}}
    for cell in cells:
        for trial in cell.arms[arm].candidates:
            if trial.validation is not None and trial.ratio is not None:
                points = found.setdefault(", ".join([arm, *trial.filters]), {})
                points.setdefault(trial.ratio, []).append(100 * trial.validation)
    for points in found.values():  # without added images no filter differs
        points.update({0.0: found[arm][0.0]} if 0.0 in found[arm] else {})
    return found


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
    names = sorted({name for curves in seeds.values() for name in curves.terms})
    losses = [name for name in names if name != "d_accuracy" and not name.endswith("gradient")]
    last = max(curves.steps[-1] for curves in seeds.values() if curves.steps)
    alarms = sorted({alarm.step for curves in seeds.values() for alarm in curves.alarms})
    with drawing(f"training-{key}"):
        fig, axes = panels(7.2, 5.2, 2, 2)
        for number, name in enumerate(losses):
            _lines(axes[0, 0], seeds, _term(name, seeds), name, color=PALETTE[number % len(PALETTE)])
        _lines(axes[0, 1], seeds, _term("d_accuracy", seeds), "", color=PALETTE[0])
        for number, (name, words) in enumerate(OF_SAMPLES.items()):
            _marked(axes[1, 0], seeds, name, words, number)
        _marked(axes[1, 1], seeds, "distance", "", 0)
        axes[0, 1].axhline(0.5, color=INK, lw=0.8, ls=":")
        axes[0, 1].set_ylim(0, 1.02)
        axes[0, 1].set_visible("d_accuracy" in names)  # only adversarial training has one
        axes[1, 0].set_ylim(0, 1.12 * max(axes[1, 0].get_ylim()[1], 1.0))
        axes[1, 1].set_ylim(0, 1.12 * max(axes[1, 1].get_ylim()[1], 0.0))
        if axes[1, 0].lines:
            axes[1, 0].axhline(1.0, color=INK, lw=0.8, ls=":")
        for panel, title in zip(axes.flat, TITLES, strict=True):
            panel.set_title(title, fontsize=10, loc="left")
            if panel.get_legend_handles_labels()[1]:
                panel.legend(loc="best", fontsize=8, frameon=False, handlelength=1.2)
            for step in alarms:
                panel.axvline(step, color=ACCENT, lw=1, ls="--", alpha=0.7)
            panel.set_xlim(-0.02 * last, 1.04 * last)
            panel.grid(axis="y", alpha=0.15, color=INK)
        for panel in axes[1]:
            panel.set_xlabel("generator steps")
        return to_svg(
            fig,
            f"Training curves of {key}: loss terms, the discriminator's accuracy, GAN-test, diversity and "
            "distance to real images over steps; one thin line a seed. Alarms are listed below.",
        )


def _term(name: str, seeds: Seeds) -> Callable[[TrainingCurves], Points]:
    """Points of a loss term, thinned so that the lines of all seeds are not too long for the page."""
    every = max(1, sum(len(curves.steps) for curves in seeds.values()) // POINTS)

    def points(curves: TrainingCurves) -> Points:
        values = zip(curves.steps, curves.terms.get(name, ()), strict=False)
        return [(step, value) for step, value in values if value is not None][::every]

    return points


def _marked(axes: Any, seeds: Seeds, name: str, label: str, number: int) -> None:
    """A figure of the samples, one mark for each evaluation."""

    def points(curves: TrainingCurves) -> Points:
        return [(one["step"], one[name]) for one in curves.evaluations if one.get(name) is not None]

    _lines(axes, seeds, points, label, color=PALETTE[number], marker=MARKS[number], ms=3.5, mec="none")


def _lines(
    axes: Any, seeds: Seeds, points_of: Callable[[TrainingCurves], Points], label: str, **style: Any
) -> None:
    """A line for each seed, fainter where there are many; the first has the label."""
    alpha = 0.9 if len(seeds) == 1 else 0.65 if len(seeds) < 4 else 0.45
    for index, curves in enumerate(seeds.values()):
        points = points_of(curves)
        if points:
            steps, values = zip(*points, strict=True)
            axes.plot(steps, values, lw=1, alpha=alpha, label=label if index == 0 else "", **style)


def classes_figure(key: str, seeds: Seeds, names: Sequence[str]) -> str | None:
    """Diversity and distinct modes of each class at the last evaluation; None where classes were not evaluated."""
    last = [curves.evaluations[-1] for curves in seeds.values() if curves.evaluations]
    spread = np.array([one["diversity_per_class"] for one in last if "diversity_per_class" in one], float)
    modes = np.array(
        [one["distinct_modes_per_class"] for one in last if "distinct_modes_per_class" in one], float
    )
    if not spread.size or spread.shape[1] != len(names):
        return None
    least = spread.min(axis=0)
    order = np.sort(np.argsort(np.where(np.isnan(least), np.inf, least))[:MOST_CLASSES])
    with drawing(f"classes-{key}"):
        fig, axes = figure(7.2, 1.2 + 0.3 * len(order))
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
        axes.set_yticks(range(len(order)), [names[k] for k in order])
        axes.set_ylim(len(order) - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("share of what real images of the class have; dashed: below, it counts as collapsed")
        fig.legend(loc="outside upper left", ncols=2, frameon=False)
        return to_svg(
            fig,
            f"Diversity and distinct modes of each class of {key} at the last evaluation, one mark a seed.",
        )
