"""DCGANs that upsample and convolve: report R3's DCGAN (`dcgan-upsample`) and its conditional form (`ccgan`)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gangda.config.presets import UpsampleSpec
from gangda.zoo.base import Generator, ImageShape, Scores, builder_of
from gangda.zoo.layers.blocks import Discriminator, ScoreHead, crop


class UpsampleGenerator(Generator):
    """z -> dense 512 -> dense 256F x 7 x 7 -> twice the side -> conv 128F -> twice the side -> conv -> tanh.

    Batch norm and ReLU follow all layers but the last; kernels are 3x3; the side doubles by repeating pixels. With
    labels, a one-hot y stands beside z. The first plane has a quarter of the side, rounded up.
    Source: report R3, after Radford 2016: the order of layers, F (channel multiplier) and "about 7 M" parameters at
    F = 1 are given; widths and kernels are our reading (6.81 M at 28x28x1).
    """

    def __init__(self, spec: UpsampleSpec, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__()
        self.latent_dim, self.num_classes, self.image_shape = spec.latent_dim, num_classes, image_shape
        self.conditional, self.base = spec.conditional, -(-max(image_shape[1:]) // 4)
        wide, narrow = 256 * spec.width_factor, 128 * spec.width_factor
        entrance = spec.latent_dim + (num_classes if spec.conditional else 0)
        cells = wide * self.base**2
        self.dense = nn.Sequential(
            nn.Linear(entrance, 512),
            nn.BatchNorm1d(512),
            nn.ReLU(inplace=True),
            nn.Linear(512, cells),
            nn.BatchNorm1d(cells),
            nn.ReLU(inplace=True),
        )
        self.conv, self.norm = nn.Conv2d(wide, narrow, 3, 1, 1), nn.BatchNorm2d(narrow)
        self.out = nn.Conv2d(narrow, image_shape[0], 3, 1, 1)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(B, latent_dim), (B,) -> (B, C, H, W) in [-1, 1]."""
        x = z.flatten(0, -2)
        if self.conditional:
            x = torch.cat([x, F.one_hot(y, self.num_classes).to(x.dtype)], dim=1)
        x = self.dense(x).unflatten(1, (-1, self.base, self.base))
        x = torch.relu_(self.norm(self.conv(doubled(x))))
        return crop(torch.tanh(self.out(doubled(x))), *self.image_shape[1:])


class PlaneDiscriminator(Discriminator):
    """conv 128F of stride 2 -> conv 256F -> max pool -> one linear layer; batch norm and ELU after each convolution.

    With `d_depth` D each convolution is followed by D - 1 more like it at the same side. With labels, a dense layer
    makes of the one-hot y a plane of the image's size, stacked on the image as one more channel.
    Source: report R3: the order of layers, the label's plane, F, D and "about 310 k" parameters at F = D = 1 are given;
    widths, kernels (3x3), stride and what D repeats are our reading (309,761 at 28x28x1 without labels).
    """

    def __init__(self, spec: UpsampleSpec, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.num_classes = num_classes
        self.plane = nn.Linear(num_classes, height * width) if spec.conditional else None
        first, second = 128 * spec.width_factor, 256 * spec.width_factor
        entrance = channels + (1 if spec.conditional else 0)
        repeats = spec.d_depth - 1
        blocks = [_block(entrance, first, 2), *(_block(first, first, 1) for _ in range(repeats))]
        blocks += [_block(first, second, 1), *(_block(second, second, 1) for _ in range(repeats))]
        self.blocks = nn.Sequential(*blocks, nn.MaxPool2d(2))
        pixels = ((height + 1) // 4) * ((width + 1) // 4)
        self.score = ScoreHead(second * pixels, spec.minibatch_stddev)

    def forward(self, x: Tensor, y: Tensor) -> Scores:
        """(B, C, H, W) in [-1, 1], (B,) -> `Scores` with adversarial (B,)."""
        if self.plane is not None:
            plane = self.plane(F.one_hot(y, self.num_classes).to(x.dtype))
            x = torch.cat([x, plane.view(-1, 1, *x.shape[2:]).to(x.dtype)], dim=1)
        h = self.blocks(x).flatten(1)
        return Scores(self.score(h), features=h)


def doubled(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, 2H, 2W), each pixel four times."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def _block(n_in: int, n_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, stride, 1), nn.BatchNorm2d(n_out), nn.ELU(inplace=True))


build = builder_of(UpsampleGenerator, PlaneDiscriminator)  # PyTorch's initialisation: the report names none
