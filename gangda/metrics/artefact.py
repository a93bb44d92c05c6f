"""Two-sample test: can a small classifier tell samples from real images?"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from gangda.data.images import FloatArray, IntArray
from gangda.metrics.inputs import Features, MetricInputs, Side, subsample
from gangda.metrics.result import MetricResult

FOLDS = 4
MOST = 2000  # images of each side: enough for an AUC to 0.02
LEAST = 20
ALARM = 0.9  # the lower end of the interval is above: nearly every sample is recognised


def artefact(inputs: MetricInputs) -> list[MetricResult]:
    """Out-of-fold AUC of a logistic regression on label-free features: samples or held-out images?

    0.5 where it cannot (the ideal), 1 where every sample carries an artefact. On random convolutions this is
    a small network whose first layers stay random. The alarm rings where the 95% interval is above 0.9.

    Source: Lopez-Paz and Oquab 2017 (classifier two-sample test), with the AUC in place of the accuracy; the bound
    of the alarm is ours.
    """
    rows = subsample(inputs.n, MOST, inputs.seed, "artefact")

    def measure(side: Side, kind: str) -> float:
        return _auc(side.features(kind)[rows], inputs.real.features(kind)[rows])

    value, floor = inputs.both("artefact", "randconv", measure)
    interval = None if math.isnan(value) else auc_interval(value, len(rows))
    note = "too few images" if interval is None else ""
    if interval is not None and interval[0] > ALARM:
        note = "ALARM a small classifier tells samples from real images"
    n, more = (len(rows), len(rows)), {"interval": interval, "floor": float(floor), "note": note}
    return [inputs.result("artefact_auc", "randconv", value, "lower", n, **more)]


def auc_interval(auc: float, count: int) -> tuple[float, float]:
    """95% interval of an AUC with `count` cases on either side.

    Source: Hanley and McNeil 1982, equation 1 with the exponential approximation.
    """
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (count - 1) * (q1 + q2 - 2 * auc**2)
    half = 1.96 * math.sqrt(max(0.0, variance)) / count
    return max(0.0, auc - half), min(1.0, auc + half)


def _auc(ours: Features, theirs: Features) -> float:
    """AUC of two (n, F) sets; NaN for few images."""
    from sklearn.metrics import roc_auc_score

    count = len(ours)
    if count < LEAST:
        return math.nan
    features = np.concatenate([ours, theirs]).astype(np.float64)
    labels = np.repeat([1, 0], count).astype(np.int64)
    # Same position, same fold: every fold holds as many samples as real images.
    folds = np.tile(np.arange(count, dtype=np.int64) % FOLDS, 2)
    scores = out_of_fold(features, labels, folds, "decision_function")
    # Decision values of different fits are not on one scale: the AUC is taken inside each fold.
    values = [roc_auc_score(labels[folds == fold], scores[folds == fold]) for fold in range(FOLDS)]
    return float(np.mean(values))


def out_of_fold(features: FloatArray, labels: IntArray, folds: IntArray, method: str) -> npt.NDArray[Any]:
    """Output of a logistic regression for each row of (N, F), fitted on the rows of the other folds, int64 (N,).

    Features are standardised. `method`: "predict" for labels (N,), "decision_function" for scores (N,) of two classes.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import PredefinedSplit, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200))
    return np.asarray(cross_val_predict(model, features, labels, cv=PredefinedSplit(folds), method=method))
