"""Curves of a comparison: validation accuracy over ratios, the course of training, what is left of each class."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gangda.metrics.diversity import MIN_DISTINCT_MODES, MIN_DIVERSITY
from gangda.report.svg import ACCENT, CALM, INK, PALETTE, drawing, figure, panels, to_svg

MOST_CLASSES = 20  # rows of a figure; of more classes, the least varied
POINTS = 1200  # drawn in a line of all seeds together: the page stays small
MARKS = ("o", "s", "^", "D", "v", "P")


def ratio_figure(
    cells: Sequence[Mapping[str, Any]], arms: Sequence[str], score: str = "accuracy"
) -> str | None:
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
                seeds = np.array(points[ratio])
                axes.plot(
                    np.full(len(seeds), ratio + aside),
                    seeds,
                    mark,
                    ms=4,
                    alpha=0.55,
                    color=colour,
                    mec="none",
                )
            means = [float(np.mean(points[ratio])) for ratio in ratios]
            axes.plot(ratios, means, f"{mark}-", ms=6, lw=2, color=colour, mec="none", label=arm)
        axes.set_xticks(sorted({ratio for points in curves.values() for ratio in points}))
        axes.set_xlabel("candidate ratio")
        axes.set_ylabel(f"validation {score}, per cent")
        axes.grid(axis="y", alpha=0.15, color=INK)
        columns = 3 if max(map(len, curves)) <= 24 else 2  # what fits beside each other
        fig.legend(loc="outside upper left", ncols=columns, frameon=False)
        return to_svg(fig, f"Validation {score} over candidate ratios: a line for each arm, dots are seeds.")


def _candidates(cells: Sequence[Mapping[str, Any]], arm: str) -> dict[str, dict[float, list[float]]]:
    """For the arm with each filter that it could choose: ratio -> validation score of each seed, in per cent."""
    found: dict[str, dict[float, list[float]]] = {arm: {}}
    for cell in cells:
        for candidate in cell["arms"][arm]["candidates"]:
            if candidate["validation"] is not None:
                label = ", ".join([arm, *candidate.get("filter", ())])
                points = found.setdefault(label, {})
                points.setdefault(candidate["ratio"], []).append(100 * candidate["validation"])
    for points in found.values():  # without added images no filter differs
        points.update({0.0: found[arm][0.0]} if 0.0 in found[arm] else {})
    return found


def trainings(cells: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each generator that was trained step by step: its figure, its alarms, and its classes at the end."""
    found = []
    for key in cells[0].get("generators", ()):
        seeds = [
            {"seed": cell["seed"], **cell["generators"][key]["course"]}
            for cell in cells
            if cell["generators"].get(key, {}).get("course")
        ]
        if not seeds or not any(one["steps"] for one in seeds):
            continue
        alarms = [
            {"seed": one["seed"], "step": alarm["step"], "text": "; ".join(alarm["texts"])}
            for one in seeds
            for alarm in one["alarms"]
        ]
        names = cells[0]["class_names"]
        found.append(
            {
                "key": key,
                "shared": cells[0]["generators"][key].get("shared", False),
                "figure": course_figure(key, seeds),
                "alarms": alarms,
                "classes": classes_figure(key, seeds, names),
            }
        )
    return found


def course_figure(key: str, seeds: Sequence[Mapping[str, Any]]) -> str:
    """Loss terms, the discriminator's accuracy, and what was seen of the samples, over the generator's steps."""
    with drawing(f"training-{key}"):
        fig, axes = panels(7.2, 5.2, 2, 2)
        names = sorted({name for one in seeds for name in one["terms"]})
        losses = [name for name in names if name != "d_accuracy" and not name.endswith("gradient")]
        _terms(axes[0, 0], seeds, losses, "loss terms")
        _terms(axes[0, 1], seeds, ["d_accuracy"], "discriminator's accuracy", legend=False)
        axes[0, 1].axhline(0.5, color=INK, lw=0.8, ls=":")
        axes[0, 1].set_ylim(0, 1.02)
        _looks(
            axes[1, 0],
            seeds,
            {"gan_test": "GAN-test", "diversity": "diversity", "distinct_modes": "distinct modes"},
            "samples, at each look",
        )
        _looks(axes[1, 1], seeds, {"distance": "distance to real"}, "distance to real images", legend=False)
        last = max(one["steps"][-1] for one in seeds if one["steps"])
        for panel in axes.flat:
            _mark(panel, seeds)
            panel.set_xlim(-0.02 * last, 1.04 * last)
            panel.grid(axis="y", alpha=0.15, color=INK)
        for panel in axes[1]:
            panel.set_xlabel("generator steps")
        return to_svg(
            fig,
            f"Course of training of {key}: loss terms, the discriminator's accuracy, GAN-test, diversity and "
            "distance to real images over steps; one thin line a seed. Alarms are listed below.",
        )


