"""Tables of a comparison: recall, confusion, what was added, the generator. Values and shades for the template."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gangda.comparing.cell_result import CellResult, NearestImages, main_generator
from gangda.comparing.comparison import ArmRow
from gangda.comparing.report.figures import distances_figure
from gangda.data.images import FloatArray

MOST_CLASSES = 20  # larger matrices are no longer read but looked up: they are in comparison.json
BASE, AGAINST = "real", "generated+traditional"


def recall_table(cells: Sequence[CellResult], arms: Sequence[str]) -> dict[str, Any] | None:
    """Mean recall per class of each arm, and what it gains on the first arm; None with too many classes."""
    names = cells[0].class_names
    if len(names) > MOST_CLASSES:
        return None
    means = {arm: np.mean([cell.arms[arm].test.recall for cell in cells], axis=0) for arm in arms}
    gains = {arm: mean - means[arms[0]] for arm, mean in means.items()}
    scale = max(0.01, *(float(np.nanmax(np.abs(gain))) for gain in gains.values()))
    values = [
        [
            {"recall": float(means[arm][k]), "gain": float(gain := gains[arm][k]), **shade(gain, scale)}
            for arm in arms
        ]
        for k in range(len(names))
    ]
    sizes = cells[0].rows["train"].per_class
    rows = [
        {"name": name, "real": real, "values": row}
        for name, real, row in zip(names, sizes, values, strict=True)
    ]
    return {"arms": list(arms), "rows": rows}


def confusion_tables(cells: Sequence[CellResult]) -> list[dict[str, Any]]:
    """Real-only's confusion (mean images per seed), and what changed with generated+traditional, where both ran."""
    names = cells[0].class_names
    if len(names) > MOST_CLASSES or BASE not in cells[0].arms:
        return []
    base, *other = (
        np.mean([cell.arms[arm].test.confusion for cell in cells], axis=0)
        for arm in (BASE, AGAINST)
        if arm in cells[0].arms
    )
    tables = [_matrix("Real only: images per seed", names, base, signed=False)]
    changed = "What changed with generated + traditional"
    return [*tables, *(_matrix(changed, names, mean - base, signed=True) for mean in other)]


def _matrix(title: str, names: Sequence[str], values: FloatArray, *, signed: bool) -> dict[str, Any]:
    """Entries with their text and shade. A gain is more on the diagonal and less off it."""
    off = values[~np.eye(len(values), dtype=bool)]
    scale = max(0.5, float(np.abs(values if signed else off).max(initial=0.0)))
    rows = []
    for true, name in enumerate(names):
        row = []
        for predicted, value in enumerate(values[true]):
            right = true == predicted
            good = float(value if right else -value)
            tone = shade(good, scale) if signed or not right else {"tone": "none", "shade": 0}
            text = "" if abs(value) < 0.05 else f"{value:+.1f}" if signed else f"{value:.1f}"
            row.append({"text": text, "right": right, **tone})
        rows.append({"name": name, "entries": row})
    return {"title": title, "names": list(names), "rows": rows}


def shade(gain: float, scale: float) -> dict[str, Any]:
    """Background of a table's entry: tone good or bad, strength 0 to 60 per cent."""
    if np.isnan(gain) or abs(gain) < 1e-9:
        return {"tone": "none", "shade": 0}
    return {"tone": "good" if gain > 0 else "bad", "shade": round(60 * min(1.0, abs(gain) / scale))}


def added_table(arms: Sequence[ArmRow], names: Sequence[str], real: Sequence[int]) -> dict[str, Any] | None:
    """Images added to each class per real one, mean over the seeds; None where it is the same for all classes."""
    with_some = [arm for arm in arms if any(arm.added_per_class)]
    if not with_some or len(names) > MOST_CLASSES:
        return None
    have = np.maximum(np.asarray(real, dtype=np.float64), 1)
    shares = {arm.name: np.asarray(arm.added_per_class, dtype=np.float64) / have for arm in with_some}
    if all(np.ptp(share) < 0.02 * share.max() + 1 / have.min() for share in shares.values()):
        return None  # but for rounding
    rows = [
        {"name": name, "real": real[k], "added": [float(share[k]) for share in shares.values()]}
        for k, name in enumerate(names)
    ]
    return {"arms": list(shares), "rows": rows}


def generator_row(cells: Sequence[CellResult], arch: str) -> dict[str, Any] | None:
    """The generator that is shown first (`main_generator`) over the seeds, in means; None without any."""
    key = main_generator(cells[0].generators, arch)
    if key is None:
        return None
    made = [cell.generators[key] for cell in cells if key in cell.generators]
    found = [cell.recognised for cell in cells if cell.recognised]
    means = {
        name: float(np.mean([getattr(one, field) for one in found])) if found else None
        for name, field in (("recognised", "generated"), ("recognised_real", "real"))
    }
    return {
        "arch": key,
        "steps": made[0].steps,
        "shared": made[0].shared,
        "labels": made[0].samples.labels["made"],
        "circular": any(one.circular for one in found),
        **means,
    }


def nearest_images(key: str, found: NearestImages, seed: int) -> dict[str, Any]:
    """The closest pairs, and whether samples lie nearer to training images than held-out ones do."""
    near = next(metric for metric in found.metrics if metric.name == "memorisation_near_pixels")
    notes = [metric.note for metric in found.metrics if metric is not near]
    return {
        "key": key,
        "pairs": list(zip(found.samples, found.train, found.distances, strict=True)),
        "n": len(found.of_samples),
        "near": near,
        "alarms": [note for note in notes if note.startswith("ALARM")],
        "figure": distances_figure(key, found.of_samples, found.of_held_out, seed),
    }
