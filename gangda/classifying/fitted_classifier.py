"""A trained classifier: its predictions and features, and its file."""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from gangda.classifying import custom
from gangda.config import catalog
from gangda.data.images import IntArray, UInt8Array, to_float
from gangda.data.memmap import as_tensor
from gangda.errors import DataError, UsageError
from gangda.runtime.device import DeviceContext, evaluating
from gangda.runtime.files import FORMAT_VERSION, check_version, write_bytes
from gangda.runtime.plain import from_plain

FloatArray32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False, kw_only=True)
class ClassifierCard:
    """What a classifier is and how it was trained: with the weights in its file.

    Attributes:
        name: of the architecture, as in `ClassifierConfig.classifier`.
        class_names: the K names, in label order.
        image_shape: (C, H, W) it was trained on.
        n_train, steps, seed: images, optimizer steps and seed of its training.
    """

    name: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    n_train: int
    steps: int
    seed: int


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedClassifier(ClassifierCard):
    """A trained classifier in eval mode on its device.

    Attributes:
        network: maps (B, C, H, W) in [-1, 1] to (B, K) logits.
        context: device and precision it runs in.
    """

    network: nn.Module
    context: DeviceContext

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 (first 16 digits) of architecture and weights: the key of what it computes."""
        digest = hashlib.sha256(repr((self.name, self.image_shape, self.class_names)).encode())
        for key, tensor in self._tensors().items():
            digest.update(key.encode() + tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:16]

    def _tensors(self) -> dict[str, Tensor]:
        return {key: tensor.cpu().contiguous() for key, tensor in self.network.state_dict().items()}

    def logits(self, pixels: UInt8Array) -> FloatArray32:
        """Class logits of uint8 (N, H, W, C) images: float32 (N, K)."""
        return self._apply(self.network, pixels, len(self.class_names))

    def features(self, pixels: UInt8Array) -> FloatArray32:
        """Activations before the output layer, float32 (N, F); the logits where there is no `features`."""
        return self._apply(getattr(self.network, "features", self.network), pixels, len(self.class_names))

    def predict(self, pixels: UInt8Array) -> IntArray:
        """The likeliest class of each image, int64 (N,)."""
        return np.asarray(self.logits(pixels).argmax(axis=1), dtype=np.int64)

    def _apply(self, function: Callable[[Tensor], Tensor], pixels: UInt8Array, width: int) -> FloatArray32:
        self._check(pixels)
        outputs = []
        with evaluating(self.network), self.context.autocast():
            size = self.context.inference_batch(math.prod(self.image_shape))
            for start in range(0, len(pixels), size):
                batch = to_device(pixels[start : start + size], self.context)
                outputs.append(function(to_float(batch)).float().cpu().numpy())
        return np.concatenate(outputs) if outputs else np.zeros((0, width), dtype=np.float32)

    def _check(self, pixels: UInt8Array) -> None:
        channels, height, width = self.image_shape
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (height, width, channels):
            raise DataError(
                f"the classifier was trained on {height}x{width} images with {channels} channels, "
                f"not on {pixels.dtype} {tuple(pixels.shape[1:])}; set --image-size, or train it on these"
            )

    def save(self, path: Path) -> None:
        """Write weights and description to one safetensors file."""
        card = {field.name: getattr(self, field.name) for field in fields(ClassifierCard)}
        text = json.dumps({"format_version": FORMAT_VERSION, **card, "fingerprint": self.fingerprint})
        write_bytes(path, save(self._tensors(), metadata={"gangda": text}))

    @staticmethod
    def load(path: Path, context: DeviceContext) -> "FittedClassifier":
        """Read a file written by `save`.

        Raises:
            DataError: missing, damaged, or not a classifier of gangda's.
        """
        card, fingerprint, tensors = _read(path)
        try:
            # By the catalog alone: a file must not say which code of the user's to run.
            catalog.lookup("classifier", catalog.CLASSIFIERS, card.name)
            network = build_classifier(card.name, len(card.class_names), card.image_shape)
            network.load_state_dict(tensors)
        except (UsageError, RuntimeError, TypeError, ValueError) as error:
            raise DataError(f"{path}: holds no weights of {card.name[:40]}; train it again") from error
        context = context_for(network, context)
        fitted = FittedClassifier(**vars(card), network=place(network, context).eval(), context=context)
        if fitted.fingerprint != fingerprint:
            raise DataError(f"{path}: its weights are damaged (their hash does not match); train it again")
        return fitted


def build_classifier(name: str, num_classes: int, image_shape: tuple[int, int, int]) -> nn.Module:
    """A fresh network by catalog name or `module:callable`, initialised from torch's global stream.

    Raises:
        UsageError: unknown name, or one that does not fit.
    """
    channels, height, _ = image_shape
    if ":" in name:
        return custom.build(name, num_classes, channels, height)
    network: nn.Module = catalog.builder("classifier", catalog.CLASSIFIERS, name)(
        num_classes, channels, height
    )
    return network


def to_device(pixels: UInt8Array, context: DeviceContext) -> Tensor:
    """uint8 (N, H, W, C) array -> uint8 (N, C, H, W) tensor on the device, channels-last in memory; only to be read."""
    return as_tensor(pixels).to(context.device).permute(0, 3, 1, 2)


def context_for(network: nn.Module, context: DeviceContext) -> DeviceContext:
    """The context with the precision this network runs fastest in: some are slower in bf16 on a CPU."""
    if context.device.type == "cpu" and getattr(network, "fp32_on_cpu", False):
        return replace(context, dtype=torch.float32)
    return context


def memory_format(context: DeviceContext) -> torch.memory_format:
    """The memory layout of images and convolutions on a device."""
    return torch.channels_last if context.channels_last else torch.contiguous_format


def place(network: nn.Module, context: DeviceContext) -> nn.Module:
    """Move a network, in place, to the device and its memory layout."""
    return network.to(context.device, memory_format=memory_format(context))  # type: ignore[call-overload,no-any-return]


def _read(path: Path) -> tuple[ClassifierCard, str, dict[str, Tensor]]:
    """Card, fingerprint and weights of a file."""
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise DataError(f"{path}: not a readable safetensors file ({error}); train it again") from None
    try:
        about = json.loads(metadata["gangda"])
        version, fingerprint = about.pop("format_version", None), about.pop("fingerprint")
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise DataError(f"{path}: not a classifier of gangda's; train it again") from None
    check_version(version, path)
    try:
        return from_plain(ClassifierCard, about), fingerprint, tensors
    except DataError as error:
        raise DataError(f"{path}: its description is damaged ({error}); train it again") from None
