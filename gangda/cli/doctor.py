"""`gangda doctor`: what is installed and found here, which device would be chosen, and why."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gangda import __version__
from gangda.cli.options import Call
from gangda.cli.output import Screen
from gangda.errors import DataError

PACKAGES = (
    "torch", "torchvision", "numpy", "scipy", "scikit-learn", "torch-fidelity", "pillow", "filelock", "typer", "rich",
)  # fmt: skip
NEWEST_RUNS = 5
_COUNTS = {
    "dropped": "copies left out (--deduplicate)",
    "contradicting": "identical, but under different classes",
    "test_images_in_train": "test images that are also trained on",
    "near_copies": "nearly the same as another",
    "test_images_nearly_in_train": "test images that are nearly the same as one trained on",
    "test_images_turned_in_train": "test images that are mirrored or turned copies of one trained on",
}


def doctor(call: Call) -> None:
    """Show what is installed and found here, what would be chosen, and why; with --data, what is in it."""
    call.result(_examine(call), _show_result)


def _examine(call: Call) -> dict[str, Any]:
    import platform  # 10 ms that --help need not wait for

    from gangda.data.loading import found_sets, load_splits
    from gangda.data.paths import cache_root, data_root
    from gangda.data.splits import describe
    from gangda.runtime.machine import available_cores

    settings = call.settings
    data = settings.given_data
    return {
        "gangda": __version__,
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "packages": {name: _installed(name) for name in PACKAGES},
        "cores": available_cores(),
        "memory_gib": _memory_gib(),
        **_chosen_device(call),
        "data": describe(load_splits(data, settings.runtime.seed)) if data else None,
        "data_sets": dict(found_sets()),
        "folders": {"data": str(data_root()), "cache": str(cache_root())},
        "newest_runs": _newest_runs(Path("runs")),
    }


def _chosen_device(call: Call) -> dict[str, Any]:
    from gangda.config.schema import Runtime
    from gangda.runtime.device import prepare

    runtime = call.settings.runtime
    context = prepare(runtime)
    set_by = [
        name for name in ("SLURM_CPUS_PER_TASK", "OMP_NUM_THREADS") if os.environ.get(name, "").isdigit()
    ]
    reasons = {
        "device": "the fastest kind here: CUDA, then MPS, then the CPU",
        "precision": "bf16 on CPUs with AMX, where it is faster; else fp32 (on CUDA: TF32)",
        "threads": (*set_by, "every core this process may use")[0],
        "capture": "steps run as CUDA graphs on NVIDIA GPUs, elsewhere as they are",
    }
    asked = {name for name in reasons if getattr(runtime, name) != getattr(Runtime(), name)}
    why = {name: "asked for" if name in asked else reason for name, reason in reasons.items()}
    return {
        "device": str(context.device),
        "precision": context.precision,
        "threads": context.threads,
        "capture": context.recorder is not None,
        "why": why,
    }


def _installed(package: str) -> str | None:
    import importlib.metadata

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _memory_gib() -> float | None:
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", ()):
        return None
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def _newest_runs(root: Path) -> list[dict[str, Any]]:
    """The newest finished runs under a folder, by their model cards; a damaged card is shown, not an error."""
    from gangda.runtime.files import read_json

    cards = sorted(root.glob("*/model/model.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    runs = []
    for card in cards[:NEWEST_RUNS]:
        try:
            values = read_json(card)
        except DataError:
            values = {"arch": "damaged"}
        facts = {key: values.get(key) for key in ("arch", "steps", "fingerprint")}
        runs.append({"run": str(card.parents[1]), **facts})
    return runs


def _show_result(out: Screen, values: Mapping[str, Any]) -> None:
    if values["data"] is not None:
        _show_data(out, values["data"])
    why = values["why"]
    chosen = [(name, values[name], because) for name, because in why.items()]
    out.draw("Would be chosen here", ("", "", "because"), chosen, left=3)
    system = [(name, values[name]) for name in ("gangda", "python", "system", "cores", "memory_gib")]
    packages = [(name, version or "missing") for name, version in values["packages"].items()]
    out.draw("Installed", ("", ""), [*system, *packages], left=2)
    sets = [(name, where or "not here") for name, where in values["data_sets"].items()]
    out.draw("Data sets", ("--data", "where"), sets, left=2)
    out.draw("Folders", ("", ""), list(values["folders"].items()), left=2)
    runs = [(row["run"], row["arch"], row["steps"], row["fingerprint"]) for row in values["newest_runs"]]
    out.draw("Newest runs", ("run", "architecture", "steps", "data fingerprint"), runs, left=2)
    out.say(*(f"{key} is set by {origin}" for key, origin in values["options"].items()))


def _show_data(out: Screen, data: Mapping[str, Any]) -> None:
    parts, checks = ("train", "validation", "test"), data["checks"]
    found = [name for name in ("copies", "synthetic", "constant") if any(checks.get(name, ()))]
    rows = [
        (name, *(data[part]["per_class"][row] for part in parts), *(checks[key][row] for key in found))
        for row, name in enumerate(data["classes"])
    ]
    total = ("all", *(data[part]["n"] for part in parts), *(sum(checks[key]) for key in found))
    out.draw(f"Images of {data['name']}", ("class", *parts, *found), [*rows, total])
    counts = [(words, checks.get(key, "-")) for key, words in _COUNTS.items()]
    out.draw("Checks", ("", "images"), counts, left=1)
    side, kind = data["image_size"], "grey" if data["channels"] == 1 else "RGB"
    out.say(f"{side}x{side} {kind}, fingerprint {data['fingerprint']}", *data["notes"])
