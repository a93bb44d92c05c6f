import pytest
import torch
from torch.nn import functional

from gangda.classifying.networks import lenet
from gangda.errors import UsageError


@pytest.mark.parametrize("size", [8, 9, 12, 15, 16, 17, 28, 32, 33, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_size_gives_logits_and_84_features(size: int, channels: int) -> None:
    network = lenet.LeNet(7, channels, size)
    x = torch.rand(2, channels, size, size) * 2 - 1
    assert network(x).shape == (2, 7)
    features = network.features(x)
    assert features.shape == (2, lenet.FEATURES)
    assert (features >= 0).all()
    assert torch.equal(network.output(features), network(x))


def test_28_pixels_is_the_textbook_lenet_5() -> None:
    network = lenet.LeNet(10, 1, 28)
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
        lenet.LeNet(10, 1, size)
