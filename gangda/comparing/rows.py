"""What each arm was and cost, over the seeds: the rows of a comparison's table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gangda.comparing.added_images import LEAKY
from gangda.config.arms import find


def arm_row(cells: Sequence[dict[str, Any]], arm: str) -> dict[str, Any]:
    """What the arm was and cost, over the seeds: mean sizes, ratios chosen, seconds."""
    results = [cell["arms"][arm] for cell in cells]
    made = [one for one in (_generator_of(cell, arm) for cell in cells) if one]
    return {
        "name": arm,
        "accuracy": float(np.mean([r["test"]["accuracy"] for r in results])),
        "balanced_accuracy": float(np.mean([r["test"]["balanced_accuracy"] for r in results])),
        "macro_f1": float(np.mean([r["test"]["macro_f1"] for r in results])),
        "train_accuracy": float(np.mean([r["test"]["train_accuracy"] for r in results])),
        "n_train": float(np.mean([r["n_train"] for r in results])),
        "n_generated": float(np.mean([r["n_generated"] for r in results])),
        "ratios": [r["ratio"] for r in results] if results[0]["ratio"] is not None else None,
        "filters": [",".join(r["filter"]) or "none" for r in results] if _chose_filter(results) else None,
        "added_per_class": _mean_added(results),
        "classifier_steps": results[0]["steps"],
        "classifier_seconds": float(np.mean([r["seconds"] for r in results])),
        "generator_seconds": float(np.mean([g["train_seconds"] + g["draw_seconds"] for g in made]))
        if made
        else 0.0,
        "draw_rate": float(np.mean([sum(g["made"]) / max(g["draw_seconds"], 1e-9) for g in made]))
        if made
        else None,
    }


def _generator_of(cell: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """What made the images that this arm adds; None where no generator did."""
    arm, arch = find(name)
    if not arm.sampled:
        return None
    key = LEAKY if arm.added == "leaked" else arch
    made: Mapping[str, Any] | None = cell["generator"] if key is None else cell.get("generators", {}).get(key)
    return made


def _mean_added(results: Sequence[Mapping[str, Any]]) -> list[float] | None:
    """Added images of each class, mean over the seeds; None where a cell of earlier days does not say."""
    counts = [result.get("added_per_class") for result in results]
    known = [count for count in counts if count is not None]
    return np.mean(known, axis=0).tolist() if len(known) == len(counts) else None


def _chose_filter(results: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an arm had filters to choose among."""
    return any(candidate.get("filter") for result in results for candidate in result["candidates"])
