"""Pictures of training: samples of the same noise each time, as grids and as a GIF of them; curves of the losses."""

import json
from collections.abc import Callable, Sequence
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
FIRST = 30  # step after 0 with a grid of its own


def is_preview(step: int) -> bool:
    """Whether a grid is saved at this step, checkpoint or not: 0, 30, 100, 300, 1,000, ..."""
    return step == 0 or (step >= FIRST and str(step).rstrip("0") in ("1", "3"))


def save_grids(
    folder: Path,
    generator: Generator,
    step: int,
    *,
    seed: int,
    context: DeviceContext,
    class_names: Sequence[str] = (),
) -> None:
    """Write `grid-<step>.png`, a row for each class beside its name.

    Of several generators also `generators-<step>.png`, with a row for each.
    """
    names = class_names[:ROWS] if generator.conditional else ()
    samples = fixed_samples(generator, seed=seed, context=context)
    pictures = {"grid": grids.named(samples, COLUMNS, names) if names else grids.tile(samples, COLUMNS)}
    if generator.num_generators > 1:
        each = samples_of_each(generator, seed=seed, context=context)
        pictures["generators"] = grids.named(
            each, COLUMNS, [f"G{k}" for k in range(generator.num_generators)]
        )
    for name, picture in pictures.items():
        write_bytes(folder / f"{name}-{step:08d}.png", grids.png(picture))


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


def save_animation(folder: Path) -> None:
    """Join the grids in `training.gif`."""
    write_bytes(folder / "training.gif", grids.animation(sorted(folder.glob("grid-*.png"))))


def drop_grids(folder: Path, since: int, is_planned: Callable[[int], bool]) -> None:
    """Delete the grids from a step on at which a process was stopped, and no run is planned to have one."""
    for path in folder.glob("*-" + 8 * "[0-9]" + ".png"):
        step = int(path.stem[-8:])
        if step >= since and not is_planned(step):
            path.unlink()


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
