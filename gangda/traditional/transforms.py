"""Rotation, translation, scaling, mirroring, blur and erasing in whole batches, with random parameters for each image.

Given its parameters, an image is transformed as by torchvision.transforms.v2's `affine` (bilinear, zero fill) and
`gaussian_blur`, without a loop over images. Departures from v2.RandomAffine: shifts are
not rounded to whole pixels (on 8x8 images most would then do nothing), there is one rounding to uint8
at the end instead of one after each transform, and the fill depends on the image: zeros where more than half
of its border pixels are zero (digits and clothes on black), else reflection at the border (photographs).
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from gangda.config import catalog
from gangda.config.policies import POLICIES
from gangda.config.schema import TransformConfig

AREA = (0.02, 0.33)  # of the image, that Random Erasing blanks
ASPECT = (0.3, 3.3)  # height over width of it
FILLS = ("reflection", "zeros")  # of the border; the second where most of it is black

Transform = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True, eq=False)
class Warp:
    """How the pixels of B output images are found in the input."""

    # Float32 (B, 2, 2), from offsets (x, y) from the centre of the output to offsets in the input.
    inverse: Tensor
    shift: Tensor  # float32 (B, 2), pixels right and down, applied after rotation and scaling

    def then(self, other: "Warp") -> "Warp":
        """Both: the linear parts one after the other, the shifts added."""
        return Warp(self.inverse @ other.inverse, self.shift + other.shift)


@dataclass(frozen=True)
class Part:
    """One transform of float32 images, with random parameters for each: either warps them or filters them."""

    warp: Callable[[Tensor, torch.Generator], Warp] | None = None
    filter: Transform | None = None


def rotation(config: TransformConfig) -> Part | None:
    """Rotate about the centre by up to `config.rotation` degrees either way; None where that is 0."""

    def draw(images: Tensor, rng: torch.Generator) -> Warp:
        angle = _uniform(len(images), -config.rotation, config.rotation, rng) * (math.pi / 180)
        cos, sin = angle.cos(), angle.sin()
        inverse = torch.stack([cos, sin, -sin, cos], dim=1).view(-1, 2, 2)
        return Warp(inverse, torch.zeros(len(images), 2))

    return Part(warp=draw) if config.rotation > 0 else None


def translation(config: TransformConfig) -> Part | None:
    """Shift by up to `config.translation` of the side in x and y; None where that is 0."""

    def draw(images: Tensor, rng: torch.Generator) -> Warp:
        height, width = images.shape[2:]
        share = _uniform(2 * len(images), -config.translation, config.translation, rng).view(-1, 2)
        return Warp(torch.eye(2).expand(len(images), 2, 2), share * torch.tensor([width, height]))

    return Part(warp=draw) if config.translation > 0 else None


def scaling(config: TransformConfig) -> Part | None:
    """Zoom about the centre by a factor from the range `config.scaling`; None where that is (1, 1)."""

    def draw(images: Tensor, rng: torch.Generator) -> Warp:
        factor = _uniform(len(images), *config.scaling, rng)
        return Warp(torch.eye(2) / factor.view(-1, 1, 1), torch.zeros(len(images), 2))

    return Part(warp=draw) if config.scaling != (1.0, 1.0) else None


def flip(config: TransformConfig) -> Part | None:
    """Mirror left and right with probability `config.flip`; None where that is 0."""

    def draw(images: Tensor, rng: torch.Generator) -> Warp:
        inverse = torch.eye(2).repeat(len(images), 1, 1)
        inverse[torch.rand(len(images), generator=rng) < config.flip, 0, 0] = -1.0
        return Warp(inverse, torch.zeros(len(images), 2))

    return Part(warp=draw) if config.flip > 0 else None


def blur(config: TransformConfig) -> Part | None:
    """Gaussian blur with sigma from 0 to `config.blur` pixels; None where that is 0."""

    def apply(images: Tensor, rng: torch.Generator) -> Tensor:
        sigma = _uniform(len(images), 0.0, config.blur, rng)
        return gaussian_blur(images, sigma.to(images.device), math.ceil(3 * config.blur))

    return Part(filter=apply) if config.blur > 0 else None


def erasing(config: TransformConfig) -> Part | None:
    """Blank a rectangle of an image with probability `config.erasing`; None where that is 0.

    Source: Zhong 2020, algorithm 1; torchvision.transforms.v2.RandomErasing has the same ranges, fills with 0 too and
    draws the aspect ratio's logarithm evenly, as here. Departure: a rectangle that is too long for the image is cut to
    its side in place of drawing anew.
    """

    def apply(images: Tensor, rng: torch.Generator) -> Tensor:
        return images.masked_fill(_rectangles(images, config.erasing, rng).to(images.device), 0)

    return Part(filter=apply) if config.erasing > 0 else None


def batch_transform(config: TransformConfig, names: Iterable[str] | None = None) -> Transform:
    """A function that transforms a batch: (uint8 (B, C, H, W), rng) -> uint8 (B, C, H, W), a new tensor.

    `names` picks transforms from the catalog (default: all); those whose range in `config` is empty do nothing. All
    warps are one interpolation; the filters follow in the catalog's order. An image's result depends on
    its own parameters alone, drawn from `rng` (a CPU generator).

    A policy of `config` takes the place of its ranges; some change a batch in their own way, whatever `names`.

    Raises UsageError: unknown name, or a policy that is still to be chosen.
    """
    ranges = config.ranges()
    if config.policy in POLICIES and (automatic := POLICIES[config.policy].automatic):
        return cast(Transform, catalog.load_target(automatic))
    config = ranges
    names = catalog.TRANSFORMS if names is None else names
    built = [catalog.builder("transform", catalog.TRANSFORMS, name)(config) for name in names]
    parts: list[Part] = [part for part in built if part is not None]
    warps = [part.warp for part in parts if part.warp is not None]
    filters = [part.filter for part in parts if part.filter is not None]

    def transform(images: Tensor, rng: torch.Generator) -> Tensor:
        # planes rather than channels last: faster to sample and to shift, above all in colour
        result = images.to(torch.float32, memory_format=torch.contiguous_format)
        if warps:
            drawn = [draw(images, rng) for draw in warps]
            whole = drawn[0]
            for another in drawn[1:]:
                whole = whole.then(another)
            result = affine(result, whole)
        for apply in filters:
            result = apply(result, rng)
        return result.round().clamp_(0, 255).to(torch.uint8)

    return transform


def affine(images: Tensor, warp: Warp) -> Tensor:
    """Move the pixels of float32 (B, C, H, W) images, bilinear; see the module for the fill of the border."""
    height, width = images.shape[2:]
    half = torch.tensor([width / 2, height / 2])
    linear = warp.inverse * half / half.view(2, 1)  # pixels -> the [-1, 1] of grid_sample
    offset = -(warp.inverse @ warp.shift.unsqueeze(2)) / half.view(2, 1)
    grid = _grid(torch.cat([linear, offset], dim=2).to(images.device), height, width)
    black = dark_border(images)
    most = bool(black.float().mean() > 0.5)
    result = _sample(images, grid, FILLS[most])
    rest = black != most
    if bool(rest.any()):
        result[rest] = _sample(images[rest], grid[rest], FILLS[not most])
    return result


def _grid(theta: Tensor, height: int, width: int) -> Tensor:
    """`affine_grid(theta, ..., align_corners=False)` up to rounding, without its product of matrices for every image.

    theta: (B, 2, 3) -> (B, H, W, 2).
    """
    x, y = (torch.linspace(-1, 1, n, device=theta.device) * (n - 1) / n for n in (width, height))
    columns, rows = theta[:, :, :1] * x, theta[:, :, 1:2] * y  # (B, 2, W), (B, 2, H)
    return (columns[:, :, None] + rows[..., None]).add_(theta[:, :, 2, None, None]).permute(0, 2, 3, 1)


def dark_border(images: Tensor) -> Tensor:
    """Whether more than half of the outermost pixels of each image are zero: bool (B,)."""
    edges = [images[:, :, 0], images[:, :, -1], images[:, :, 1:-1, 0], images[:, :, 1:-1, -1]]
    border = torch.cat([edge.flatten(1) for edge in edges], dim=1)
    return (border == 0).float().mean(dim=1) > 0.5


def gaussian_blur(images: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Blur each float32 (B, C, H, W) image by its own sigma (B,), in pixels, with reflected edges.

    The radius is cut to what reflection allows, the side less one.
    """
    for dim in (3, 2):
        images = _blur_along(images, sigma, min(radius, images.shape[dim] - 1), dim)
    return images


