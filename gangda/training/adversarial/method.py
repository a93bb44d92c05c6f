"""Adversarial training: a generator against a discriminator (Goodfellow 2014)."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor

from gangda.config import catalog
from gangda.config.methods import AdversarialOptions
from gangda.config.schema import TrainConfig
from gangda.data.images import LabelledImages
from gangda.runtime.capture import Losses
from gangda.runtime.device import DeviceContext
from gangda.training.adversarial import losses, regularisers
from gangda.training.adversarial.diffaugment import augment
from gangda.training.adversarial.option_rules import AdversarialRules
from gangda.training.adversarial.regularisers import DiscriminatorBatch
from gangda.training.draws import Draws, detached
from gangda.training.loop import optimizer_step
from gangda.training.method import Batch, IterativeMethod, adam
from gangda.training.schedules import conditioning_scale
from gangda.zoo.base import Generator, Networks, Scores, set_conditioning_scale


class AdversarialMethod(IterativeMethod):
    """Two networks with opposed losses; `conditioning_scale` (0 to 1) is how much the class counts (Shahbazi 2022)."""

    option_rules = AdversarialRules

    def __init__(
        self, config: TrainConfig, networks: Networks, images: LabelledImages, context: DeviceContext
    ) -> None:
        super().__init__(config, networks, images, context)
        assert isinstance(config.method, AdversarialOptions)
        self.options, self.discriminator = config.method, self.modules["discriminator"]
        lr = config.recipe.lr
        lr_d = lr if self.options.lr_d is None else self.options.lr_d
        self.optimizer_g = adam(self.generator.parameters(), lr, config.recipe, context)
        self.optimizer_d = adam(self.discriminator.parameters(), lr_d, config.recipe, context)
        self.optimizers = {"generator": self.optimizer_g, "discriminator": self.optimizer_d}
        self.loss = self.make_loss()
        self.conditioning_scale = 1.0
        self.metrics: Losses = {}  # of the last discriminator step, detached

    def make_loss(self) -> losses.Loss:
        """The loss that --loss names."""
        return cast(losses.Loss, catalog.builder("loss", catalog.LOSSES, self.options.loss)())

    def set_schedules(self, step: int, average: Generator) -> None:
        """Raise the scale of the conditioning from 0 to 1 over --conditioning-warmup steps."""
        if self.options.conditioning_warmup:
            self.conditioning_scale = conditioning_scale(self.options.conditioning_warmup, step)
            for network in (self.generator, self.discriminator, average):
                set_conditioning_scale(network, self.conditioning_scale)

    def draws(self, step: int) -> list[Draws]:
        """One for each discriminator step; the last also serves the generator."""
        if step < 0:
            return [self._draws_of_extra_step(step + self.options.d_pretrain)]
        first, last = self.config.batches_before(step), self.config.batches_before(step + 1) - 1
        both = self._draws("both", last, "step", "dropout", step)
        return [*map(self._draws_of_extra_step, range(first, last)), both]

    def _draws_of_extra_step(self, number: int) -> Draws:
        return self._draws("discriminator", number, "extra turn", "extra dropout", number)

    def _draws(self, trained: str, number: int, *key: Any) -> Draws:
        """During --conditioning-warmup every step is of its own kind, and none is recorded as a CUDA graph."""
        kind = (trained, self.lazy_due(number), self.conditioning_scale)
        return self.streams.draws(kind, number, *key)

    def lazy_due(self, number: int) -> bool:
        """Whether discriminator step `number` has the lazy penalties R1 and R2 (Karras 2020b, section 3.1)."""
        return bool(self.options.r1 or self.options.r2) and number % self.options.r1_every == 0

    def update(self, batch: Batch, draws: Draws) -> Losses:
        """One batch of fakes serves both networks; in extra steps and in pre-training the discriminator alone."""
        if draws.kind[0] == "discriminator":
            with torch.no_grad():
                made = self.fakes(batch[1], draws)
            return self.discriminator_step(batch, made, draws)
        both = self.simultaneous_step if self.options.simultaneous else self.alternating_step
        return both(batch, self.fakes(batch[1], draws), draws)

    def fakes(self, y: Tensor, draws: Draws) -> Batch:
        """Images (F, C, H, W) and the classes they are made for, int64 (F,); F the most that all generators can share.

        The classes are the first of y, or drawn uniformly (--fake-classes).
        """
        # Not `self`: the noted draws would keep this method and its graphs alive.
        network = self.generator
        count = len(y) // network.num_generators * network.num_generators
        wanted = y[:count]
        if self.options.fake_classes == "uniform":
            classes = self.images.num_classes
            wanted = draws.take(
                lambda shape, generator: torch.randint(classes, shape, generator=generator), (count,)
            )
        with self.context.autocast():
            z = draws.take(lambda shape, generator: network.noise(shape[0], generator), (count,))
            return cast(Tensor, network(z, wanted)), wanted

    def alternating_step(self, batch: Batch, made: Batch, draws: Draws) -> Losses:
        """The discriminator learns; then, frozen, it scores the same fakes for the generator.

        Source: Goodfellow 2014, algorithm 1. Departure: the fakes are not drawn anew for the generator.
        """
        d_losses = self.discriminator_step(batch, (made[0].detach(), made[1]), draws)
        self.discriminator.requires_grad_(False)
        with self.context.autocast():
            if self.loss.paired:
                on_real, on_fake = self.score_both(batch, made, draws)
            else:
                on_real = on_fake = self.score(*made, draws)
            g_losses = self.generator_losses(DiscriminatorBatch(*batch, *made, draws, on_real, on_fake))
        optimizer_step([(self.optimizer_g, g_losses)], self.context)
        self.discriminator.requires_grad_(True)
        return {**d_losses, **detached(g_losses)}

    def simultaneous_step(self, batch: Batch, made: Batch, draws: Draws) -> Losses:
        """Both networks learn from the same scores, which saves a pass over the fakes.

        All gradients are taken before either network is updated. Source: Nowozin 2016 (f-GAN), algorithm 1; it is how
        the Keras tutorial's DCGAN trains.
        """
        with self.context.autocast():
            scores = self.score(*batch, draws), self.score(*made, draws)
            both = DiscriminatorBatch(*batch, *made, draws, *scores)
            d_losses = self.discriminator_losses(replace(both, fake=both.fake.detach()))
            g_losses = self.generator_losses(both)
        networks = [(self.optimizer_d, d_losses), (self.optimizer_g, g_losses)]
        optimizer_step(networks, self.context, self.metrics)
        regularisers.clip_weights(self.discriminator, self.options.clip)
        return {**detached({**d_losses, **g_losses}), **self.metrics}

    def discriminator_step(self, batch: Batch, made: Batch, draws: Draws) -> Losses:
        """The discriminator learns from these real images and fakes, which are detached."""
        with self.context.autocast():
            scores = self.score_both(batch, made, draws)
            found = self.discriminator_losses(DiscriminatorBatch(*batch, *made, draws, *scores))
        optimizer_step([(self.optimizer_d, found)], self.context, self.metrics)
        regularisers.clip_weights(self.discriminator, self.options.clip)
        return {**detached(found), **self.metrics}

    def discriminator_losses(self, batch: DiscriminatorBatch) -> Losses:
        """The adversarial loss, R1 (at real images), R2 (at fakes), and what else the options add."""
        found = self._adversarial("d", batch.on_fake, batch.on_real)
        if self.lazy_due(batch.draws.number):  # scaled up to keep their means
            for name, images, y in (("r1", batch.real, batch.y), ("r2", batch.fake, batch.y_fake)):
                if weight := getattr(self.options, name) * self.options.r1_every:
                    found[f"d_{name}"] = weight * losses.gradient_norm_penalty(
                        self.scorer(y, batch.draws), images
                    )
        self._add(found, regularisers.DISCRIMINATOR, batch)
        with torch.no_grad():
            real, fake = (self.real_score(scores.adversarial) for scores in (batch.on_real, batch.on_fake))
            self.metrics = {"d_accuracy": losses.accuracy(real, fake, self.loss.threshold)}
        return found

    def generator_losses(self, batch: DiscriminatorBatch) -> Losses:
        """The adversarial loss, and what the options add."""
        found = self._adversarial("g", batch.on_fake, batch.on_real if self.loss.paired else None)
        self._add(found, regularisers.GENERATOR, batch)
        return found

    def _add(self, found: Losses, table: Mapping[str, regularisers.Term], batch: DiscriminatorBatch) -> None:
        """Add the terms of the table whose option is not zero."""
        for name, term in table.items():
            if getattr(self.options, name, 0):
                found.update(term(self, batch))

    def _adversarial(self, network: str, fake: Scores, real: Scores | None) -> Losses:
        """The adversarial loss; with --conditioning-warmup unconditional + scale * conditional (Shahbazi 2022)."""
        whole = self._loss_of(network, fake.adversarial, real.adversarial if real else None)
        if not self.options.conditioning_warmup or fake.unconditional is None:
            return {f"{network}_loss": whole}
        without = self._loss_of(network, fake.unconditional, real.unconditional if real else None)
        return {f"{network}_loss": self.scaled(whole), f"{network}_unconditional": without}

    def _loss_of(self, network: str, fake: Tensor, real: Tensor | None) -> Tensor:
        if network == "g":
            return self.loss.generator(fake, real)
        assert real is not None
        loss, amount = self.loss.discriminator(real, fake), self.options.label_smoothing
        return loss + self.loss.smoothing(real, amount) if amount else loss

    def score(self, images: Tensor, y: Tensor, draws: Draws) -> Scores:
        """The discriminator's scores, through DiffAugment where it is on."""
        if self.options.diffaugment:
            images = augment(images, self.options.diffaugment, draws)
        return cast(Scores, self.discriminator(images, y))

    def score_both(self, batch: Batch, made: Batch, draws: Draws) -> tuple[Scores, Scores]:
        """Scores of real images and fakes: one joined pass, or two where the batch's images must not mix."""
        if getattr(self.discriminator, "separate_batches", False):
            return self.score(*batch, draws), self.score(*made, draws)
        images, classes = (torch.cat(pair) for pair in zip(batch, made, strict=True))
        both, real = self.score(images, classes, draws), len(batch[0])
        return both.rows(slice(0, real)), both.rows(slice(real, None))

    def scorer(self, y: Tensor, draws: Draws) -> Callable[[Tensor], Tensor]:
        """A function of images (B, C, H, W) with labels y: one number an image, (B,)."""
        return lambda images: self.real_score(self.score(images, y, draws).adversarial)

    def real_score(self, adversarial: Tensor) -> Tensor:
        """One number an image, the higher the more real: (B,)."""
        return adversarial

    def scaled(self, loss: Tensor) -> Tensor:
        """A loss of the class, which counts as much as the class does."""
        return loss if self.conditioning_scale == 1.0 else self.conditioning_scale * loss
