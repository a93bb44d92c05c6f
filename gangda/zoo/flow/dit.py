"""A small diffusion transformer (DiT, Peebles and Xie 2023) for flows."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gangda.config.architectures import FlowSpec
from gangda.zoo.flow.backbone import Backbone, zeroed
from gangda.zoo.layers.fused import dropout

HEADS = 4


class DiT(Backbone):
    """Transformer blocks over patches of the image, each shifted, scaled and gated by the embedding (adaLN-zero).

    Patches are 2x2 pixels up to 16 pixels a side, 4x4 up to 32 and 8x8 up to 64: at most 8x8 of them.
    """

    hidden = ("blocks",)

    def __init__(self, spec: FlowSpec, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__(num_classes, spec.channels)
        width, channels, side = spec.channels, image_shape[0], max(image_shape[1:])
        self.multiple = 2 if side <= 16 else 4 if side <= 32 else 8
        rows, columns = (-(-extent // self.multiple) for extent in image_shape[1:])
        self.patch_embedding = nn.Conv2d(channels, width, self.multiple, self.multiple)
        self.position = nn.Parameter(0.02 * torch.randn(1, rows * columns, width))
        self.blocks = nn.ModuleList(TransformerBlock(width, spec.dropout) for _ in range(spec.depth))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        # Scales, shifts and gates of all blocks and of the last norm from one layer: fewer and larger products.
        self.modulate = zeroed(nn.Linear(width, (6 * spec.depth + 2) * width))
        self.head = zeroed(nn.Linear(width, self.multiple**2 * channels))

    def predict(self, x: Tensor, embedding: Tensor) -> Tensor:
        """See `Backbone.predict`."""
        patches = self.patch_embedding(x)
        tokens = patches.flatten(2).transpose(1, 2) + self.position
        *modulation, scale, shift = self.modulate(embedding)[:, None].chunk(6 * len(self.blocks) + 2, 2)
        for number, block in enumerate(self.blocks):
            tokens = block(tokens, *modulation[6 * number : 6 * number + 6])
        folded = self.head(torch.addcmul(shift, self.norm(tokens), 1 + scale))
        return F.pixel_shuffle(folded.transpose(1, 2).unflatten(2, patches.shape[2:]), self.multiple)


class TransformerBlock(nn.Module):
    """Attention and a two-layer perceptron, each in a residual branch that starts at zero."""

    def __init__(self, width: int, dropout_rate: float) -> None:
        super().__init__()
        self.first_norm, self.second_norm = (nn.LayerNorm(width, elementwise_affine=False) for _ in range(2))
        self.qkv, self.mixed = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.dropout_rate = dropout_rate

    def forward(
        self,
        x: Tensor,
        scale: Tensor,
        shift: Tensor,
        gate: Tensor,
        scale_2: Tensor,
        shift_2: Tensor,
        gate_2: Tensor,
    ) -> Tensor:
        """(B, T, width) and modulations (B, 1, width) -> (B, T, width)."""
        heads = self.qkv(torch.addcmul(shift, self.first_norm(x), 1 + scale)).unflatten(2, (3, HEADS, -1))
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = torch.addcmul(x, gate, dropout(self.mixed(mixed), self.dropout_rate, self.training))
        wide = self.wide(torch.addcmul(shift_2, self.second_norm(x), 1 + scale_2))
        narrow = self.narrow(F.gelu(wide, approximate="tanh"))
        return torch.addcmul(x, gate_2, dropout(narrow, self.dropout_rate, self.training))
