"""Generators that are fitted in closed form: a single step over all images."""

from collections.abc import Sequence

from gangda.runtime.capture import Losses
from gangda.training.draws import Draws
from gangda.training.method import Batch, Method


class ClosedFormMethod(Method):
    """`generator.fit(images)`, once. There is nothing to draw, no optimizer and no weight average."""

    def step(self, batches: Sequence[Batch], draws: Sequence[Draws]) -> Losses:
        """Fit the generator to all training images."""
        self.generator.cpu().fit(self.images)  # doubles and decompositions do not exist on every device
        self.generator.to(self.context.device)
        return {}
