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
    tests = [result for result in results if result.name.startswith("gan_test")]
    if not tests or tests[0].floor is None or not tests[0].value >= tests[0].floor - LOW_CAS:
        return results
    return [_suspect(result) if result.name.startswith("cas") else result for result in results]


def _suspect(cas: MetricResult) -> MetricResult:
    if cas.floor is None or cas.value >= cas.floor - LOW_CAS:
        return cas
    note = f"ALARM {cas.note}; with a good GAN-test: memorised, collapsed inside classes, or too typical"
    return replace(cas, note=note)