def _terms(
    axes: Any, seeds: Sequence[Mapping[str, Any]], names: Sequence[str], title: str, *, legend: bool = True
) -> None:
    """A line for each seed; a term keeps its colour."""
    every = max(1, sum(len(one["steps"]) for one in seeds) // POINTS)
    for number, name in enumerate(names):
        for index, one in enumerate(seeds):
            values = one["terms"].get(name)
            if values is None:
                continue
            known = [(s, v) for s, v in zip(one["steps"], values, strict=True) if v is not None][::every]
            if known:
                steps, values = zip(*known, strict=True)
                label = name if index == 0 and legend else None
                colour = PALETTE[number % len(PALETTE)]
                axes.plot(steps, values, "-", lw=1, alpha=_faint(len(seeds)), color=colour, label=label)
    axes.set_title(title, fontsize=10, loc="left")
    if legend and names:
        _legend(axes)


def _looks(
    axes: Any,
    seeds: Sequence[Mapping[str, Any]],
    names: Mapping[str, str],
    title: str,
    *,
    legend: bool = True,
) -> None:
    """What was seen of the samples, look by look."""
    for number, (name, words) in enumerate(names.items()):
        for index, one in enumerate(seeds):
            seen = [(look["step"], look[name]) for look in one["looks"] if look.get(name) is not None]
            if seen:
                steps, values = zip(*seen, strict=True)
                label = words if index == 0 and legend else None
                axes.plot(
                    steps,
                    values,
                    f"{MARKS[number]}-",
                    ms=3.5,
                    lw=1,
                    alpha=_faint(len(seeds)),
                    color=PALETTE[number],
                    mec="none",
                    label=label,
                )
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_ylim(0, 1.12 * max(axes.get_ylim()[1], 1.0 if legend else 0.0))
    if legend and axes.lines:
        axes.axhline(1.0, color=INK, lw=0.8, ls=":")
        _legend(axes)


def _legend(axes: Any) -> None:
    axes.legend(loc="best", fontsize=8, frameon=False, handlelength=1.2)


def _mark(axes: Any, seeds: Sequence[Mapping[str, Any]]) -> None:
    """An upright line at each alarm."""
    for step in sorted({alarm["step"] for one in seeds for alarm in one["alarms"]}):
        axes.axvline(step, color=ACCENT, lw=1, ls="--", alpha=0.7)


def _faint(count: int) -> float:
    return 0.9 if count == 1 else 0.65 if count < 4 else 0.45


def classes_figure(key: str, seeds: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str | None:
    """Diversity and designs of each class at the last look; None where classes were not looked at."""
    last = [one["looks"][-1] for one in seeds if one["looks"]]
    spread = np.array([look["diversity_per_class"] for look in last if "diversity_per_class" in look], float)
    designs = np.array([look["distinct_modes_per_class"] for look in last if "distinct_modes_per_class" in look], float)
    if not spread.size or spread.shape[1] != len(names):
        return None
    order = np.sort(
        np.argsort(np.where(np.isnan(spread.min(axis=0)), np.inf, spread.min(axis=0)))[:MOST_CLASSES]
    )
    with drawing(f"classes-{key}"):
        fig, axes = figure(7.2, 1.2 + 0.3 * len(order))
        axes.axvline(1.0, color=INK, lw=1)
        axes.axvline(MIN_DIVERSITY, color=CALM, lw=1, ls="--")
        axes.axvline(MIN_DISTINCT_MODES, color=ACCENT, lw=1, ls="--")
        for figures, aside, colour, mark, words in (
            (spread, -0.14, CALM, "o", "diversity"),
            (designs, 0.14, ACCENT, "s", "distinct modes"),
        ):
            if figures.size:
                values = figures[:, order]
                rows = np.broadcast_to(np.arange(len(order)) + aside, values.shape)
                axes.plot(
                    values.ravel(), rows.ravel(), mark, ms=5, alpha=0.7, color=colour, mec="none", label=words
                )
        axes.set_yticks(range(len(order)), [names[k] for k in order])
        axes.set_ylim(len(order) - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("share of what real images of the class have; dashed: below, it counts as collapsed")
        fig.legend(loc="outside upper left", ncols=2, frameon=False)
        return to_svg(
            fig, f"Diversity and number of designs of each class of {key} at the last look, one mark a seed."
        )
