"""Train a classifier on labelled images, and ask it.

The uint8 set stays on the device. A few thousand images at a time are gathered, transformed and made float in
one go; batches are slices of that. The order is that of one permutation of the set after the other, so no
image is seen twice before every image was seen.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from gangda import catalog
from gangda.classifiers import custom
from gangda.classifiers.evaluation import Evaluation, evaluate_predictions
from gangda.configs import ClassifierConfig, TransformConfig
from gangda.data.images import LabelledImages, UInt8Array
from gangda.errors import DataError
from gangda.moves.draw import to_float
from gangda.runtime.device import Machine, evaluating
from gangda.runtime.files import write_bytes
from gangda.runtime.progress import SILENT, Reporter
from gangda.runtime.seeding import seed_for, torch_stream
from gangda.traditional.transforms import batch_transform

CHUNK = 4096  # images gathered and transformed at once: amortises Python, still fits the caches
WARM_UP = 0.1  # share of the steps in which the learning rate rises
WEIGHT_DECAY = 0.01
INFERENCE_BATCH = 1024

FloatImages = npt.NDArray[np.float32]
Transform = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True, eq=False)
class FittedClassifier:
    """A trained classifier in eval mode on its machine.

    Attributes:
        network: maps (B, C, H, W) in [-1, 1] to (B, K) logits.
        name: of the architecture, as in `ClassifierConfig.classifier`.
        class_names: the K names, in label order.
        image_shape: (C, H, W) it was trained on.
        n_train, steps, seed: images, optimiser steps and seed of its training.
        machine: where it runs.
    """

    network: nn.Module
    name: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    n_train: int
    steps: int
    seed: int
    machine: Machine

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 (first 16 digits) of architecture and weights: the key of what it computes."""
        digest = hashlib.sha256(repr((self.name, self.image_shape, self.class_names)).encode())
        for key, tensor in self.network.state_dict().items():
            digest.update(
                key.encode() + tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
            )
        return digest.hexdigest()[:16]

    def logits(self, pixels: UInt8Array) -> FloatImages:
        """Class logits of uint8 (N, H, W, C) images: float32 (N, K)."""
        return self._ask(self.network, pixels, len(self.class_names))

    def features(self, pixels: UInt8Array) -> FloatImages:
        """Activations before the output layer, float32 (N, F); the logits where there is no `features`."""
        return self._ask(getattr(self.network, "features", self.network), pixels, len(self.class_names))

    def predict(self, pixels: UInt8Array) -> npt.NDArray[np.int64]:
        """The likeliest class of each image, int64 (N,)."""
        return self.logits(pixels).argmax(axis=1).astype(np.int64)

    def _ask(self, function: Callable[[Tensor], Tensor], pixels: UInt8Array, width: int) -> FloatImages:
        self._check(pixels)
        answers = []
        with evaluating(self.network), self.machine.autocast():
            for start in range(0, len(pixels), INFERENCE_BATCH):
                batch = to_device(pixels[start : start + INFERENCE_BATCH], self.machine)
                answers.append(function(to_float(batch)).float().cpu().numpy())
        return np.concatenate(answers) if answers else np.zeros((0, width), dtype=np.float32)

    def _check(self, pixels: UInt8Array) -> None:
        channels, height, width = self.image_shape
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (height, width, channels):
            raise DataError(
                f"the classifier was trained on {height}x{width} images with {channels} channels, "
                f"not on {pixels.dtype} {tuple(pixels.shape[1:])}; set --image-size, or train it on these"
            )

    def save(self, path: Path) -> None:
        """Write weights and description to one safetensors file."""
        from safetensors.torch import save

        about = {
            key: getattr(self, key)
            for key in ("name", "class_names", "image_shape", "n_train", "steps", "seed")
        }
        tensors = {
            key: tensor.detach().cpu().contiguous() for key, tensor in self.network.state_dict().items()
        }
        write_bytes(path, save(tensors, metadata={"gangda": json.dumps({"format_version": 1, **about})}))

    @staticmethod
    def load(path: Path, machine: Machine) -> "FittedClassifier":
        """Read a file written by `save`.

        Raises:
            DataError: missing, damaged, or not a classifier of gangda's.
        """
        about, tensors = _read(path)
        about.pop("format_version")
        names, shape = tuple(about.pop("class_names")), tuple(about.pop("image_shape"))
        network = build_classifier(about["name"], len(names), shape)
        try:
            network.load_state_dict(tensors)
        except RuntimeError as error:
            raise DataError(
                f"{path}: does not hold the weights of {about['name']}; train it again"
            ) from error
        network = _place(network, machine).eval()
        return FittedClassifier(
            network=network, class_names=names, image_shape=shape, machine=machine, **about
        )


def fit_classifier(
    train: LabelledImages,
    config: ClassifierConfig,
    *,
    seed: int,
    machine: Machine,
    transforms: TransformConfig | None = None,
    reporter: Reporter = SILENT,
) -> FittedClassifier:
    """Train a classifier from scratch: AdamW, one cycle of the learning rate, a fixed number of steps.

    Cross-entropy, each image weighted by `train.weight` relative to the mean weight. With `transforms`, every
    image is transformed anew each time it is seen. The same arguments on the same machine give the same
    weights, bit for bit.

    Raises:
        DataError: no images, fewer than two classes, or unusable weights.
        UsageError: unknown classifier, or one that does not fit the images.
    """
    _check_train(train)
    network = _seeded_network(config.classifier, train, seed, machine)
    batch = min(config.classifier_batch, len(train))
    steps = step_count(config, len(train))
    transform = None if transforms is None else batch_transform(transforms)
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.0, weight_decay=WEIGHT_DECAY, fused=True)
    rates = one_cycle(steps, config.classifier_lr)
    for step, (x, y, weight) in enumerate(_batches(train, batch, steps, seed, machine, transform)):
        optimiser.param_groups[0]["lr"] = rates[step]
        with machine.autocast():
            logits = network(x)
        loss = _loss(logits.float(), y, weight)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step % 100 == 99 or step == steps - 1:
            reporter.step("classifier", step + 1, steps)
    return FittedClassifier(
        network.eval(),
        config.classifier,
        train.class_names,
        train.image_shape,
        len(train),
        steps,
        seed,
        machine,
    )


