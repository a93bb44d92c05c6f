"""TensorFlow's alignment, against a plain loop and SciPy."""

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d
from torch import nn

from gangda.zoo.layers.tf_padding import (
    MirroredConv2d,
    MirroredConvTranspose2d,
    init_glorot,
    mirrored,
)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after a side of `size` pixels, so that a convolution leaves ceil(size / stride).

    Where the sum is odd the one more comes after: a 5x5 convolution of stride 2 on an even side has 1 and 2.
    Source: TensorFlow's documentation of `tf.nn.convolution`, padding="SAME".
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def test_padding_as_tensorflow_documents_it():
    # size, kernel, stride -> before, after; worked by hand
    assert same_padding(28, 5, 2) == (1, 2)
    assert same_padding(14, 5, 2) == (1, 2)
    assert same_padding(7, 5, 2) == (2, 2)
    assert same_padding(7, 5, 1) == (2, 2)
    assert same_padding(8, 2, 4) == (0, 0)


def strided_by_scipy(image, kernel, stride):
    """Correlation with the kernel's window starting `before` pixels outside, every `stride` pixels."""
    (top, bottom), (left, right) = (same_padding(n, 5, stride) for n in image.shape)
    return correlate2d(np.pad(image, ((top, bottom), (left, right))), kernel, "valid")[::stride, ::stride]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(6, 6), (7, 8), (5, 9)], ids=str)
def test_convolution_agrees_with_scipy(size, stride):
    rng = np.random.default_rng(0)
    image, kernel = rng.normal(size=size), rng.normal(size=(5, 5))
    layer = MirroredConv2d(1, 1, 5, stride, bias=False).double()
    layer.weight.data = torch.tensor(kernel)[None, None]
    ours = mirrored(layer(mirrored(torch.tensor(image)[None, None])))[0, 0].detach().numpy()
    assert ours == pytest.approx(strided_by_scipy(image, kernel, stride), abs=1e-12)
    assert ours.shape == tuple(-(-n // stride) for n in size)


@pytest.mark.parametrize("stride", [1, 2])
def test_transposed_convolution_stamps_the_kernel_where_tensorflow_does(stride):
    # TensorFlow defines it as the gradient of the 'same' convolution: pixel i lands at stride i - before + tap.
    rng = np.random.default_rng(1)
    image, kernel = rng.normal(size=(3, 4)), rng.normal(size=(5, 5))
    height, width = 3 * stride, 4 * stride
    before = same_padding(height, 5, stride)[0]
    expected = np.zeros((height, width))
    for (i, j), value in np.ndenumerate(image):
        for (a, b), tap in np.ndenumerate(kernel):
            row, column = stride * i - before + a, stride * j - before + b
            if 0 <= row < height and 0 <= column < width:
                expected[row, column] += value * tap
    layer = MirroredConvTranspose2d(1, 1, 5, stride).double()
    layer.weight.data = torch.tensor(kernel)[None, None]
    ours = mirrored(layer(mirrored(torch.tensor(image)[None, None])))[0, 0].detach().numpy()
    assert ours == pytest.approx(expected, abs=1e-12)


def test_one_pixel_lands_off_centre():
    # One pixel, stride 2, a kernel of 1..25: rows and columns 1 and 2 of the kernel (from 0) remain.
    layer = MirroredConvTranspose2d(1, 1, 5, 2)
    layer.weight.data = torch.arange(1.0, 26.0).view(1, 1, 5, 5)
    assert mirrored(layer(torch.ones(1, 1, 1, 1))).flatten().tolist() == [7, 8, 12, 13]


@pytest.mark.parametrize(
    ("outs", "stride", "side"),
    [(8, 1, 7), (1, 1, 7), (8, 2, 7), (1, 2, 14), (3, 2, 14)],
    ids=["in frequency space", "both", "plain", "stamps", "stamps of three channels"],
)
def test_the_ways_to_compute_a_layer_give_one_function(outs, stride, side):
    torch.manual_seed(0)
    layer = MirroredConvTranspose2d(16, outs, 5, stride)
    x = torch.randn(4, 16, side, side).contiguous(memory_format=torch.channels_last)
    upstream = torch.randn(4, outs, stride * side, stride * side)
    found = []
    for dtype in (torch.float32, torch.float64):  # doubles always go the plain way
        inputs = x.to(dtype).requires_grad_()
        result = layer.to(dtype)(inputs)
        gradients = torch.autograd.grad(result, [inputs, layer.weight], upstream.to(dtype), create_graph=True)
        twice = torch.autograd.grad(gradients[0].square().sum(), layer.weight)
        found.append([tensor.double() for tensor in (result, *gradients, *twice)])
    for ours, exact in zip(*found, strict=True):
        assert torch.allclose(ours, exact, rtol=1e-5, atol=1e-5 * float(exact.detach().abs().max()))


def test_even_kernels_and_long_strides_are_refused():
    for kernel, stride in ((4, 2), (5, 3)):
        with pytest.raises(ValueError, match="odd kernels"):
            MirroredConv2d(1, 1, kernel, stride)


def test_glorot_counts_each_group_alone():
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(4 * 8, 4 * 6, 5, groups=4)
    init_glorot(layer)
    bound = (6 / (25 * (8 + 6))) ** 0.5  # Glorot and Bengio 2010, equation 16
    largest = layer.weight.abs().amax(dim=(1, 2, 3)).view(4, 8).amax(1)
    assert largest.max() <= bound
    assert largest.min() > 0.95 * bound
    assert layer.bias.abs().max() == 0


def test_groups_one_after_the_other_give_the_same():
    torch.manual_seed(0)
    layer, x = MirroredConvTranspose2d(6, 9, 5, 2, groups=3), torch.randn(2, 6, 4, 5)
    grouped = layer._convolved(x, layer.weight, 3)
    assert torch.allclose(layer(x), grouped, atol=1e-5)
