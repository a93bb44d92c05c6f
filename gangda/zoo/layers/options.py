"""Options that change the layers of any pair of networks, applied after it is built.

`minibatch_stddev` is not among them: each discriminator adds the new feature where it belongs.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gangda.config.architectures import ArchSpec, NetSpec
from gangda.runtime.seeding import torch_stream
from gangda.zoo.base import Generator, Networks, Wrapped
from gangda.zoo.layers.spectral_norm import add_spectral_norm

REFERENCE = 32  # images of the reference batch


def apply_layer_options(networks: Networks, spec: ArchSpec) -> Networks:
    """The networks with the spec's spectral norm (discriminator) and virtual batch norm (generator)."""
    if not isinstance(spec, NetSpec):
        return networks
    if spec.spectral_norm and networks.discriminator is not None:
        add_spectral_norm(networks.discriminator)
    generator = networks.generator
    if spec.virtual_batch_norm == "half":
        _replace_batch_norms(generator, HalfNorm)
    elif spec.virtual_batch_norm == "reference":
        _replace_batch_norms(generator, ReferenceNorm)
        generator = ReferenceGenerator(generator)
    return Networks(generator, networks.discriminator)


class AnyBatchNorm(nn.BatchNorm2d):
    """Batch norm that takes (B, C) as well as (B, C, H, W)."""

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions."""


class HalfNorm(AnyBatchNorm):
    """Batch norm where a random half of the batch is normalised by the other half, and that by the first.

    In evaluation running statistics of whole batches take over; a batch of one image is normalised by itself.
    Source: report R3's reading of virtual batch norm.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) -> the same shape. In training, the halves are drawn anew by each layer, from torch's stream."""
        if not self.training or len(x) < 2:
            return super().forward(x)
        mean, square = moments(x.detach(), batch=True)
        self._update_running(mean.flatten(), (square - mean.square()).flatten(), x[:, 0].numel())
        order = torch.randperm(len(x), device=x.device)
        one, other = order.tensor_split(2)
        by_other = normalise(x[one], *moments(x[other], batch=True), self)
        by_one = normalise(x[other], *moments(x[one], batch=True), self)
        return torch.cat([by_other, by_one])[order.argsort()]

    @torch.no_grad()
    def _update_running(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Update the running statistics as torch does (unbiased variance)."""
        rate = self.momentum or 0.0
        self.running_mean.lerp_(mean, rate)  # type: ignore[union-attr]
        self.running_var.lerp_(variance * (count / max(1, count - 1)), rate)  # type: ignore[union-attr]
        self.num_batches_tracked.add_(1)  # type: ignore[union-attr]


class ReferenceNorm(AnyBatchNorm):
    """Batch norm by a reference batch and the image itself; not by the rest of the batch.

    While `recording`, the input is the reference batch: normalised as in plain batch norm, its moments kept. After
    that, each image is normalised by mean = c own + (1 - c) reference with c = 1 / (R + 1), and so for the mean square.
    Source: Salimans 2016, section 3.4, with the mixing of the authors' code.
    """

    recording = False
    kept: tuple[Tensor, Tensor, int] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) -> the same shape."""
        if self.recording:
            mean, square = moments(x, batch=True)
            self.kept = mean, square, len(x)
            return normalise(x, mean, square, self)
        if self.kept is None:
            raise RuntimeError("a ReferenceNorm works inside a ReferenceGenerator only")
        mean, square, rows = self.kept
        own = 1 / (rows + 1)
        own_mean, own_square = moments(x, batch=False)
        return normalise(x, mean.lerp(own_mean, own), square.lerp(own_square, own), self)


class ReferenceGenerator(Wrapped):
    """A generator whose virtual batch norm sees a fixed reference batch of noise and labels before every batch.

    The batch (`reference_z`, `reference_y`: classes in turn) comes from a stream of its own and is saved with the
    weights: sampling needs no data, but a pass over `REFERENCE` images per call.
    """

    reference_z: Tensor
    reference_y: Tensor

    def __init__(self, inner: Generator) -> None:
        super().__init__(inner)
        rows = -(-REFERENCE // inner.num_generators) * inner.num_generators
        self.register_buffer("reference_z", self.noise(rows, torch_stream("virtual batch norm")))
        self.register_buffer("reference_y", torch.arange(rows) % inner.num_classes)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(B, latent_dim), (B,) -> (B, C, H, W) in [-1, 1]."""
        with self._reference_kept():
            return super().forward(z, y)

    @contextlib.contextmanager
    def _reference_kept(self) -> Iterator[None]:
        """Pass the reference batch; its moments stay until the end (not longer: they hang on this pass's graph)."""
        norms = [layer for layer in self.inner.modules() if isinstance(layer, ReferenceNorm)]
        try:
            for norm in norms:
                norm.recording = True
            self.inner(self.reference_z, self.reference_y)
            for norm in norms:
                norm.recording = False
            yield
        finally:
            for norm in norms:
                norm.recording, norm.kept = False, None

    def select(self, k: int) -> Generator:
        """See `Generator.select`."""
        own = super().select(k)
        return own if self.num_generators == 1 else SelectedGenerator(self, k)


class SelectedGenerator(Wrapped):
    """Generator k of an ensemble that cannot be separated: makes the images of all K and returns its own."""

    def __init__(self, ensemble: Generator, k: int) -> None:
        super().__init__(ensemble)
        self.k, self.num_generators = k, 1

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(B, latent_dim), (B,) -> (B, C, H, W) in [-1, 1]."""
        k = self.inner.num_generators
        images = self.inner(z.flatten(0, -2).repeat(k, 1), y.repeat(k))
        return images.unflatten(0, (k, -1))[self.k]  # type: ignore[no-any-return]


def moments(x: Tensor, batch: bool) -> tuple[Tensor, Tensor]:
    """Mean and mean square of each channel, float32 (1 or B, C, 1, ...): over the batch, or image by image."""
    dims = [0, *range(2, x.ndim)] if batch else list(range(2, x.ndim))
    x = x.float()
    if not dims:  # single numbers, image by image
        return x, x.square()
    return x.mean(dims, keepdim=True), x.square().mean(dims, keepdim=True)


def normalise(x: Tensor, mean: Tensor, square: Tensor, like: nn.BatchNorm2d) -> Tensor:
    """(x - mean) / sqrt(variance + eps), then gain and bias of `like`; the variance is square - mean^2, at least 0."""
    scale = (F.relu(square - mean.square()) + like.eps).rsqrt()
    normal = (x.float() - mean) * scale
    if like.affine:
        shape = (1, -1, *[1] * (x.ndim - 2))
        normal = normal * like.weight.view(shape) + like.bias.view(shape)
    return normal.to(x.dtype)


def _replace_batch_norms(network: nn.Module, kind: type[nn.BatchNorm2d]) -> None:
    """Replace every batch norm by the other kind, in place, with the same weights, buffers and names."""
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                other = kind(layer.num_features, layer.eps, layer.momentum, layer.affine)
                other.load_state_dict(layer.state_dict())
                setattr(parent, name, other)