def evaluate(
    fitted: FittedClassifier, images: LabelledImages, train: LabelledImages | None = None
) -> Evaluation:
    """Judge a classifier on labelled images; with `train`, also its accuracy on the images it was trained on.

    Raises:
        DataError: no images, or of other classes or another shape.
    """
    if images.class_names != fitted.class_names:
        raise DataError(
            f"the classifier knows {list(fitted.class_names)}, the images are of {list(images.class_names)}"
        )
    judged = evaluate_predictions(images.labels, fitted.predict(images.pixels), images.num_classes)
    on_train = None if train is None else float((fitted.predict(train.pixels) == train.labels).mean())
    return replace(
        judged, n_train=fitted.n_train, steps=fitted.steps, seed=fitted.seed, train_accuracy=on_train
    )


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


def step_count(config: ClassifierConfig, count: int) -> int:
    """Optimiser steps for a set of `count` images: the fixed number, or whole passes rounded up to a step."""
    if config.classifier_epochs is None:
        return config.classifier_steps
    return math.ceil(config.classifier_epochs * count / min(config.classifier_batch, count))


def one_cycle(steps: int, peak: float) -> list[float]:
    """Learning rate of each step: linear warm-up to `peak`, then half a cosine down to 0.

    Source: Smith and Topin 2018, with cosine annealing in place of the two linear ramps; momentum stays
    constant.
    """
    rise = max(1, round(WARM_UP * steps))
    up = [peak * (step + 1) / rise for step in range(rise)]
    fall = max(1, steps - rise)
    return up + [peak * 0.5 * (1 + math.cos(math.pi * (step + 1) / fall)) for step in range(steps - rise)]


def to_device(pixels: UInt8Array, machine: Machine) -> Tensor:
    """uint8 (N, H, W, C) array -> uint8 (N, C, H, W) tensor on the device, channels-last in memory."""
    return torch.tensor(pixels).to(machine.device).permute(0, 3, 1, 2)


def _loss(logits: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return nn.functional.cross_entropy(logits, y)
    return (nn.functional.cross_entropy(logits, y, reduction="none") * weight).mean()


def _batches(
    train: LabelledImages, batch: int, steps: int, seed: int, machine: Machine, transform: Transform | None
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Each step's float images, labels and relative weights."""
    pixels = torch.tensor(train.pixels).to(machine.device)
    labels = torch.tensor(train.labels).to(machine.device)
    weight = (
        None if train.weight is None else torch.tensor(train.weight / train.weight.mean()).to(machine.device)
    )
    per_chunk = max(1, CHUNK // batch)
    for chunk, rows in enumerate(_order(len(train), batch, steps, per_chunk, seed)):
        rows = rows.to(machine.device)
        images = pixels.index_select(0, rows).permute(0, 3, 1, 2)
        if transform is not None:
            images = transform(images, torch_stream(seed, "classifier", "transform", chunk))
        x = to_float(images).split(batch)
        y = labels.index_select(0, rows).split(batch)
        w = [None] * len(x) if weight is None else weight.index_select(0, rows).split(batch)
        yield from zip(x, y, w, strict=True)


def _order(count: int, batch: int, steps: int, per_chunk: int, seed: int) -> Iterator[Tensor]:
    """Positions to visit, `per_chunk` batches at a time: one permutation of the set after the other."""
    stream = torch_stream(seed, "classifier", "order")
    waiting = torch.empty(0, dtype=torch.int64)
    for start in range(0, steps, per_chunk):
        wanted = min(per_chunk, steps - start) * batch
        while len(waiting) < wanted:
            waiting = torch.cat([waiting, torch.randperm(count, generator=stream)])
        yield waiting[:wanted]
        waiting = waiting[wanted:]


def _seeded_network(name: str, train: LabelledImages, seed: int, machine: Machine) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "classifier", "init"))
        network = build_classifier(name, train.num_classes, train.image_shape)
    return _place(network, machine).train()


def _place(network: nn.Module, machine: Machine) -> nn.Module:
    layout = torch.channels_last if machine.channels_last else torch.contiguous_format
    return network.to(machine.device, memory_format=layout)  # type: ignore[call-overload,no-any-return]


def _check_train(train: LabelledImages) -> None:
    if len(train) == 0:
        raise DataError("there are no images to train a classifier on")
    if train.num_classes < 2:
        raise DataError(f"a classifier needs at least two classes; here is only {list(train.class_names)}")
    if train.weight is not None and not (
        np.all(train.weight >= 0) and np.isfinite(train.weight.sum()) and train.weight.any()
    ):
        raise DataError("image weights must be finite, not negative, and not all zero")


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise DataError(
            f"{path}: not a readable safetensors file ({error}); train the classifier again"
        ) from None
    if "gangda" not in metadata:
        raise DataError(f"{path}: not a classifier of gangda's")
    return json.loads(metadata["gangda"]), tensors
