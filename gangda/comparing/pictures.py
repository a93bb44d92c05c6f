"""Images and training curves that a cell keeps for the report."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gangda.comparing import cell_result
from gangda.comparing.added_images import AddedImages
from gangda.comparing.cell_result import (
    ArmImages,
    CurveAlarm,
    NearestImages,
    Pictures,
    TrainingCurves,
    main_generator,
)
from gangda.config.arms import parse_arm
from gangda.data.images import FloatArray, IntArray, LabelledImages, UInt8Array
from gangda.metrics.evaluate import default_cache, evaluate_metrics, prepare_inputs
from gangda.metrics.inputs import subsample
from gangda.metrics.memorisation import closest_pairs
from gangda.report.figures import kept_and_rejected
from gangda.training.preview import COLUMNS

MOST_CLASSES, IMAGES_PER_CLASS = 20, 10
NEAREST_OF = 300  # samples whose nearest training image is searched: seconds, and enough for a picture
PAIRS = 8  # of them shown
POINTS = 200  # at most so many logged steps (and evaluations of samples) are kept
NOT_TERMS = ("step", "pretraining_step", "epoch", "epoch_seconds", "seconds")  # of a logged line


def pictures_of(added: AddedImages) -> Pictures:
    """The images of a cell whose arms have run."""
    real, key = added.splits.train, main_generator(added.records, added.plan.config.arch)
    generated = None if key is None else added.samples_of(key)
    names = real.class_names[:MOST_CLASSES]
    return Pictures(
        classes=tuple(
            cell_result.ClassImages(
                name, _of_class(real, label), None if generated is None else _of_class(generated, label)
            )
            for label, name in enumerate(names)
        ),
        added=_added(added, generated),
        ensembles={
            key: tuple(samples[first : first + COLUMNS] for first in range(0, len(samples), COLUMNS))
            for key, samples in added.ensembles.items()
        },
        nearest={
            key: _nearest(added, samples)
            for key in added.records
            if (samples := added.samples_of(key)) is not None
        },
        filtered=tuple(
            cell_result.FilterSheet(
                key, filters, kept_and_rejected(real.class_names, found.kept, found.rejected, found.reasons)
            )
            for (key, filters), found in added.statistics.items()
        ),
    )


def _added(added: AddedImages, shown: LabelledImages | None) -> tuple[ArmImages, ...]:
    """Images of each class for each set that arms add, but those that are `shown` beside the real ones."""
    arms_of: dict[int, list[str]] = {}
    sets: dict[int, LabelledImages] = {}
    for name in added.plan.config.compare.arms:
        arm, arch = parse_arm(name)
        images = added.already_made(arm.source, arch)
        if images is not None and images is not shown:
            sets[id(images)] = images
            arms_of.setdefault(id(images), []).append(name)
    return tuple(
        ArmImages(
            tuple(arms_of[key]),
            tuple(_of_class(images, label) for label in range(min(images.num_classes, MOST_CLASSES))),
        )
        for key, images in sets.items()
    )


def _nearest(added: AddedImages, samples: LabelledImages) -> NearestImages:
    """The closest pairs of samples and training images, and all distances, beside those of held-out test images."""
    seed = added.cell.seed
    inputs = prepare_inputs(
        samples.take(subsample(len(samples), NEAREST_OF, seed, "nearest")),
        added.splits,
        seed=seed,
        context=added.context,
        classifier=added.plan.config.classifier,
        cache=default_cache(),
    )
    pairs = closest_pairs(inputs, PAIRS)
    return NearestImages(
        samples=inputs.fake.images.pixels[pairs.samples],
        train=inputs.seen.images.pixels[pairs.train],
        distances=_rounded(pairs.distances),
        of_samples=_rounded(np.sort(inputs.nearest_of_samples.pixels)),
        of_held_out=_rounded(np.sort(inputs.nearest_of_heldout.pixels)),
        metrics=tuple(evaluate_metrics(inputs, ["memorisation"])),
    )


def _rounded(distances: FloatArray) -> tuple[float, ...]:
    return tuple(round(float(distance), 2) for distance in distances)


def _of_class(images: LabelledImages, label: int) -> UInt8Array:
    rows: IntArray = np.flatnonzero(images.labels == label)[:IMAGES_PER_CLASS]
    return images.pixels[rows]


def read_curves(log: Path) -> TrainingCurves | None:
    """The curves of a `metrics.jsonl`; None where there is no log (nothing was trained step by step)."""
    if not log.is_file():
        return None
    lines = _lines(log)
    steps = thinned([line for line in lines if "epoch" in line])
    names = sorted({name for line in steps for name in line if name not in NOT_TERMS})
    alarms = [line for line in lines if isinstance(line.get("alarms"), list) and line["alarms"]]
    return TrainingCurves(
        steps=tuple(line["step"] for line in steps),
        terms={name: tuple(_four_digits(line.get(name)) for line in steps) for name in names},
        evaluations=tuple(thinned(_evaluations(lines))),
        alarms=tuple(CurveAlarm(line["step"], tuple(map(str, line["alarms"]))) for line in alarms),
    )


def read_evaluations(log: Path) -> list[dict[str, Any]]:
    """Figures of the samples during training, each with its step; empty where there is no log."""
    return _evaluations(_lines(log)) if log.is_file() else []


def _evaluations(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"step": line["step"], **line["evaluation"]}
        for line in lines
        if isinstance(line.get("evaluation"), dict)
    ]


def _lines(log: Path) -> list[dict[str, Any]]:
    """What can be read of a log: curves are shown, not judged, so a damaged line is left out."""
    found = []
    for text in log.read_bytes().splitlines():
        with contextlib.suppress(ValueError):  # no JSON, or no UTF-8
            line = json.loads(text)
            if isinstance(line, dict) and isinstance(line.get("step"), int):
                found.append(line)
    return found


def thinned(lines: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Every so many of the lines, the last one always: at most `POINTS`."""
    if len(lines) <= POINTS:
        return list(lines)
    every = -(-len(lines) // (POINTS - 1))
    kept = list(lines[::every])
    return kept if (len(lines) - 1) % every == 0 else [*kept, lines[-1]]


def _four_digits(value: Any) -> float | None:
    return float(f"{value:.4g}") if isinstance(value, int | float) else None
