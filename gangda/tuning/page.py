"""The HTML page of a study: its best configuration, history and importance; loads nothing from a network."""

from collections.abc import Mapping, Sequence
from typing import Any

from gangda.report.page import ACCENT, CALM, INK, drawing, environment, to_svg
from gangda.search_spaces import SearchSpace


def render(space: SearchSpace, values: Mapping[str, Any]) -> str:
    """The page of a study, from the plain values of its result."""
    template = environment("gangda.tuning").get_template("tuning.html")
    return template.render(
        space=space,
        study=values,
        keys=[one.key for one in space.dimensions],
        history=history_figure(values["trials"], values["objective"], values["direction"]),
        importance=importance_figure(values["importance"]),
    )


def history_figure(trials: Sequence[Mapping[str, Any]], objective: str, direction: str) -> str:
    """Each trial's last score by its number: filled where it was trained to the end; a line through the best so far."""
    better = min if direction == "minimize" else max
    scored = [one for one in trials if one["value"] is not None]
    finished = [one for one in scored if one["finished"]]
    pruned = [one for one in scored if not one["finished"]]
    best = [better(one["value"] for one in finished[: at + 1]) for at in range(len(finished))]
    with drawing("history", 3.0) as (fig, axes):
        for group, colour, label in ((finished, ACCENT, "trained to the end"), (pruned, CALM, "ended early")):
            numbers, found = [one["number"] for one in group], [one["value"] for one in group]
            face = colour if group is finished else "none"
            axes.plot(numbers, found, "o", ms=6, mec=colour, mfc=face, label=label)
        axes.step(
            [one["number"] for one in finished], best, where="post", color=INK, lw=1, label="best so far"
        )
        axes.set_xlabel("trial")
        axes.set_ylabel(objective)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(axis="y", alpha=0.15, color=INK)
        fig.legend(loc="outside upper left", ncols=3, frameon=False)
        return to_svg(fig, f"{objective} of each trial, and the best so far")


def importance_figure(importance: Mapping[str, float]) -> str | None:
    """A bar for each option's share; None where too few trials have finished."""
    if not importance:
        return None
    names = list(importance)
    with drawing("importance", 0.8 + 0.35 * len(names)) as (fig, axes):
        axes.barh(range(len(names)), list(importance.values()), 0.6, color=CALM)
        axes.set_yticks(range(len(names)), names, parse_math=False)
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("share of the differences that it explains (fANOVA)")
        return to_svg(fig, "Importance of each option")
