"""Simultaneous updates of both networks (--simultaneous)."""

from dataclasses import replace
from typing import Any

from torch import Tensor

from gangda.training.adversarial.batch import DiscriminatorBatch
from gangda.training.adversarial.regularisers import clip_weights
from gangda.training.draws import Draws, detached
from gangda.training.loop import optimizer_step
from gangda.training.method import Losses


def simultaneously(method: Any, real: Tensor, y: Tensor, fake: Tensor, draws: Draws) -> Losses:
    """Both networks of an `AdversarialMethod` learn from the same scores, which saves a pass over the fakes.

    All gradients are taken before either network is updated. Source: Nowozin 2016 (f-GAN), algorithm 1; it is how the
    Keras tutorial's DCGAN trains.
    """
    with method.context.autocast():
        on_real, on_fake = method.score(real, y, draws), method.score(fake, y[: len(fake)], draws)
        batch = DiscriminatorBatch(real, y, fake, draws, on_real, on_fake)
        d_losses = method.discriminator_losses(replace(batch, fake=fake.detach()))
        g_losses = method.generator_losses(batch)
    networks = [(method.optimizer_d, d_losses), (method.optimizer_g, g_losses)]
    optimizer_step(networks, method.context, method.metrics)
    clip_weights(method.discriminator, method.options.clip)
    return detached({**d_losses, **g_losses})
