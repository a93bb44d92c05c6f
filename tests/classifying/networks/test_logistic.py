import numpy as np
import torch

from gangda.classifying.fit import evaluate, fit_classifier
from gangda.classifying.networks import logistic
from gangda.config.schema import ClassifierConfig, DataConfig
from gangda.data.loading import load_splits
from gangda.runtime.device import DeviceContext


def test_it_is_linear_in_the_pixels() -> None:
    network = logistic.Logistic(3, 1, 4)
    torch.nn.init.normal_(network.output.weight)
    x = torch.randn(5, 1, 4, 4)
    expected = x.flatten(1) @ network.output.weight.T
    torch.testing.assert_close(network(x), expected)


def test_it_does_about_as_well_as_scikit_learns(context: DeviceContext) -> None:
    from sklearn.linear_model import LogisticRegression

    splits = load_splits(DataConfig(per_class=50), 0)
    config = ClassifierConfig(classifier="logistic", classifier_steps=500)
    ours = evaluate(fit_classifier(splits.train, config, seed=0, context=context), splits.test).accuracy
    flat = [part.pixels.reshape(len(part), -1) / 127.5 - 1 for part in (splits.train, splits.test)]
    theirs = LogisticRegression(max_iter=500).fit(flat[0], splits.train.labels)
    assert abs(ours - float(np.mean(theirs.predict(flat[1]) == splits.test.labels))) < 0.03
