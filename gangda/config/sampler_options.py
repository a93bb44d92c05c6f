"""How a trained generator is sampled: one section, `sampler`, shared by `sample`, `augment` and `compare`."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from gangda.config.fields import Checked, fields_by_name, flag_of, option
from gangda.errors import UsageError


@dataclass(frozen=True)
class SamplerOptions(Checked):
    """Options of all samplers. Which of them an architecture understands is in its `ArchSpec.sampler_options`."""

    truncation: float | None = option(
        None, "GANs, PCA: truncation threshold of z; lower is less varied; as in 1.0", minimum=0.05
    )
    sampler: str = option("midpoint", "flows: ODE solver", choices=("euler", "midpoint", "heun"))
    sampler_steps: int = option(8, "flows: solver steps", minimum=1, maximum=1000)
    guidance: float = option(
        1.0, "flows: classifier-free guidance scale; 1: no guidance", minimum=0.0, maximum=20.0
    )
    start_from_real: float | None = option(
        None,
        "flows: start from noisy training images, this share of the way to noise (0: copies, 1: noise); as in 0.5",
        minimum=0.001,
        maximum=0.999,
    )

    def understood(self, names: Collection[str]) -> dict[str, Any]:
        """The values of these options, by name: what a sample depends on where a generator understands these."""
        return {name: value for name, value in vars(self).items() if name in names}

    def only(self, names: Collection[str]) -> "SamplerOptions":
        """These options as they are, and the others at their defaults."""
        return SamplerOptions(**self.understood(names))

    def given(self) -> dict[str, Any]:
        """The values that are not the defaults, by flag."""
        fields = fields_by_name(self)
        return {flag_of(fields[name]): own for name, own in vars(self).items() if own != fields[name].default}

    def check(self, names: Collection[str], where: str) -> None:
        """Raise UsageError for options other than `names`; `where` is the generator, or the architectures."""
        flags = [flag_of(field) for name, field in fields_by_name(self).items() if name in names]
        for flag, value in self.given().items():
            if flag not in flags:
                instead = f", or give {' or '.join(flags)}" if flags else ""
                raise UsageError(f"{flag} {value}: not an option of {where}; leave it out{instead}")
