"""The last layer: found by what it computes, started anew alone, made one of cosines."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gangda.classifying.fit import build_classifier, fit_classifier
from gangda.classifying.output_layer import CosineLinear, output_layer, restart_output, with_cosine_output
from gangda.config.arms import ARMS, FitRule
from gangda.config.schema import ClassifierConfig
from gangda.data.images import LabelledImages
from gangda.errors import UsageError
from gangda.runtime.device import DeviceContext

SHAPE = (1, 8, 8)


class Reversed(nn.Module):
    """A network whose last layer comes first among its modules, and is not the only one with as many outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.body = nn.Linear(3, 3), nn.Sequential(nn.Flatten(), nn.Linear(64, 3), nn.Dropout(0.5))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).relu())


@pytest.mark.parametrize("name", ["lenet", "resnet", "logistic"])
def test_the_shipped_networks_end_in_their_output(name: str) -> None:
    network = build_classifier(name, 3, SHAPE)
    assert output_layer(network, name, SHAPE) == ("output", network.output)
    assert network.training


def test_it_is_found_by_what_it_computes_and_not_by_its_place() -> None:
    network = Reversed()
    assert output_layer(network, "own:net", SHAPE) == ("head", network.head)


def test_a_network_that_ends_otherwise_is_refused_in_one_line() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3), nn.LogSoftmax(1))
    with pytest.raises(
        UsageError, match=r"own:net: its logits are not the output of a torch\.nn\.Linear"
    ) as caught:
        output_layer(network, "own:net", SHAPE)
    assert "\n" not in str(caught.value)


def test_a_restart_leaves_all_but_the_last_layer_alone() -> None:
    network = Reversed()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert restart_output(network, "own:net", SHAPE) is network.head
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"head.weight", "head.bias"}
    assert {name for name, value in network.named_parameters() if value.requires_grad} == changed
    assert not network.training, "features without dropout"


def test_logits_are_thirty_cosines() -> None:
    layer, x = CosineLinear(5, 3), torch.randn(4, 5)
    w, v = layer.weight.detach().double().numpy(), x.double().numpy()
    cosines = v @ w.T / np.linalg.norm(v, axis=1)[:, None] / np.linalg.norm(w, axis=1)
    np.testing.assert_allclose(layer(x).detach().numpy(), 30 * cosines, rtol=1e-4, atol=1e-5)
    network = with_cosine_output(build_classifier("lenet", 3, SHAPE), "lenet", SHAPE)
    assert float(network(torch.randn(6, *SHAPE)).detach().abs().max()) <= 30.0001


def dots(counts: tuple[int, ...], seed: int) -> LabelledImages:
    """A bright square, in another corner for each class, in noise."""
    rng, labels = np.random.default_rng(seed), np.repeat(np.arange(len(counts)), counts)
    pixels = rng.integers(0, 200, (len(labels), 8, 8, 1), dtype=np.uint8)
    for image, label in zip(pixels, labels, strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[row : row + 4, column : column + 4] = np.minimum(
            image[row : row + 4, column : column + 4] + 55, 255
        )
    return LabelledImages(
        pixels, labels, tuple("abc"), np.arange(len(labels)), np.zeros(len(labels), np.uint8)
    )


def test_retraining_keeps_the_features_of_the_first_nine_tenths(context: DeviceContext) -> None:
    """Bit by bit those of a plain training of so many steps; the last layer is another."""
    train, rule = dots((30, 20, 10), 0), FitRule(retrained=True)
    plain, retrained = (
        fit_classifier(
            train,
            ClassifierConfig(classifier_steps=steps, classifier_batch=16),
            seed=0,
            context=context,
            rule=used,
        )
        for steps, used in ((18, FitRule()), (20, rule))
    )
    assert np.array_equal(plain.features(train.pixels), retrained.features(train.pixels))
    assert not np.array_equal(plain.logits(train.pixels), retrained.logits(train.pixels))
    assert retrained.steps == 20


@pytest.mark.parametrize("arm", ["ldam-drw+traditional", "logit-adjusted+traditional"])
def test_rare_classes_are_recalled_better_than_by_plain_training(context: DeviceContext, arm: str) -> None:
    train, test = dots((200, 20, 10), 0), dots((100, 100, 100), 1)
    config = ClassifierConfig(classifier_steps=100, classifier_batch=32)

    def rare_recall(rule):
        fitted = fit_classifier(train, config, seed=0, context=context, rule=rule)
        return float((fitted.predict(test.pixels) == test.labels)[test.labels > 0].mean())

    assert rare_recall(ARMS[arm].rule) > rare_recall(ARMS["real"].rule) + 0.05
