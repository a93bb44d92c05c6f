"""Convolutions reformulated for CPUs: the same functions. Accelerators and bf16 have fast kernels of their own."""

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional as F

FEW = 3  # channels of an image
LARGEST = 12  # pixels a side; beyond, the filters' spectra no longer fit the caches


def is_plain_cpu(x: Tensor) -> bool:
    """Whether x is float32 on a CPU, and no autocast is active."""
    return x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")


def few_channels_are_faster(x: Tensor, outs: int) -> bool:
    """Whether `few_channels_transposed` is the faster way from x (B, C, H, W) to so many channels."""
    return outs <= FEW and is_plain_cpu(x)


def few_channels_transposed(x: Tensor, filters: Tensor, stride: int, padding: int) -> Tensor:
    """What `conv_transpose2d(x, filters, None, stride, padding, stride - 1)` gives, with 2 padding = k - 1.

    x: (B, C, H, W); filters: (C, C', k, k) -> (B, C', stride H, stride W). Each pixel's k x k stamps in one product,
    then laid over each other (kernels made for many channels leave most SIMD lanes unused); sums are in another order.
    Differentiable any number of times.
    """
    rows, channels, height, width = x.shape
    kernel = filters.shape[2]
    stamps = x.permute(0, 2, 3, 1).reshape(-1, channels) @ filters.reshape(channels, -1)
    stamps = stamps.view(rows, height * width, -1).transpose(1, 2)
    return F.fold(stamps, (stride * height, stride * width), kernel, padding=padding, stride=stride)


def channels_last(x: Tensor) -> Tensor:
    """(B, C, H, W) in that layout, also by its strides where C is 1, since convolutions choose theirs by them."""
    rows, channels, height, width = x.shape
    flat = x.permute(0, 2, 3, 1).reshape(rows, -1)
    return flat.view(rows, height, width, channels).permute(0, 3, 1, 2)


def fourier_is_faster(x: Tensor, kernel: int) -> bool:
    """Whether `fourier_convolution` is faster for x (B, C, n, n): filters that cover much of a small square plane."""
    square = x.shape[2] == x.shape[3] and 4 <= x.shape[2] <= LARGEST
    return square and kernel >= 5 and kernel % 2 == 1 and is_plain_cpu(x)


def fourier_convolution(x: Tensor, filters: Tensor) -> Tensor:
    """What `conv2d(x, filters.transpose(0, 1), padding=k // 2)` gives, to about 1e-6 of the largest value.

    x: (B, C, n, n); filters: (C, C', k, k), k odd, the order that transposed convolutions keep them in -> (B, C', n, n)
    in channels_last. Differentiable any number of times. A 5x5 filter costs 25 products a pixel, and 164 / 49 here at
    7x7: for each frequency one product of matrices (four real ones in place of a complex one).
    Source: the convolution theorem; Mathieu 2014 ("Fast training of convolutional networks through FFTs").
    """
    rows, channels, side, _ = x.shape
    outs, kernel = filters.shape[1], filters.shape[2]
    of_planes, of_filters, back = _transforms(side, kernel)
    count = len(of_planes) // 2
    spectra = of_planes @ x.flatten(2).permute(2, 0, 1).flatten(1)
    filter_spectra = of_filters @ filters.flatten(2).permute(2, 0, 1).flatten(1)
    beside = filter_spectra.view(count, 2, channels, outs).transpose(1, 2).flatten(2)
    # All pairs of real and imaginary parts.
    products = torch.bmm(spectra.view(count, 2 * rows, channels), beside)
    pairs = products.view(count, 2, rows, 2, outs).transpose(2, 3).reshape(4 * count, rows * outs)
    planes = (back @ pairs).view(side, side, rows, outs).permute(2, 3, 0, 1)
    return planes.contiguous(memory_format=torch.channels_last)


@functools.cache
@torch.inference_mode(False)  # they are kept, and may be asked for first while sampling
def _transforms(side: int, kernel: int) -> tuple[Tensor, Tensor, Tensor]:
    """Planes to spectra (2 F, side^2), filters to spectra (2 F, kernel^2), and products back (side^2, 4 F).

    F frequencies of a period that is odd and long enough for what wraps around to fall outside; each has its real and
    its imaginary part, and each pair of opposite ones is there once. Products: (plane's part, filter's part).
    """
    reach = kernel // 2
    period = side + reach + (side + reach + 1) % 2
    pairs = [(a, b) for a in range(period) for b in range(period)]
    frequencies = [(a, b) for a, b in pairs if (a, b) <= (-a % period, -b % period)]
    angles = 2 * math.pi / period * torch.tensor(frequencies, dtype=torch.float64)

    def turns(size: int, first: int) -> Tensor:
        places = torch.arange(first, first + size, dtype=torch.float64)
        return (angles[:, 0, None, None] * places[:, None] + angles[:, 1, None, None] * places).flatten(1)

    planes, filters = turns(side, 0), turns(kernel, -reach)
    weight = torch.full((len(angles), 1), 2.0, dtype=torch.float64) / period**2  # also for the opposite
    weight[0] /= 2  # frequency 0 is its own opposite
    cos, sin = weight * planes.cos(), weight * planes.sin()
    # conv2d correlates: the plane's spectrum (cos, -sin) times the filter's conjugate (cos, +sin).
    of_planes = torch.stack([planes.cos(), -planes.sin()], dim=1).flatten(0, 1)
    of_filters = torch.stack([filters.cos(), filters.sin()], dim=1).flatten(0, 1)
    back = torch.stack([cos, -sin, -sin, -cos], dim=1).flatten(0, 1).T
    return of_planes.float(), of_filters.float(), back.float().contiguous()
