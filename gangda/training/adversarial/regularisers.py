"""Optional terms of both networks' losses: each belongs to an option of the method and is there when that is not zero.

Adding one is a small function here, a line in a table below and the option.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from gangda.runtime.capture import Losses
from gangda.training.adversarial.diffaugment import translate
from gangda.training.adversarial.losses import input_gradients
from gangda.training.draws import Draws
from gangda.zoo.base import Scores
from gangda.zoo.layers.spectral_norm import LAYERS

FEATURE_SHARE = 0.1  # of the distance between features in the CT term (Wei 2018, equation 4)
ANCHOR_DECAY = 0.99  # of the anchors of LeCam regularisation, as in the paper


@dataclass(frozen=True, eq=False)
class DiscriminatorBatch:
    """Images and scores of one discriminator step, or of one generator step."""

    real: Tensor  # (B, C, H, W) in [-1, 1]
    y: Tensor  # int64 (B,)
    fake: Tensor  # (F, C, H, W) with F <= B
    y_fake: Tensor  # int64 (F,), what they were made for
    draws: Draws  # further randomness of this step; `draws.number` counts discriminator steps
    on_real: Scores  # the discriminator's; in a generator step those of the fakes unless the loss is paired
    on_fake: Scores


Term = Callable[[Any, DiscriminatorBatch], Losses]  # of an `AdversarialMethod` and a batch


def gradient_penalty(method: Any, batch: DiscriminatorBatch) -> Losses:
    """gp * E (|gradient| - 1)^2 at random points between each fake and the real image of its row, one share a pair.

    Source: Gulrajani 2017, equation 3, where gp (lambda) is 10.
    """
    real, score = batch.real[: len(batch.fake)], method.scorer(batch.y_fake, batch.draws)
    share = batch.draws.take(torch.rand, (len(real), 1, 1, 1))
    between = torch.lerp(batch.fake.detach().to(real.dtype), real, share)
    lengths = torch.linalg.vector_norm(input_gradients(score, between), dim=1)
    return {"d_gp": method.options.gp * (lengths - 1).square().mean()}


def clip_weights(module: nn.Module, bound: float) -> None:
    """Force every weight into [-bound, bound], in place; 0: none. Source: Arjovsky 2017, algorithm 1 (bound 0.01)."""
    tensors: list[Tensor] = list(module.parameters()) if bound else []
    if tensors:
        with torch.no_grad():
            torch._foreach_clamp_min_(tensors, -bound)
            torch._foreach_clamp_max_(tensors, bound)


def consistency_term(method: Any, batch: DiscriminatorBatch) -> Losses:
    """ct * E d(D(x'), D(x'')) + 0.1 d(features', features''): the pass that the loss uses, and one with other dropout.

    Features (B, F) are those of the last layer but one; d is the squared difference (mean over features), as in the
    authors' code. Source: Wei 2018 (CT-GAN), equation 4, with margin 0; ct (lambda) is 2 there.
    """
    again, once = method.score(batch.real, batch.y, batch.draws), batch.on_real
    if once.features is None or again.features is None:
        raise ValueError("the CT term needs the discriminator's features")
    apart = (method.real_score(once.adversarial) - method.real_score(again.adversarial)).square()
    apart = apart + FEATURE_SHARE * (once.features.float() - again.features.float()).square().mean(1)
    return {"d_ct": method.options.ct * apart.mean()}


def change(images: Tensor, draws: Draws, flip: bool = False) -> Tensor:
    """A random shift by up to 1/8 of the side and, if asked, a horizontal flip of images (B, C, H, W) in [-1, 1].

    Source: Zhang 2020, section 3.1 (up to 4 of 32 pixels).
    """
    if flip:
        mirrored = draws.take(torch.rand, (len(images), 1, 1, 1)) < 0.5
        images = torch.where(mirrored, images.flip(3), images)
    return translate(images, draws)


def consistency_loss(method: Any, images: Tensor, y: Tensor, scores: Scores, draws: Draws) -> Tensor:
    """E (D(x) - D(T(x)))^2 of the batch's real images or its fakes, whose scores are known.

    Source: Zhang 2020 (CR), equation 6 with the final layer only; Zhao 2021 (bCR), algorithm 1, for that on fakes.
    """
    changed = change(images, draws, method.options.cr_flip)
    return F.mse_loss(method.scorer(y, draws)(changed), method.real_score(scores.adversarial))


def _consistency(method: Any, batch: DiscriminatorBatch) -> Losses:
    real = consistency_loss(method, batch.real, batch.y, batch.on_real, batch.draws)
    return {"d_cr": method.options.cr * real}


def _balanced_consistency(method: Any, batch: DiscriminatorBatch) -> Losses:
    real = consistency_loss(method, batch.real, batch.y, batch.on_real, batch.draws)
    fake = consistency_loss(method, batch.fake, batch.y_fake, batch.on_fake, batch.draws)
    return {"d_bcr": method.options.bcr * (real + fake)}


def lecam(method: Any, batch: DiscriminatorBatch) -> Losses:
    """lecam * (E (D(x) - a_fake)^2 + E (D(G(z)) - a_real)^2) for anchors (a_real, a_fake), and updates the anchors.

    They are moving averages of both sides' mean scores, saved with the run; they begin as the first ones. lambda is
    0.3. Source: Tseng 2021, section 3 (R_LC), without the waiting and the cutting off of the authors' code.
    """
    real, fake = (method.real_score(scores.adversarial) for scores in (batch.on_real, batch.on_fake))
    now = method.context.ranks.mean(torch.stack([real.mean(), fake.mean()]).float())
    if "lecam" in method.buffers:
        anchors = method.buffers["lecam"] = method.buffers["lecam"].to(now.device)
        anchors.copy_(torch.lerp(now, anchors, ANCHOR_DECAY))
    else:
        anchors = method.buffers["lecam"] = now
    penalty = (real - anchors[1]).square().mean() + (fake - anchors[0]).square().mean()
    return {"d_lecam": method.options.lecam * penalty}


def auxiliary(method: Any, name: str, *pairs: tuple[Scores, Tensor]) -> Losses:
    """Cross-entropy of the auxiliary classifier, (B, num_classes) logits against int64 (B,) labels, summed over pairs.

    Source: Odena 2017 (ACGAN), equation 3; both networks minimise it, the discriminator on real images too.
    """
    terms = [F.cross_entropy(scores.classes.float(), y) for scores, y in pairs if scores.classes is not None]
    return {name: method.scaled(method.options.aux_weight * sum(terms))} if terms else {}


def made_by(fake: Tensor, generators: int) -> Tensor:
    """Which of K generators made each row of the fakes, int64 (F,)."""
    return torch.arange(generators, device=fake.device).repeat_interleave(len(fake) // generators)


def generator_id(method: Any, batch: DiscriminatorBatch) -> Losses:
    """-weight * E log C_k(G_k(z)): each generator's images should be known as its own, which drives them apart.

    C is the softmax over the first K of the K+1 logits. Source: Hoang 2018 (MGAN), whose C is a head of its own.
    """
    own = made_by(batch.fake, method.generator.num_generators)
    loss = F.cross_entropy(batch.on_fake.adversarial[:, :-1], own)
    return {"g_identity": method.options.generator_id_weight * loss}


def orthogonal(method: Any, batch: DiscriminatorBatch) -> Losses:
    """weight * sum over layers of |W W^T with its diagonal set to 0|^2, W (outputs, rest) of a convolution or linear.

    Under spectral norm W is the weight before its division. Source: Brock 2019, equation 3, where the weight (beta) is
    1e-4; there W^T W is taken, and here, as in the authors' code, the products of an output's filters.
    """
    penalty: Any = 0
    layers: list[Any] = [layer for layer in method.generator.modules() if isinstance(layer, LAYERS)]
    for layer in layers:
        normed = parametrize.is_parametrized(layer, "weight")
        weight = layer.parametrizations.weight.original if normed else layer.weight
        if isinstance(layer, nn.ConvTranspose2d):  # which keeps its outputs in dimension 1
            weight = weight.transpose(0, 1)
        with torch.autocast(weight.device.type, enabled=False):
            products = weight.flatten(1) @ weight.flatten(1).T
        penalty = penalty + (products - products.diag().diag()).square().sum()
    return {"g_orthogonal": method.options.orthogonal * penalty}


# Option -> term. The order is that of their draws from the step's stream: to change it changes results.
DISCRIMINATOR: Mapping[str, Term] = {
    "gp": gradient_penalty,
    "ct": consistency_term,
    "cr": _consistency,
    "bcr": _balanced_consistency,
    "lecam": lecam,
    "aux_weight": lambda m, b: auxiliary(m, "d_classes", (b.on_real, b.y), (b.on_fake, b.y_fake)),
}
GENERATOR: Mapping[str, Term] = {
    "aux_weight": lambda m, b: auxiliary(m, "g_classes", (b.on_fake, b.y_fake)),
    "generator_id_weight": generator_id,
    "orthogonal": orthogonal,
}
