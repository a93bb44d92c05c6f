"""What a run leaves to look at and to sample from: grids, a GIF of them, and the model."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from gangda.config.schema import TrainConfig
from gangda.data.images import LabelledImages
from gangda.data.paths import located
from gangda.report import grids
from gangda.runtime.device import DeviceContext
from gangda.runtime.files import write_bytes
from gangda.runtime.runs import RunFolder
from gangda.training import preview
from gangda.training.saved_model import ModelCard, save_model
from gangda.zoo.base import Generator


@dataclass(frozen=True, eq=False)
class ArtifactWriter:
    """Writes `samples/` and `model/` of one run."""

    config: TrainConfig
    images: LabelledImages
    folder: RunFolder
    context: DeviceContext
    fingerprint: str

    def save_grid(self, generator: Generator, step: int) -> None:
        """Samples of the same noise each time, as one picture; for an ensemble one more, a row for each generator."""
        draws = {"grid": preview.fixed_samples}
        if generator.num_generators > 1:
            draws["generators"] = preview.samples_of_each
        for name, draw in draws.items():
            samples = draw(generator, seed=self.config.runtime.seed, context=self.context)
            picture = grids.png(grids.tile(samples, preview.COLUMNS))
            write_bytes(self.folder.path / "samples" / f"{name}-{step:08d}.png", picture)

    def save_animation(self, planned: Callable[[int], bool]) -> None:
        """All grids of `planned` steps, one after the other; those of steps at which a sitting was stopped go."""
        samples = self.folder.path / "samples"
        for path in samples.glob("*-" + 8 * "[0-9]" + ".png"):
            if not planned(int(path.stem[-8:])):
                path.unlink()
        write_bytes(samples / "training.gif", grids.animation(sorted(samples.glob("grid-*.png"))))

    def save_model(
        self,
        generator: Generator,
        step: int,
        discriminator: nn.Module | None = None,
        best: Mapping[str, Tensor] | None = None,
        best_step: int | None = None,
    ) -> None:
        """The generator as it is at `step`, and the weights of its best step, if one was chosen."""
        config = self.config
        card = ModelCard(
            arch=config.arch,
            spec=dataclasses.asdict(config.spec),
            image_shape=self.images.image_shape,
            class_names=self.images.class_names,
            data=dataclasses.asdict(located(config.data)),
            fingerprint=self.fingerprint,
            seed=config.runtime.seed,
            steps=step,
            precision=self.context.precision,
            run=self.folder.path.name,
            best_step=best_step,
        )
        save_model(self.folder.path, generator, card, self.images.row_id, discriminator, best)
