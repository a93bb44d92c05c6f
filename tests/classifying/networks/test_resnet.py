import pytest
import torch
from torch.nn import functional

from gangda.classifying.networks import resnet
from gangda.errors import UsageError


@pytest.mark.parametrize("size", [8, 9, 15, 16, 28, 32, 33, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_size_gives_logits_and_128_features(size: int, channels: int) -> None:
    network = resnet.ResNet(7, channels, size).eval()
    x = torch.rand(2, channels, size, size) * 2 - 1
    features = network.features(x)
    assert features.shape == (2, resnet.FEATURES)
    assert (features >= 0).all()
    assert torch.equal(network.output(features), network(x))


def test_parameters_counted_by_hand() -> None:
    stem = 9 * 32
    first = 2 * 32 * 2 + 2 * 9 * 32 * 32
    second = 2 * 32 + 2 * 64 + 9 * 32 * 64 + 9 * 64 * 64 + 32 * 64
    third = 2 * 64 + 2 * 128 + 9 * 64 * 128 + 9 * 128 * 128 + 64 * 128
    head = 2 * 128 + 128 * 10 + 10
    total = sum(p.numel() for p in resnet.ResNet(10, 1, 28).parameters())
    assert total == stem + first + second + third + head == 307_690


def test_a_block_is_pre_activated_and_adds_its_input() -> None:
    block = resnet.Block(4, 4, 1).eval()
    x = torch.randn(2, 4, 5, 5)
    shrink = (1 + block.norm1.eps) ** -0.5  # eval mode at initialisation: running mean 0, variance 1
    h = functional.conv2d((x * shrink).relu(), block.conv1.weight, padding=1)
    expected = x + functional.conv2d((h * shrink).relu(), block.conv2.weight, padding=1)
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("size", [7, 65])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(UsageError, match="8 to 64 pixels"):
        resnet.ResNet(10, 1, size)
