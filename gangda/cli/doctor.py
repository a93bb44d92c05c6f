"""`gangda doctor`: what is here, what would be chosen, and why."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gangda import __version__
from gangda.cli.options import Call
from gangda.cli.output import draw, say
from gangda.errors import DataError

if TYPE_CHECKING:
    from rich.console import Console

PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "scikit-learn",
    "torch-fidelity",
    "pillow",
    "typer",
    "rich",
)
NEWEST_RUNS = 5


def doctor(call: Call) -> None:
    """Tell what is installed and found here, what would be chosen, and why; with --data, what is in it."""
    call.terminal.result(examine(call), show_result)


def examine(call: Call) -> dict[str, Any]:
    """Everything doctor knows, as plain values."""
    import platform  # 10 ms that --help need not pay

    from gangda.runtime.device import available_cores

    return {
        "gangda": __version__,
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "packages": {name: installed(name) for name in PACKAGES},
        "cores": available_cores(),
        "memory_gib": memory_gib(),
        **chosen_machine(call),
        "data": described(call),
        "data_sets": data_sets(),
        "folders": folders(),
        "newest_runs": newest_runs(Path("runs")),
        "options": changed_options(call),
    }


def chosen_machine(call: Call) -> dict[str, Any]:
    """Device, precision and threads, and why."""
    from gangda.runtime.device import prepare

    runtime = call.settings.runtime
    context = prepare(runtime)
    why = {
        "device": "asked for"
        if runtime.device != "auto"
        else "the fastest kind here: CUDA, then MPS, then the CPU",
        "precision": "asked for"
        if runtime.precision != "auto"
        else "bf16 on CUDA and on CPUs with AMX, where it is faster; else fp32",
        "threads": threads_reason(runtime.threads, os.environ),
    }
    return {
        "device": str(context.device),
        "precision": context.precision,
        "threads": context.threads,
        "why": why,
    }


def threads_reason(asked: int | None, environ: Mapping[str, str]) -> str:
    """Which of the sources of the thread count counts."""
    if asked is not None:
        return "asked for"
    named = [name for name in ("SLURM_CPUS_PER_TASK", "OMP_NUM_THREADS") if environ.get(name, "").isdigit()]
    return named[0] if named else "every core this process may use"


def installed(package: str) -> str | None:
    """A package's version, or None."""
    import importlib.metadata

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def memory_gib() -> float | None:
    """Physical memory, where the system tells."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def data_sets() -> dict[str, str | None]:
    """Each named data set and where it lies; None where it is not here."""
    from gangda.data.loading import found_sets

    return {name: None if where is None else str(where) for name, where in found_sets()}


def described(call: Call) -> dict[str, Any] | None:
    """Splits, classes, size and fingerprint of the data asked for; None where none was.

    Raises:
        DataError, UsageError: as `load_splits`.
    """
    from gangda.data.loading import load_splits
    from gangda.data.splits import describe

    data = call.settings.given_data
    return None if data is None else describe(load_splits(data, call.settings.runtime.seed))


def folders() -> dict[str, str]:
    """Where downloaded sets, decoded images and features are kept."""
    from gangda.data.paths import cache_root, data_root

    return {"data": str(data_root()), "cache": str(cache_root())}


def newest_runs(root: Path) -> list[dict[str, Any]]:
    """The newest finished runs under a folder."""
    cards = sorted(root.glob("*/model/model.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    return [{"run": str(card.parents[1]), **facts(card)} for card in cards[:NEWEST_RUNS]]


def facts(card: Path) -> dict[str, Any]:
    """What a model's card says of it; a damaged card is a finding, not a failure."""
    from gangda.runtime.files import read_json

    try:
        values = read_json(card)
    except DataError:
        values = {"arch": "damaged"}
    return {key: values.get(key) for key in ("arch", "steps", "fingerprint")}


def changed_options(call: Call) -> dict[str, str]:
    """Options that do not have their default value, and where they come from."""
    return {key: origin for key, origin in call.settings.origins.items() if origin != "default"}


def show_result(out: "Console", values: Mapping[str, Any]) -> None:
    """The findings as tables."""
    if values["data"] is not None:
        show_data(out, values["data"])
    why = values["why"]
    chosen = [(name, values[name], why[name]) for name in ("device", "precision", "threads")]
    draw(out, "Would be chosen here", ("", "", "because"), chosen, left=3)
    system = [(name, values[name]) for name in ("gangda", "python", "system", "cores", "memory_gib")]
    packages = [(name, version or "missing") for name, version in values["packages"].items()]
    draw(out, "Installed", ("", ""), [*system, *packages], left=2)
    sets = [(name, where or "not here") for name, where in values["data_sets"].items()]
    draw(out, "Data sets", ("--data", "where"), sets, left=2)
    draw(out, "Folders", ("", ""), list(values["folders"].items()), left=2)
    runs = [(row["run"], row["arch"], row["steps"], row["fingerprint"]) for row in values["newest_runs"]]
    draw(out, "Newest runs", ("run", "architecture", "steps", "data fingerprint"), runs, left=2)
    for key, origin in values["options"].items():
        say(out, f"{key} is set by {origin}")


def show_data(out: "Console", data: Mapping[str, Any]) -> None:
    """Images per class of each split, and what must be known of them."""
    parts = ("train", "validation", "test")
    rows = [
        (name, *(data[part]["per_class"][row] for part in parts)) for row, name in enumerate(data["classes"])
    ]
    total = ("all", *(data[part]["n"] for part in parts))
    draw(out, f"Images of {data['name']}", ("class", *parts), [*rows, total])
    side, kind = data["image_size"], "grey" if data["channels"] == 1 else "RGB"
    say(out, f"{side}x{side} {kind}, fingerprint {data['fingerprint']}")
    for note in data["notes"]:
        say(out, note)
