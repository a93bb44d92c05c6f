"""Made-up cells of a comparison: what the judging and the report read, without any training."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from gangda.classifying.evaluation import Evaluation, evaluate_predictions
from gangda.comparing.analyses.plateau import CELLS, PlateauFit
from gangda.comparing.analyses.second_classifier import SecondArm, SecondFit
from gangda.comparing.analyses.tuned_steps import StepsTrial, TunedFit
from gangda.comparing.cell_result import (
    ArmImages,
    ArmResult,
    CellResult,
    ClassImages,
    CurveAlarm,
    GeneratorRecord,
    NearestImages,
    Pictures,
    Recognised,
    SampleRecord,
    SplitRows,
    TrainingCurves,
    Trial,
)
from gangda.comparing.plan import Cell, ComparisonPlan, make_plan
from gangda.comparing.plan_file import publish
from gangda.comparing.storage import read_cell, write_cell
from gangda.config.schema import CompareConfig, ComparisonConfig, DataConfig, Runtime
from gangda.metrics.result import MetricResult

ACCURACY = {"real": 0.80, "traditional": 0.82, "generated": 0.86, "generated+traditional": 0.90}
NAMES = ("0", "1", "a/b", "<script>")


def plan_for(out: Path, *, seeds: int = 10, ratios: tuple[float, ...] = (1.0,), **compare) -> ComparisonPlan:
    config = ComparisonConfig(
        data=DataConfig(per_class=50),
        compare=CompareConfig(seeds=seeds, ratios=ratios, **compare),
        runtime=Runtime(device="cpu", precision="fp32", threads=1),
    )
    return publish(make_plan(config, "0123456789abcdef", None, None), out)


def finish(
    plan: ComparisonPlan,
    out: Path,
    accuracy=ACCURACY,
    *,
    recognised: float = 0.8,
    sd: float = 0.005,
    m: int = 400,
) -> None:
    """Write every cell of the plan."""
    for cell in plan.cells:
        write_cell(out, cell, cell_values(plan, cell, accuracy, recognised, sd, m))


def change_cell(out: Path, cell: Cell, **changes) -> None:
    """Write a cell again with other values."""
    write_cell(out, cell, dataclasses.replace(read_cell(out, cell, CellResult), **changes))


def change_arm(out: Path, cell: Cell, name: str, **changes) -> None:
    """Write a cell again with other values of one arm."""
    arms = read_cell(out, cell, CellResult).arms
    change_cell(out, cell, arms={**arms, name: dataclasses.replace(arms[name], **changes)})


def cell_values(plan, cell, accuracy, recognised, sd, m) -> CellResult:
    rng = np.random.default_rng(cell.seed)
    samples = SampleRecord({"made": "conditional"}, {}, (100,) * 4, "c0ffee", 0.5)
    generator = GeneratorRecord(
        "cdcgan", 1000, "last", plan.run is not None, 20.0, samples, {}, curves=curves(rng)
    )
    return CellResult(
        index=cell.index,
        seed=cell.seed,
        id=cell.id,
        fingerprint=plan.fingerprint,
        class_names=NAMES,
        image_shape=(1, 8, 8),
        rows={name: SplitRows(m, (m // 4,) * 4, "same") for name in ("train", "validation", "test")},
        pool=(10 * m,) * 4,
        test_labels=(np.arange(m) % 4).astype(np.uint16),
        runtime=plan.config.runtime,
        generators={"cdcgan": generator},
        analyses=analyses(plan, accuracy, m, rng, cell.seed),
        arms={
            arm: arm_values(arm, accuracy[arm] + rng.normal(0, sd), m, rng)
            for arm in plan.config.compare.arms
        },
        recognised=Recognised(recognised, 0.8, circular=False),
        pictures=pictures(rng) if cell.index < 2 else None,
        seconds=30.0,
    )


def arm_values(arm, accuracy, m, rng) -> ArmResult:
    has_generated = arm.startswith("generated")
    wrong = rng.permutation(m)[: round((1 - accuracy) * m)]
    return ArmResult(
        ratio=1.0 if has_generated else None,
        filters=(),
        candidates=tuple(
            Trial(ratio, validation=float(accuracy + rng.normal(0, 0.01)))
            for ratio in (0.0, 0.5, 1.0)
            if has_generated
        ),
        n_train=800 if has_generated else 400,
        n_generated=400 if has_generated else 0,
        added_per_class=(100, 100, 150, 50) if has_generated else (0,) * 4,
        steps=2000,
        classifier="f00d",
        seconds=3.0,
        validation_accuracy=0.8,
        test=evaluation(np.arange(m) % 4, wrong),
    )


def evaluation(labels: np.ndarray, wrong: np.ndarray | slice) -> Evaluation:
    """All labels right but those at `wrong`."""
    predicted = labels.copy()
    predicted[wrong] = (labels[wrong] + 1) % 4
    return dataclasses.replace(evaluate_predictions(labels, predicted, 4), train_accuracy=1.0)


def analyses(plan, accuracy, m, rng, seed) -> dict[str, Any]:
    """Parts of the analyses that are asked for."""
    parts = {}
    if plan.config.compare.second_classifier is not None:
        parts["second_classifier"] = second(plan, accuracy, m, rng)
    if plan.config.compare.tune_steps:
        parts["tuned_steps"] = tuned(plan, accuracy, m, seed)
    if plan.config.compare.plateau_check and seed < CELLS:
        parts["plateau"] = curves_of_arms(plan, m)
    return parts


def second(plan, accuracy, m, rng) -> SecondFit:
    """A ResNet on the first primary difference: half of what the usual classifier finds."""
    names = ("generated+traditional", "traditional")
    half = {name: accuracy["traditional"] + (accuracy[name] - accuracy["traditional"]) / 2 for name in names}
    arms = {name: arm_values(name, half[name] + rng.normal(0, 0.002), m, rng) for name in names}
    return SecondFit(
        plan.config.compare.second_classifier,
        " - ".join(names),
        {name: SecondArm(arm.ratio, arm.seconds, arm.test) for name, arm in arms.items()},
    )


def tuned(plan, accuracy, m, seed) -> dict[str, TunedFit]:
    """Every arm two points better, with more steps in every other seed."""
    numbers = plan.config.compare.tune_steps
    rng = np.random.default_rng(seed + 1000)
    trials = tuple(StepsTrial(steps, 0.8, 1.0) for steps in numbers)
    return {
        arm: TunedFit(numbers[seed % 2], trials, arm_values(arm, accuracy[arm] + 0.02, m, rng).test)
        for arm in plan.config.compare.arms
    }


def curves_of_arms(plan, m) -> PlateauFit:
    """The first arm rises to the end, the others are level from the usual steps on."""
    labels, arms = (np.arange(m) % 4).astype(np.uint16), plan.config.compare.arms
    right = {arm: tuple(labels < most for most in (1, 2, 3 if arm == arms[0] else 2)) for arm in arms}
    return PlateauFit(2000, (1000, 2000, 4000), labels, right)


def curves(rng) -> TrainingCurves:
    steps = tuple(range(50, 1050, 50))
    evaluations = tuple(
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
    )
    terms = {
        name: tuple(rng.normal(1, 0.1, len(steps)).tolist()) for name in ("d_loss", "g_loss", "d_accuracy")
    }
    terms["d_r1"] = (None, *terms["d_loss"][1:])
    return TrainingCurves(steps, terms, evaluations, (CurveAlarm(500, ("mode collapse (1): <b>alike</b>",)),))


def pictures(rng) -> Pictures:
    def some(count):
        return rng.integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)

    note = "ALARM many samples nearly on training images"
    near = MetricResult("memorisation_near_pixels", 0.3, "lower", 100, 100, note=note)
    nearest = NearestImages(some(2), some(2), (1.5, 2.5), (1.5, 2.5, 30.0), (10.0, 20.0, 30.0), (near,))
    return Pictures(
        classes=tuple(ClassImages(name, some(4), some(4)) for name in NAMES),
        added=(ArmImages(("smote",), (some(4), some(2), some(0), some(4))),),
        ensembles={"madgan": (some(10),) * 3},
        nearest={"cdcgan": nearest},
        filtered=(),
    )
