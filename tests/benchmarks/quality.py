"""Time to quality: training time until the samples pass for real ones. Run by hand on a quiet machine:

python tests/benchmarks/quality.py --threads 1 --minutes 30 --out quality.json fashion-mnist cdcgan acgan

The first word is an IDX set or another source, the others conditional architectures with their own recipes. A run is
looked at every `--every` steps, outside the clock: the share of 2,000 samples, as many of each class, that a LeNet
trained on the real training images puts in the class they were made for (GAN-test). It has arrived when that reaches
97.6% of the LeNet's accuracy on the validation images. The clock is CPU time with one thread, wall time with more.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from environment import environment
from training import gangda_loop

from gangda.classifying.fit import FittedClassifier, evaluate, fit_classifier
from gangda.config.schema import ClassifierConfig, DataConfig, Runtime
from gangda.data.loading import load_splits
from gangda.data.splits import DataSplits
from gangda.runtime.device import DeviceContext, prepare
from gangda.zoo.base import Generator
from gangda.zoo.draw import draw_labels

SHARE, SAMPLES = 0.976, 2000


def gan_test(generator: Generator, classifier: FittedClassifier, context: DeviceContext) -> float:
    """Share of samples that the classifier knows as what they were made for; the same noise at every look."""
    labels = np.arange(SAMPLES, dtype=np.int64) % generator.num_classes
    samples = draw_labels(generator, labels, "quality", context=context)
    return float((classifier.predict(samples) == labels).mean())


def run(
    arch: str,
    splits: DataSplits,
    classifier: FittedClassifier,
    target: float,
    asked: argparse.Namespace,
    context: DeviceContext,
) -> dict[str, object]:
    """One training run, until it arrives or its time is over: every look as (step, minutes, GAN-test)."""
    clock: Callable[[], float] = time.process_time if context.threads == 1 else time.perf_counter
    state, loop = gangda_loop(arch, splits.train, context)
    looks: list[tuple[int, float, float]] = []
    seconds = 0.0
    while seconds < 60 * asked.minutes and not (looks and looks[-1][2] >= target):
        began = clock()
        for _ in range(asked.every):
            next(loop)
        seconds += clock() - began
        looks.append((state.step, round(seconds / 60, 3), round(gan_test(state.ema, classifier, context), 4)))
    arrived = looks[-1][2] >= target
    return {
        "arch": arch,
        "minutes": looks[-1][1] if arrived else None,
        "steps": looks[-1][0] if arrived else None,
        "looks": looks,
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("archs", nargs="+")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=30.0, help="longest training of each")
    parser.add_argument("--every", type=int, default=250, help="steps between looks")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    context = prepare(Runtime(threads=asked.threads))
    splits = load_splits(DataConfig(source=asked.source), 0)
    classifier = fit_classifier(splits.train, ClassifierConfig(), seed=0, context=context)
    real = evaluate(classifier, splits.validation).accuracy
    result = {
        **environment(context),
        "source": asked.source,
        "clock": "CPU minutes" if context.threads == 1 else "wall minutes",
        "real accuracy, validation": round(real, 4),
        "target": round(SHARE * real, 4),
        "rows": [],
    }
    for arch in asked.archs:
        result["rows"].append(run(arch, splits, classifier, SHARE * real, asked, context))
        print(json.dumps(result["rows"][-1]), flush=True)
        if asked.out:  # row by row: it takes long, and a part is worth keeping
            asked.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