def _blur_along(images: Tensor, sigma: Tensor, radius: int, dim: int) -> Tensor:
    """One axis of a separable blur: a sum of shifted images, since every image has a kernel of its own."""
    offsets = torch.arange(-radius, radius + 1, device=images.device)
    kernel = torch.exp(-0.5 * (offsets / sigma.clamp_min(1e-3).view(-1, 1)) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).view(len(images), -1, 1, 1, 1)
    margins = [radius, radius, 0, 0] if dim == 3 else [0, 0, radius, radius]
    padded = functional.pad(images, margins, mode="reflect")
    size = images.shape[dim]
    result = padded.narrow(dim, 0, size) * kernel[:, 0]
    for tap in range(1, 2 * radius + 1):
        result.addcmul_(padded.narrow(dim, tap, size), kernel[:, tap])
    return result


def _sample(images: Tensor, grid: Tensor, padding: str) -> Tensor:
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode=padding, align_corners=False)


def _uniform(count: int, low: float, high: float, rng: torch.Generator) -> Tensor:
    """float32 (count,) between low and high."""
    return torch.rand(count, generator=rng) * (high - low) + low


def _rectangles(images: Tensor, probability: float, rng: torch.Generator) -> Tensor:
    """The pixels to erase: bool (B, 1, H, W)."""
    sides = torch.tensor(images.shape[2:])
    hit, area, aspect, *place = torch.rand(5, len(images), generator=rng)
    area = (AREA[0] + (AREA[1] - AREA[0]) * area) * sides.prod()
    low, high = (math.log(value) for value in ASPECT)
    aspect = torch.exp(low + (high - low) * aspect)
    long = torch.stack([(area * aspect).sqrt(), (area / aspect).sqrt()]).round().minimum(sides.view(2, 1))
    start = (torch.stack(place) * (sides.view(2, 1) - long + 1)).floor()
    places = [torch.arange(int(side)) for side in sides]  # bool (B, side) below: those from `start` on
    first, last = start[:, :, None], (start + long)[:, :, None]
    rows, columns = ((places[k] >= first[k]) & (places[k] < last[k]) for k in (0, 1))
    inside: Tensor = rows[:, :, None] & columns[:, None, :] & (hit < probability).view(-1, 1, 1)
    return inside.unsqueeze(1)
