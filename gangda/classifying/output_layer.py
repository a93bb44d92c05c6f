"""The last layer of a classifier: found in any network, started anew, or made one of cosines."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from gangda.errors import UsageError

SCALE = 30.0  # of cosine logits; Cao 2019


class CosineLinear(nn.Module):
    """`SCALE` times the cosine between features and each class's weights: (B, F) -> (B, K), without a bias.

    Source: Wang 2018, "CosFace", equation 2; Cao 2019's `NormedLinear`. The weights start uniform; their length, on
    which no logit depends, is 1 on average.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, features).uniform_(-1, 1) * math.sqrt(3 / features))

    def forward(self, x: Tensor) -> Tensor:
        """Logits in [-SCALE, SCALE], float32 whatever the precision around it."""
        with torch.autocast(x.device.type, enabled=False):
            directions = functional.normalize(self.weight, dim=1)
            return SCALE * functional.linear(functional.normalize(x.float(), dim=1), directions)


def output_layer(network: nn.Module, name: str, image_shape: tuple[int, int, int]) -> tuple[str, nn.Linear]:
    """The linear layer whose output is the network's logits, and its dotted name; found by running two images.

    `name` is the classifier's, for the message. The network is in training mode afterwards.

    Raises UsageError: there is none.
    """
    outputs: dict[str, Tensor] = {}
    layers = {place: layer for place, layer in network.named_modules() if isinstance(layer, nn.Linear)}

    def keep(place: str, output: Tensor) -> None:
        outputs[place] = output

    hooks = [
        layer.register_forward_hook(lambda _, __, output, place=place: keep(place, output))
        for place, layer in layers.items()
    ]
    device = next(network.parameters()).device
    images = torch.linspace(-1, 1, 2 * math.prod(image_shape), device=device).view(2, *image_shape)
    with torch.inference_mode():
        logits = network.eval()(images)
    network.train()
    for hook in hooks:
        hook.remove()
    for place, output in outputs.items():
        if torch.equal(output, logits):
            return place, layers[place]
    raise UsageError(
        f"classifier {name}: its logits are not the output of a torch.nn.Linear, which crt and ldam-drw arms train "
        "in their own way; choose another classifier, or leave these arms out"
    )


def restart_output(network: nn.Module, name: str, image_shape: tuple[int, int, int]) -> nn.Linear:
    """Initialise the last layer anew, from torch's global stream, and freeze all else; the layer.

    The network is in evaluation mode afterwards: no dropout, and batch statistics stay as they are.
    """
    _, layer = output_layer(network, name, image_shape)
    network.eval().requires_grad_(False)
    layer.reset_parameters()
    layer.requires_grad_(True)
    return layer


def with_cosine_output(network: nn.Module, name: str, image_shape: tuple[int, int, int]) -> nn.Module:
    """The network, changed in place, with a `CosineLinear` for its last layer."""
    place, layer = output_layer(network, name, image_shape)
    parent, _, attribute = place.rpartition(".")
    setattr(network.get_submodule(parent), attribute, CosineLinear(layer.in_features, layer.out_features))
    return network
