"""Logistic regression on features, evaluated on images that it was not fitted on."""

from typing import Any

import numpy as np
import numpy.typing as npt

from gangda.data.images import FloatArray, IntArray

FOLDS = 4


def out_of_fold(features: FloatArray, labels: IntArray, folds: IntArray, method: str) -> npt.NDArray[Any]:
    """Output for each row of (N, F), from a fit on the rows of the other folds, int64 (N,), with standardised features.

    `method`: "predict" for labels (N,), "decision_function" for scores (N,) of two classes.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import PredefinedSplit, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200))
    output = cross_val_predict(model, features, labels, cv=PredefinedSplit(folds), method=method)
    return np.asarray(output)
