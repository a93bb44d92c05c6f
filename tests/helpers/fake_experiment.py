"""Made-up cells of an experiment: what the judging and the report read, without any training."""

import base64
from pathlib import Path

import numpy as np

from gangda.classifying.evaluation import evaluate_predictions
from gangda.comparing.arm_fits import plain_of
from gangda.comparing.cells import write_cell
from gangda.comparing.plan import Plan, make_plan, publish
from gangda.comparing.scores import pack_labels
from gangda.config.schema import CompareConfig, ComparisonConfig, DataConfig, Runtime

ACCURACY = {"real": 0.80, "traditional": 0.82, "generated": 0.86, "generated+traditional": 0.90}
NAMES = ["0", "1", "a/b", "<script>"]


def plan_for(out: Path, *, seeds: int = 10, ratios: tuple[float, ...] = (1.0,), **compare) -> Plan:
    config = ComparisonConfig(
        data=DataConfig(per_class=50),
        compare=CompareConfig(seeds=seeds, ratios=ratios, **compare),
        runtime=Runtime(device="cpu", precision="fp32", threads=1),
    )
    return publish(make_plan(config, "0123456789abcdef", None, None), out)


def finish(
    plan: Plan, out: Path, accuracy=ACCURACY, *, recognised: float = 0.8, sd: float = 0.005, m: int = 400
) -> None:
    """Publish every cell of the plan."""
    for cell in plan.cells:
        write_cell(out, cell, cell_values(plan, cell, accuracy, recognised, sd, m))


def cell_values(plan, cell, accuracy, recognised, sd, m):
    rng = np.random.default_rng(cell.seed)
    rows = {
        name: {"count": m, "per_class": [m // 4] * 4, "hash": "same"}
        for name in ("train", "validation", "test")
    }
    generator = {
        "arch": "cdcgan",
        "steps": 1000,
        "shared": plan.run is not None,
        "labels": {"made": "conditional"},
        "made": [100] * 4,
        "content": "c0ffee",
        "train_seconds": 20.0,
        "draw_seconds": 0.5,
    }
    return {
        "kind": "cell",
        "finished": True,
        "index": cell.index,
        "seed": cell.seed,
        "id": cell.id,
        "fingerprint": plan.fingerprint,
        "class_names": NAMES,
        "image_shape": [1, 8, 8],
        "rows": rows,
        "test_labels": pack_labels(np.arange(m) % 4),
        "runtime": {},
        "generator": generator,
        "generators": {"cdcgan": {**generator, "course": course(rng)}},
        "second": second(plan, accuracy, m, rng),
        "tuned": tuned(plan, accuracy, m, cell.seed),
        "arms": {
            arm: arm_values(arm, accuracy[arm] + rng.normal(0, sd), m, rng)
            for arm in plan.config.compare.arms
        },
        "recognised": {"generated": recognised, "real": 0.8},
        "pictures": pictures(rng) if cell.index < 2 else None,
        "seconds": 30.0,
    }


def arm_values(arm, accuracy, m, rng):
    labels = np.arange(m) % 4
    wrong = rng.permutation(m)[: round((1 - accuracy) * m)]
    predicted = labels.copy()
    predicted[wrong] = (labels[wrong] + 1) % 4
    has_generated = arm.startswith("generated")
    return {
        "ratio": 1.0 if has_generated else None,
        "candidates": [
            {"ratio": ratio, "validation": float(accuracy + rng.normal(0, 0.01))}
            for ratio in (0.0, 0.5, 1.0)
            if has_generated
        ],
        "added_per_class": [100, 100, 150, 50] if has_generated else [0] * 4,
        "n_train": 800 if has_generated else 400,
        "n_generated": 400 if has_generated else 0,
        "steps": 2000,
        "classifier": "f00d",
        "seconds": 3.0,
        "validation_accuracy": 0.8,
        "test": {**plain_of(evaluate_predictions(labels, predicted, 4)), "train_accuracy": 1.0},
    }


def second(plan, accuracy, m, rng):
    """What a ResNet makes of the first primary difference: half of what the usual classifier does."""
    if plan.config.compare.second_classifier is None:
        return None
    names = ("generated+traditional", "traditional")
    half = {name: accuracy["traditional"] + (accuracy[name] - accuracy["traditional"]) / 2 for name in names}
    return {
        "classifier": plan.config.compare.second_classifier,
        "contrast": " - ".join(names),
        "arms": {name: arm_values(name, half[name] + rng.normal(0, 0.002), m, rng) for name in names},
    }


def tuned(plan, accuracy, m, seed):
    """Every arm two points better, with more steps in every other seed."""
    numbers = plan.config.compare.tune_steps
    if not numbers:
        return None
    rng = np.random.default_rng(seed + 1000)
    return {
        arm: {
            "steps": numbers[seed % 2],
            "candidates": [{"steps": steps, "validation": 0.8, "seconds": 1.0} for steps in numbers],
            "test": arm_values(arm, accuracy[arm] + 0.02, m, rng)["test"],
        }
        for arm in plan.config.compare.arms
    }


def course(rng):
    steps = list(range(50, 1050, 50))
    looks = [
        {
            "step": step,
            "gan_test": 0.8,
            "diversity": 0.9,
            "distinct_modes": None,
            "distance": 0.1,
            "diversity_per_class": [0.9, 0.2, 0.8, 1.0],
            "distinct_modes_per_class": [1.0, 0.1, 0.9, None],
        }
        for step in (500, 1000)
    ]
    terms = {name: rng.normal(1, 0.1, len(steps)).tolist() for name in ("d_loss", "g_loss", "d_accuracy")}
    terms["d_r1"] = [None, *terms["d_loss"][1:]]
    alarms = [{"step": 500, "texts": ["mode collapse (1): <b>alike</b>"]}]
    return {"steps": steps, "terms": terms, "looks": looks, "alarms": alarms}


def pictures(rng):
    def some(count):
        return base64.b64encode(rng.integers(0, 256, (count, 8, 8, 1), dtype=np.uint8).tobytes()).decode()

    return {
        "shape": [8, 8, 1],
        "classes": [{"name": n, "real": some(4), "generated": some(4)} for n in NAMES],
        "added": [{"arms": ["smote"], "rows": [some(4), some(2), some(0), some(4)]}],
        "each": {"madgan": [some(10)] * 3},
        "nearest": {"cdcgan": nearest(some)},
    }


def nearest(some):
    note = "ALARM many samples nearly on training images"
    return {
        "samples": some(2),
        "train": some(2),
        "distances": [1.5, 2.5],
        "of_samples": [1.5, 2.5, 30.0],
        "of_heldout": [10.0, 20.0, 30.0],
        "metrics": [{"name": "memorisation_near_pixels", "value": 0.3, "note": note}],
    }
