"""Compute the metrics of the catalog from prepared inputs."""

from collections.abc import Sequence
from dataclasses import replace

from gangda.config import catalog
from gangda.metrics.inputs import MetricInputs
from gangda.metrics.result import MetricResult
from gangda.runtime.progress import SILENT, Reporter

LOW_CAS = 0.05  # so far below the ceiling, a good GAN-test means that the samples are too much alike


def evaluate_metrics(
    inputs: MetricInputs, names: Sequence[str] | None = None, reporter: Reporter = SILENT
) -> list[MetricResult]:
    """The named metrics, in order (default: all); those that need labels are left out for unlabelled data."""
    names = tuple(catalog.METRICS) if names is None else names
    results: list[MetricResult] = []
    for done, name in enumerate(names):
        reporter.step("metrics", done, len(names), name)
        results += catalog.builder("metric", catalog.METRICS, name)(inputs)
    reporter.step("metrics", len(names), len(names))
    return _cross_check(results)


def _cross_check(results: list[MetricResult]) -> list[MetricResult]:
    """What several metrics say together: a good GAN-test with a low CAS means samples that are too much alike."""
    test = next((result for result in results if result.name.startswith("gan_test")), None)
    if test is None or test.floor is None or _below_floor(test):
        return results
    return [
        replace(
            result,
            note=f"ALARM {result.note}; with a good GAN-test: memorised, collapsed inside classes, or too typical",
        )
        if result.name.startswith("cas") and _below_floor(result)
        else result
        for result in results
    ]


def _below_floor(result: MetricResult) -> bool:
    return result.floor is not None and result.value < result.floor - LOW_CAS
