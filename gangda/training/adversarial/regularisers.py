"""Optional terms of both networks' losses: each belongs to an option of the method and is there when that is not zero.

Adding one is a small function here, a line in a table below and the option.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from gangda.training.adversarial import consistency, gradient_penalties, lecam
from gangda.training.adversarial.batch import DiscriminatorBatch
from gangda.training.adversarial.gradient_penalties import clip_weights as clip_weights
from gangda.training.draws import Draws
from gangda.zoo.base import Scores

Losses = dict[str, Tensor]


class Scoring(Protocol):
    """What a term asks of the method."""

    options: Any
    context: Any
    generator: Any
    buffers: dict[str, Tensor]

    def score(self, images: Tensor, y: Tensor, draws: Draws) -> Scores:
        """The discriminator's scores."""

    def scorer(self, y: Tensor, draws: Draws) -> Callable[[Tensor], Tensor]:
        """A function of images with labels y: one number an image, (B,)."""

    def real_score(self, adversarial: Tensor) -> Tensor:
        """One number an image, the higher the more real: (B,)."""

    def scaled(self, loss: Tensor) -> Tensor:
        """A loss of the class, which counts as much as the class does."""

    def lazy_due(self, number: int) -> bool:
        """Whether a discriminator step has the lazy penalties."""


Term = Callable[[Any, DiscriminatorBatch], Losses]


def r2(method: Scoring, batch: DiscriminatorBatch) -> Losses:
    """gamma/2 |gradient|^2 at fakes, scaled up to keep its mean where it is lazy.

    With batch norm in the discriminator an image's score depends on the others of the batch, so that the gradient is
    that of the batch's whole score: R1 and R2 are approximate there, and in use all the same.
    """
    if not method.lazy_due(batch.draws.number):
        return {}
    weight = method.options.r2 * method.options.r1_every
    return {"d_r2": weight * gradient_penalties.r2(method.scorer(batch.y_fake, batch.draws), batch.fake)}


def gradient_penalty(method: Scoring, batch: DiscriminatorBatch) -> Losses:
    """Gulrajani's penalty between each fake and the real image of its row."""
    real, score = batch.real[: len(batch.fake)], method.scorer(batch.y_fake, batch.draws)
    penalty = gradient_penalties.gradient_penalty(score, real, batch.fake, batch.draws)
    return {"d_gp": method.options.gp * penalty}


def consistency_term(method: Scoring, batch: DiscriminatorBatch) -> Losses:
    """Wei's CT term: the pass that the loss uses against one more, with other dropout."""
    again, once = method.score(batch.real, batch.y, batch.draws), batch.on_real
    if once.features is None or again.features is None:
        raise ValueError("the CT term needs the discriminator's features")
    first, second = method.real_score(once.adversarial), method.real_score(again.adversarial)
    term = consistency.consistency_term(first, second, once.features, again.features)
    return {"d_ct": method.options.ct * term}


def consistency_on_real(method: Scoring, batch: DiscriminatorBatch) -> Losses:
    """CR: real images and the same, changed."""
    return {"d_cr": method.options.cr * _inconsistency(method, batch, real=True)}


def balanced_consistency(method: Scoring, batch: DiscriminatorBatch) -> Losses:
    """bCR: the same on real images and on fakes."""
    real, fake = (_inconsistency(method, batch, real) for real in (True, False))
    return {"d_bcr": method.options.bcr * (real + fake)}


def _inconsistency(method: Scoring, batch: DiscriminatorBatch, real: bool) -> Tensor:
    images, y, scores = (
        (batch.real, batch.y, batch.on_real) if real else (batch.fake, batch.y_fake, batch.on_fake)
    )
    changed = consistency.change(images, batch.draws, method.options.cr_flip)
    score = method.scorer(y, batch.draws)
    return consistency.consistency(method.real_score(scores.adversarial), score(changed))


def lecam_term(method: Scoring, batch: DiscriminatorBatch) -> Losses:
    """LeCam: towards the anchors, which then move on; they are part of the run's state."""
    real, fake = (method.real_score(scores.adversarial) for scores in (batch.on_real, batch.on_fake))
    now = method.context.ranks.mean(lecam.mean_scores(real, fake))
    anchors = lecam.updated_anchors(method.buffers.get("lecam"), now)
    method.buffers["lecam"] = anchors
    return {"d_lecam": method.options.lecam * lecam.lecam(real, fake, anchors)}


def auxiliary(classes: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of the auxiliary classifier, (B, num_classes) logits against int64 (B,) labels.

    Source: Odena 2017 (ACGAN), equation 3; both players minimise it, on real images and on fakes.
    """
    return F.cross_entropy(classes.float(), y)


def auxiliary_of_discriminator(method: Scoring, batch: DiscriminatorBatch) -> Losses:
    """The auxiliary classifier on real images and on fakes, where there is one (Odena 2017)."""
    if batch.on_real.classes is None or batch.on_fake.classes is None:
        return {}
    both = auxiliary(batch.on_real.classes, batch.y) + auxiliary(batch.on_fake.classes, batch.y_fake)
    return {"d_classes": method.scaled(method.options.aux_weight * both)}


def auxiliary_of_generator(method: Scoring, batch: DiscriminatorBatch) -> Losses:
    """Fakes should be classified as the class that they were made for."""
    if batch.on_fake.classes is None:
        return {}
    loss = auxiliary(batch.on_fake.classes, batch.y_fake)
    return {"g_classes": method.scaled(method.options.aux_weight * loss)}


def made_by(fake: Tensor, generators: int) -> Tensor:
    """Which of K generators made each row of the fakes, int64 (F,)."""
    return torch.arange(generators, device=fake.device).repeat_interleave(len(fake) // generators)


def generator_id(fake: Tensor, made_by: Tensor) -> Tensor:
    """-E log C_k(G_k(z)): each generator wants its images to be known as its own, which drives generators apart.

    fake: (B, K+1) logits; made_by: int64 (B,). The classifier C is the softmax over the first K logits, which the
    discriminator trains already. Source: Hoang 2018 (MGAN), the classifier's term of their objective; their C is a head
    of its own on D's layers.
    """
    return F.cross_entropy(fake[:, :-1], made_by)


def generator_id_term(method: Scoring, batch: DiscriminatorBatch) -> Losses:
    """Each generator's images should be recognised as its own (Hoang 2018)."""
    count = method.generator.num_generators
    loss = generator_id(batch.on_fake.adversarial, made_by(batch.fake, count))
    return {"g_identity": method.options.generator_id_weight * loss}


# Option -> term. The order is that of their draws from the step's stream: to change it changes results.
DISCRIMINATOR: Mapping[str, Term] = {
    "r2": r2,
    "gp": gradient_penalty,
    "ct": consistency_term,
    "cr": consistency_on_real,
    "bcr": balanced_consistency,
    "lecam": lecam_term,
    "aux_weight": auxiliary_of_discriminator,
}
GENERATOR: Mapping[str, Term] = {
    "aux_weight": auxiliary_of_generator,
    "generator_id_weight": generator_id_term,
}


def asked_for(table: Mapping[str, Term], options: object) -> list[Term]:
    """The terms whose option is not zero."""
    return [term for name, term in table.items() if getattr(options, name, 0)]
