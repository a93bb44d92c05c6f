"""Options of the classifier and of the traditional transforms."""

from dataclasses import dataclass, replace
from typing import Any

from gangda.config import catalog, policies
from gangda.config.fields import Checked, Field, fields_by_name, flag_of, option
from gangda.errors import UsageError


@dataclass(frozen=True)
class TransformConfig(Checked):
    """Ranges of the traditional transforms; a zero (or 1,1 for scaling) turns one off. Or a policy by name."""

    policy: str = option(
        policies.EXPLICIT,
        "transforms by name: explicit is what --rotation and the like say; auto (compare, where nothing is said and "
        "images are few): each seed's best in cross-validation on its own real images",
        choices=policies.CHOICES,
    )
    rotation: float = option(10.0, "largest rotation in degrees", minimum=0.0, maximum=180.0)
    translation: float = option(0.07, "largest shift as a fraction of the side", minimum=0.0, maximum=0.5)
    scaling: tuple[float, float] = option((0.9, 1.1), "range of zoom factors", minimum=0.1, maximum=4.0)
    blur: float = option(0.5, "largest sigma of the Gaussian blur, in pixels", minimum=0.0, maximum=10.0)
    flip: float = option(0.0, "probability of a horizontal flip; not for digits", minimum=0.0, maximum=1.0)
    erasing: float = option(0.0, "probability of Random Erasing", minimum=0.0, maximum=1.0)
    mixup: float = option(0.0, "mixup alpha (Beta distribution); usually 0.2", minimum=0.0, maximum=10)

    @classmethod
    def range_fields(cls) -> dict[str, Field]:
        """The fields that a policy sets."""
        return {name: field for name, field in fields_by_name(cls).items() if name not in ("policy", "mixup")}

    def under(self, policy: str, mixup: float) -> "TransformConfig":
        """The same with a policy, `explicit` for the ranges as they are, and mixup."""
        if policy == policies.EXPLICIT:
            return replace(self, policy=policy, mixup=mixup)
        return TransformConfig(policy=policy, mixup=mixup)

    def ranges(self) -> "TransformConfig":
        """The ranges that the policy stands for, spelt out.

        Raises UsageError: it is still to be chosen, or there are ranges beside it.
        """
        if self.policy == policies.EXPLICIT:
            return self
        if self.policy == policies.AUTO:
            raise UsageError("--policy auto: compare alone chooses one; name a policy")
        fields = self.range_fields().items()
        given = [flag_of(field) for name, field in fields if getattr(self, name) != field.default]
        if given:
            raise UsageError(
                f"--policy {self.policy} and {', '.join(given)} exclude each other: give one of them"
            )
        off: dict[str, Any] = {name: (1.0, 1.0) if name == "scaling" else 0.0 for name in self.range_fields()}
        off |= policies.POLICIES[self.policy].ranges
        return TransformConfig(**off, mixup=self.mixup)


@dataclass(frozen=True)
class ClassifierConfig(Checked):
    """The classifier and its training; the same for all arms of a comparison."""

    classifier: str = option(
        "lenet",
        f"{', '.join(catalog.CLASSIFIERS)}, or module:callable(num_classes, channels, size) for your own",
    )
    classifier_steps: int = option(2000, "optimizer steps", minimum=1)
    classifier_epochs: int | None = option(
        None, "passes over the training set, instead of --classifier-steps", minimum=1
    )
    classifier_batch: int = option(64, "images per step", minimum=1)
    classifier_lr: float = option(4e-3, "peak learning rate (AdamW, one cycle)", minimum=0.0)
