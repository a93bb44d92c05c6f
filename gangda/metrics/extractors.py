"""Features that no label has touched: fixed random convolutions, and principal components of pixels.

A classifier's features suppress variation inside a class; these do not, and so show a class that has collapsed.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from gangda.data.images import UInt8Array
from gangda.runtime.device import DeviceContext, evaluating
from gangda.runtime.seeding import torch_stream

Features = npt.NDArray[np.float32]

COMPONENTS = 32
FIT_ROWS = 1000  # images that components are fitted on: enough for 32, and a second at 64x64 RGB


@dataclass(frozen=True, eq=False)
class Extractor:
    """A kind of features."""

    name: str  # the kind, as it appears in metric names
    fingerprint: str  # hash of the weights
    embed: Callable[[UInt8Array], Features]  # uint8 (N, H, W, C) -> float32 (N, F)


def random_convolutions(image_shape: tuple[int, int, int], context: DeviceContext) -> Extractor:
    """Two random convolutions with ReLU, averaged over the quarters of the image: 256 features.

    The first layer's filters have zero mean and unit norm: they see edges, not brightness. Weights come from a named
    stream and depend on the number of channels and the first stride only. Always float32, so that no feature depends on
    the batch beside it.

    Source: random-weight features as in Saxe 2011 and as the random Inception of Naeem 2020; the size is ours.
    """
    channels, height, _ = image_shape
    stride = 2 if height > 16 else 1
    network = nn.Sequential(
        nn.Conv2d(channels, 32, 5, stride, 2, padding_mode="replicate", bias=False),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, 2, 1, padding_mode="replicate", bias=False),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
    )
    rng = torch_stream("metrics", "random convolutions", channels)
    first = torch.randn(32, channels, 5, 5, generator=rng)
    first -= first.mean(dim=(1, 2, 3), keepdim=True)
    first /= first.flatten(1).norm(dim=1)[:, None, None, None]
    second = torch.randn(64, 32, 3, 3, generator=rng) * (2 / (32 * 9)) ** 0.5
    network.load_state_dict({"0.weight": first, "2.weight": second})
    fingerprint = _hash(first.numpy(), second.numpy(), stride)
    network = network.to(context.device).requires_grad_(False)

    def embed(pixels: UInt8Array) -> Features:
        parts = [np.zeros((0, 256), dtype=np.float32)]
        with evaluating(network):
            size = context.inference_batch(math.prod(image_shape))
            for start in range(0, len(pixels), size):
                batch = torch.from_numpy(pixels[start : start + size].astype(np.float32)).to(context.device)
                parts.append(network(batch.permute(0, 3, 1, 2) / 127.5 - 1).cpu().numpy())
        return np.concatenate(parts)

    return Extractor("randconv", fingerprint, embed)


def pixel_components(pixels: UInt8Array) -> Extractor:
    """The first 32 principal components of real pixels in [-1, 1] (fewer for fewer images), as features.

    `pixels`, uint8 (N, H, W, C) with N >= 2, must not be images the generator has seen: held-out ones.

    Source: Hotelling 1933.
    """
    rows = np.unique(np.linspace(0, len(pixels) - 1, min(len(pixels), FIT_ROWS)).astype(np.int64))
    flat = _flat(pixels[rows])
    mean = flat.mean(axis=0)
    _, _, axes = np.linalg.svd(flat - mean, full_matrices=False)
    axes = axes[: min(COMPONENTS, len(rows) - 1)].T.copy()

    def embed(images: UInt8Array) -> Features:
        parts = [np.zeros((0, axes.shape[1]), dtype=np.float32)]
        for start in range(0, len(images), 4096):
            parts.append((_flat(images[start : start + 4096]) - mean) @ axes)
        return np.concatenate(parts)

    return Extractor("pca", _hash(mean, axes), embed)


def _flat(pixels: UInt8Array) -> Features:
    flat: Features = pixels.reshape(len(pixels), -1).astype(np.float32) / np.float32(127.5) - np.float32(1)
    return flat


def _hash(*parts: npt.NDArray[np.float32] | int) -> str:
    return hashlib.sha256(b"".join(np.asarray(part).tobytes() for part in parts)).hexdigest()[:16]
