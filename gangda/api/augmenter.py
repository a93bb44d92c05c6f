"""`GanAugmenter`: a generator as a sampler of imbalanced-learn, which evens out classes."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from imblearn.over_sampling.base import BaseOverSampler
from scipy import sparse

from gangda.api.options import resolved
from gangda.augmenting.plan import share_of
from gangda.config.schema import TrainConfig
from gangda.data.images import IntArray, LabelledImages, UInt8Array, real_images
from gangda.errors import UsageError
from gangda.runtime.device import prepare
from gangda.runtime.torch_state import unchanged_torch
from gangda.sampling.build import make_sampler
from gangda.sampling.writing import draw_images
from gangda.training import fit_generator

Array = npt.NDArray[Any]
SMALLEST = 8  # pixels a side that the architectures take
SECTIONS = ("arch", "recipe", "method", "budget", "runtime")  # of `options`


class GanAugmenter(BaseOverSampler):  # type: ignore[misc]  # imbalanced-learn is not typed
    """Train a generator on (X, y) and add its samples, as imbalanced-learn's over-samplers add theirs.

    X are images (N, H, W) or (N, H, W, C), or rows of as many values; rows that are no square image, grey or RGB, are
    laid out in the next larger square. Values are scaled to 0 to 255 by the least and largest of all X and back, so
    they are rounded to 256 levels, but for uint8. The generator sees all of (X, y): fit it on training images only.

    Args:
        arch: architecture, class-conditional.
        ratio: synthetic images per real image of each class, in place of `sampling_strategy`.
        sampling_strategy: which classes grow to how many images, as in imbalanced-learn; default all to the largest.
        image_shape: (H, W) or (H, W, C) of a row; default a square.
        options: further options of training by name, such as {"steps": 500, "device": "cpu"}.
        random_state: seed; None for another one each time.

    >>> X, y = np.zeros((30, 8, 8), np.uint8), np.repeat(["common", "rare"], [20, 10])
    >>> images, labels = GanAugmenter("pca", random_state=0).fit_resample(X, y)
    >>> images.shape, int((labels == "rare").sum())
    ((40, 8, 8), 20)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseOverSampler._parameter_constraints,
        "arch": [str],
        "ratio": [None, float, int],
        "image_shape": [None, tuple, list],
        "options": [None, dict],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        arch: str = "cdcgan",
        ratio: float | None = None,
        *,
        sampling_strategy: str | float | Mapping[Any, int] | Callable[..., Any] = "auto",
        image_shape: tuple[int, ...] | None = None,
        options: dict[str, Any] | None = None,
        random_state: Any = None,
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.arch, self.ratio, self.image_shape = arch, ratio, image_shape
        self.options, self.random_state = options, random_state

    def fit_resample(self, X: Any, y: Any, **params: Any) -> tuple[Any, Any]:
        """X and y with samples after them; images come back as images."""
        shape = np.shape(X)
        if len(shape) not in (3, 4):
            return super().fit_resample(X, y, **params)  # type: ignore[no-any-return]
        if self.image_shape is not None and tuple(self.image_shape) != shape[1:]:
            raise ValueError(f"image_shape {self.image_shape}: X has images of {shape[1:]}; leave it out")
        self._shape_of_X = shape[1:]
        try:
            rows, labels = super().fit_resample(np.reshape(X, (shape[0], -1)), y, **params)
        finally:
            del self._shape_of_X
        return np.reshape(rows, (-1, *shape[1:])), labels

    def _fit_resample(self, X: Any, y: Any, **params: Any) -> tuple[Any, Any]:
        classes, labels = np.unique(y, return_inverse=True)
        dense = X.toarray() if sparse.issparse(X) else np.asarray(X)
        have = np.bincount(labels)
        make = np.array([self.sampling_strategy_.get(name, 0) for name in classes.tolist()], dtype=np.int64)
        if self.ratio is not None:
            if self.sampling_strategy != "auto":
                raise ValueError("ratio and sampling_strategy exclude each other: give one of them")
            if not 0 <= self.ratio < math.inf:
                raise ValueError(f"ratio={self.ratio}: must be at least 0, and finite")
            make = share_of(have, self.ratio)
        if not make.any():
            return X, y
        layout = _Layout.of(dense, getattr(self, "_shape_of_X", self.image_shape))
        images = real_images(layout.to_pixels(dense), labels, [str(name) for name in classes])
        made = layout.to_rows(self._samples(images, make).pixels)
        both = np.concatenate([dense, made])
        grown = np.concatenate([y, np.repeat(classes, make)])
        return (sparse.csr_matrix(both) if sparse.issparse(X) else both), grown

    def _samples(self, images: LabelledImages, counts: IntArray) -> LabelledImages:
        """`counts` (K,) samples of a generator that is trained on the images."""
        from sklearn.utils import check_random_state

        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**31)
        options = {"arch": self.arch, "seed": int(seed), **(self.options or {})}
        config = resolved(SECTIONS, (), options).pick(TrainConfig)
        if not config.spec.conditional:
            raise UsageError(f"arch={self.arch!r}: cannot make images of a given class; choose another one")
        with unchanged_torch(), tempfile.TemporaryDirectory() as folder:
            model = fit_generator(
                config, images, Path(folder) / "run", fingerprint=images.content_hash(), checkpoint="last"
            )
            sampler = make_sampler(model, seed=int(seed), context=prepare(config.runtime))
            return draw_images(sampler, counts, images.class_names)


@dataclass(frozen=True)
class _Layout:
    """How rows of values become images of 8 bits, and back."""

    width: int  # values of a row
    shape: tuple[int, int, int]  # (H, W, C)
    low: float  # values that become 0 and 255
    high: float
    dtype: Any  # of the rows

    @classmethod
    def of(cls, rows: Array, image_shape: tuple[int, ...] | None) -> _Layout:
        """For rows (N, D), as images (H, W[, C]) or, for None, as squares."""
        width = rows.shape[1]
        third = width // 3
        rgb = math.isqrt(width) ** 2 != width == 3 * third and math.isqrt(third) ** 2 == third
        height, across, channels = (0, 0, 3 if rgb else 1) if image_shape is None else (*image_shape, 1)[:3]
        if image_shape is not None and (height * across * channels != width or channels not in (1, 3)):
            raise ValueError(f"image_shape {tuple(image_shape)}: rows have {width} values")
        if height != across or height < SMALLEST:
            height = across = max(SMALLEST, math.isqrt(width // channels - 1) + 1)
        bytes_already = rows.dtype == np.uint8
        low, high = (0.0, 255.0) if bytes_already else (float(rows.min()), float(rows.max()))
        return cls(width, (height, across, channels), low, high if high > low else low + 1.0, rows.dtype)

    def to_pixels(self, rows: Array) -> UInt8Array:
        """(N, D) -> uint8 (N, H, W, C); what is left of a square is 0."""
        scaled = (rows.astype(np.float64) - self.low) * (255.0 / (self.high - self.low))
        pixels = np.zeros((len(rows), math.prod(self.shape)), dtype=np.uint8)
        pixels[:, : self.width] = scaled.round().clip(0, 255)
        return pixels.reshape(-1, *self.shape)

    def to_rows(self, pixels: UInt8Array) -> Array:
        """The inverse, (N, D); whole numbers are rounded."""
        rows = pixels.reshape(len(pixels), -1)[:, : self.width]
        values = rows * ((self.high - self.low) / 255.0) + self.low
        return (values.round() if self.dtype.kind in "biu" else values).astype(self.dtype, copy=False)
