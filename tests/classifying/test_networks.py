import numpy as np
import pytest
import torch
from torch.nn import functional

from gangda.classifying.fit import evaluate, fit_classifier
from gangda.classifying.networks import Block, LeNet, Logistic, ResNet
from gangda.config.schema import ClassifierConfig, DataConfig
from gangda.data.loading import load_splits
from gangda.errors import UsageError
from gangda.runtime.device import DeviceContext


@pytest.mark.parametrize("size", [8, 9, 12, 15, 16, 17, 28, 32, 33, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_size_gives_logits_and_84_features(size: int, channels: int) -> None:
    network = LeNet(7, channels, size)
    x = torch.rand(2, channels, size, size) * 2 - 1
    assert network(x).shape == (2, 7)
    features = network.features(x)
    assert features.shape == (2, 84)
    assert (features >= 0).all()
    assert torch.equal(network.output(features), network(x))


def test_28_pixels_is_the_textbook_lenet_5() -> None:
    network = LeNet(10, 1, 28)
    assert sum(p.numel() for p in network.parameters()) == 61_706
    x = torch.randn(4, 1, 28, 28)
    w = dict(network.named_parameters())
    first = functional.conv2d(x, w["convolutions.0.weight"], w["convolutions.0.bias"], padding=2)
    h = functional.max_pool2d(first.relu(), 2)
    h = functional.conv2d(h, w["convolutions.3.weight"], w["convolutions.3.bias"])
    h = functional.max_pool2d(h.relu(), 2).flatten(1)
    for name in ("hidden.0", "hidden.2"):
        h = functional.linear(h, w[f"{name}.weight"], w[f"{name}.bias"]).relu()
    expected = functional.linear(h, w["output.weight"], w["output.bias"])
    torch.testing.assert_close(network(x), expected)


@pytest.mark.parametrize("size", [0, 7, 65])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(UsageError, match="8 to 64 pixels"):
        LeNet(10, 1, size)


@pytest.mark.parametrize("size", [8, 9, 15, 16, 28, 32, 33, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_size_gives_logits_and_128_features(size: int, channels: int) -> None:
    network = ResNet(7, channels, size).eval()
    x = torch.rand(2, channels, size, size) * 2 - 1
    features = network.features(x)
    assert features.shape == (2, 128)
    assert (features >= 0).all()
    assert torch.equal(network.output(features), network(x))


def test_parameters_counted_by_hand() -> None:
    stem = 9 * 32
    first = 2 * 32 * 2 + 2 * 9 * 32 * 32
    second = 2 * 32 + 2 * 64 + 9 * 32 * 64 + 9 * 64 * 64 + 32 * 64
    third = 2 * 64 + 2 * 128 + 9 * 64 * 128 + 9 * 128 * 128 + 64 * 128
    head = 2 * 128 + 128 * 10 + 10
    total = sum(p.numel() for p in ResNet(10, 1, 28).parameters())
    assert total == stem + first + second + third + head == 307_690


def test_a_block_is_pre_activated_and_adds_its_input() -> None:
    block = Block(4, 4, 1).eval()
    x = torch.randn(2, 4, 5, 5)
    shrink = (1 + block.norm1.eps) ** -0.5  # eval mode at initialisation: running mean 0, variance 1
    h = functional.conv2d((x * shrink).relu(), block.conv1.weight, padding=1)
    expected = x + functional.conv2d((h * shrink).relu(), block.conv2.weight, padding=1)
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("size", [7, 65])
def test_other_sizes_are_refused_by_resnet(size: int) -> None:
    with pytest.raises(UsageError, match="8 to 64 pixels"):
        ResNet(10, 1, size)


def test_logistic_regression_is_linear_in_the_pixels() -> None:
    network = Logistic(3, 1, 4)
    torch.nn.init.normal_(network.output.weight)
    x = torch.randn(5, 1, 4, 4)
    expected = x.flatten(1) @ network.output.weight.T
    torch.testing.assert_close(network(x), expected)


def test_logistic_regression_does_about_as_well_as_scikit_learns(context: DeviceContext) -> None:
    from sklearn.linear_model import LogisticRegression

    splits = load_splits(DataConfig(per_class=50), 0)
    config = ClassifierConfig(classifier="logistic", classifier_steps=500)
    ours = evaluate(fit_classifier(splits.train, config, seed=0, context=context), splits.test).accuracy
    flat = [part.pixels.reshape(len(part), -1) / 127.5 - 1 for part in (splits.train, splits.test)]
    theirs = LogisticRegression(max_iter=500).fit(flat[0], splits.train.labels)
    assert abs(ours - float(np.mean(theirs.predict(flat[1]) == splits.test.labels))) < 0.03
