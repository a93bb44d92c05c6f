"""Whether a flow's samples help a tuned classifier: the rows of RESULTS.md, "Flows". Run by hand, long without a GPU:

python tests/benchmarks/flows.py SEEDS RECIPE [RECIPE ...]      e.g. 0,1 '{}' '{"options": {"width": 48}, "steps": 750}'

A recipe is JSON: `arch`, `options` of the architecture, `steps`, and values of the training recipe by name; `{}` is the
default. Fashion-MNIST, 100 images per class, evaluated on 10,000 other training images, never on test images.
"""

import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from gangda.classifying.fit import evaluate, fit_classifier
from gangda.config.arms import FitRule
from gangda.config.sampler_options import SamplerOptions
from gangda.config.schema import ClassifierConfig, DataConfig, Runtime, TransformConfig
from gangda.data.images import LabelledImages
from gangda.data.loading import load_splits
from gangda.runtime.device import DeviceContext, prepare
from gangda.zoo.base import Generator
from gangda.zoo.draw import draw_block

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from training_setup import begin, configured, networks_of

PER_CLASS, POOL, STEPS = 100, 10, 6000  # real images, samples for each of them, classifier steps
TRANSFORMS = TransformConfig(
    rotation=5, translation=0.04, scaling=(0.95, 1.05), blur=0.0, flip=0.5, erasing=0.5, mixup=0.2
)


def subset(full: LabelledImages, seed: int) -> tuple[LabelledImages, LabelledImages]:
    """The real images of a seed, and 10,000 others."""
    order = np.random.default_rng(1000 + seed).permutation(len(full))
    labels = full.labels[order]
    rows = np.concatenate([order[labels == label][:PER_CLASS] for label in range(full.num_classes)])
    return full.take(rows), full.take(np.setdiff1d(order[-12_000:], rows)[:10_000])


def trained(real: LabelledImages, seed: int, recipe: dict[str, Any], context: DeviceContext) -> Generator:
    """The weight average after all steps."""
    recipe = dict(recipe)
    arch, options = recipe.pop("arch", "flow"), recipe.pop("options", {})
    steps = recipe.pop("steps", 1350)
    config = configured(arch, options, 28, **recipe)
    state, loop = begin(config, networks_of(config, real), real, context, steps, seed)
    for _ in itertools.islice(loop, steps):
        pass
    return state.ema


def samples(generator: Generator, real: LabelledImages, seed: int, context: DeviceContext) -> LabelledImages:
    """`POOL` samples for each real image: midpoint rule, 8 steps."""
    options, each = SamplerOptions(sampler="midpoint", sampler_steps=8), POOL * PER_CLASS
    parts = []
    for label in range(real.num_classes):
        blocks = [
            draw_block(generator, label, block, seed=seed, context=context, options=options).pixels
            for block in range(-(-each // 128))
        ]
        parts.append(np.concatenate(blocks)[:each])
    labels = np.repeat(np.arange(real.num_classes), each)
    none, synthetic = np.full(len(labels), -1), np.ones(len(labels), dtype=np.uint8)
    return LabelledImages(np.concatenate(parts), labels, real.class_names, none, synthetic)


def both(real: LabelledImages, fake: LabelledImages) -> LabelledImages:
    """Real images and samples as one set."""
    columns = (np.concatenate([getattr(real, n), getattr(fake, n)]) for n in ("pixels", "labels"))
    rows, origin = (np.concatenate([getattr(real, n), getattr(fake, n)]) for n in ("row_id", "origin"))
    return LabelledImages(*columns, real.class_names, rows, origin)


def main(seeds: list[int], recipes: list[str]) -> None:
    """Print a line for each recipe and seed: differences in points."""
    context = prepare(Runtime(precision="fp32"))
    full = load_splits(DataConfig(source="fashion-mnist", validation=0.0), 0).train

    def accuracy(
        train: LabelledImages,
        held: LabelledImages,
        name: str,
        seed: int,
        plain: bool = False,
        passes: int = 1,
    ) -> float:
        config = ClassifierConfig(classifier=name, classifier_steps=STEPS, classifier_lr=4e-3)
        rule, transforms = FitRule(synthetic_passes=passes), None if plain else TRANSFORMS
        fitted = fit_classifier(train, config, seed=seed, context=context, transforms=transforms, rule=rule)
        return 100 * evaluate(fitted, held).accuracy

    for seed in seeds:
        real, held = subset(full, seed)
        alone = accuracy(real, held, "lenet", seed, plain=True)
        control = {name: accuracy(real, held, name, seed) for name in ("lenet", "resnet")}
        print(f"seed {seed}: real alone {alone:.2f}, traditional {control}", flush=True)
        for recipe in recipes:
            fake = samples(trained(real, seed, json.loads(recipe), context), real, seed, context)
            gains = [
                accuracy(both(real, fake), held, name, seed, passes=POOL) - known
                for name, known in control.items()
            ]
            cas = accuracy(fake, held, "lenet", seed, plain=True) - alone
            print(
                f"{recipe}: LeNet {gains[0]:+.2f}, ResNet {gains[1]:+.2f}, samples alone {cas:+.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1].split(",")], sys.argv[2:])
