"""Pictures of training: samples of the same noise each time, as grids and as a GIF of them; curves of the losses."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from gangda.data.images import UInt8Array, to_uint8
from gangda.errors import RunError
from gangda.report import figures, grids
from gangda.runtime.device import DeviceContext, evaluating
from gangda.runtime.files import write_bytes
from gangda.runtime.seeding import torch_stream
from gangda.zoo.base import Generator
from gangda.zoo.draw import draw_block

CURVES = "curves.png"
COLUMNS = ROWS = 10  # of the grids


def save_grids(folder: Path, generator: Generator, step: int, *, seed: int, context: DeviceContext) -> None:
    """Write `grid-<step>.png`; of several generators also `generators-<step>.png`, with a row for each."""
    draws = {"grid": fixed_samples}
    if generator.num_generators > 1:
        draws["generators"] = samples_of_each
    for name, draw in draws.items():
        picture = grids.png(grids.tile(draw(generator, seed=seed, context=context), COLUMNS))
        write_bytes(folder / f"{name}-{step:08d}.png", picture)


def save_curves(run: Path) -> None:
    """Write `curves.png` of a run folder, loss terms and accuracies from `metrics.jsonl`, unless it is up to date.

    Raises:
        RunError: the log is damaged.
    """
    log, picture = run / "metrics.jsonl", run / CURVES
    if not log.is_file() or (picture.is_file() and picture.stat().st_mtime_ns >= log.stat().st_mtime_ns):
        return
    steps, curves = read_curves(log)
    if curves:
        write_bytes(picture, figures.training_curves(steps, curves))


def read_curves(log: Path) -> tuple[list[int], dict[str, list[float | None]]]:
    """Logged steps, and loss terms and accuracies at each; empty where nothing was logged.

    Raises RunError: the log is damaged.
    """
    try:
        lines = [line for line in map(json.loads, log.read_bytes().splitlines()) if "epoch" in line]
        names = dict.fromkeys(name for line in lines for name in line if name.startswith(("d_", "g_")))
        curves = {
            name: [None if line.get(name) is None else float(line[name]) for line in lines] for name in names
        }
        return [line["step"] for line in lines], curves
    except (ValueError, TypeError, KeyError, RecursionError):
        raise RunError(f"{log}: damaged; delete it and {CURVES}, and train again") from None


def save_animation(folder: Path, is_planned: Callable[[int], bool]) -> None:
    """Join the grids in `training.gif`; those of other steps, at which a process was stopped, are deleted first."""
    for path in folder.glob("*-" + 8 * "[0-9]" + ".png"):
        if not is_planned(int(path.stem[-8:])):
            path.unlink()
    write_bytes(folder / "training.gif", grids.animation(sorted(folder.glob("grid-*.png"))))


def fixed_samples(generator: Generator, *, seed: int, context: DeviceContext) -> UInt8Array:
    """Ten samples of each of the first ten classes, uint8 (N, H, W, C); the same noise each time."""
    labels = range(min(ROWS, generator.num_classes) if generator.conditional else ROWS)
    rows = (draw_block(generator, label, 0, seed=seed, context=context, count=COLUMNS) for label in labels)
    return np.concatenate([row.pixels for row in rows])


def samples_of_each(generator: Generator, *, seed: int, context: DeviceContext) -> UInt8Array:
    """Ten samples of each of K generators, uint8 (10 K, H, W, C), a row for each.

    All rows have the same noise and, where there are classes, the first ten in order.
    """
    k = generator.num_generators
    noise = generator.noise(COLUMNS, torch_stream(seed, "samples of each"))
    y = (torch.arange(COLUMNS) % generator.num_classes).repeat(k).to(context.device)
    with evaluating(generator), context.autocast():
        return to_uint8(generator.sample(y, torch.cat([noise] * k).to(context.device)))
