"""Frozen dataclasses: the only home of defaults. Flags, YAML keys and `config.yaml` are made from them.

Here are the whole configurations of commands; the sections of options are in `data_options.py` and its neighbours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from gangda.config import arms, policies
from gangda.config.architectures import ArchSpec, spec_class
from gangda.config.classifier_options import ClassifierConfig as ClassifierConfig
from gangda.config.classifier_options import TransformConfig as TransformConfig
from gangda.config.compare_options import CompareConfig as CompareConfig
from gangda.config.compare_options import TuneConfig as TuneConfig
from gangda.config.data_options import DataConfig as DataConfig
from gangda.config.fields import Checked, option
from gangda.config.methods import Budget as Budget
from gangda.config.methods import MethodOptions, options_class, preset
from gangda.config.methods import Recipe as Recipe
from gangda.config.sampler_options import SamplerOptions as SamplerOptions
from gangda.config.set_options import AUTO as AUTO
from gangda.config.set_options import AUTO_RATIOS as AUTO_RATIOS
from gangda.config.set_options import AugmentConfig as AugmentConfig
from gangda.config.set_options import SampleConfig as SampleConfig
from gangda.config.set_options import ScoreConfig as ScoreConfig
from gangda.errors import UsageError


@dataclass(frozen=True)
class Runtime(Checked):
    """Seed, device and number format."""

    seed: int = option(0, "seed of all random streams", minimum=0)
    device: str = option("auto", "auto, cpu, cuda, cuda:1 or mps")
    precision: str = option("auto", "number format of the networks", choices=("auto", "fp32", "bf16"))
    threads: int | None = option(
        None,
        "CPU threads; default: SLURM_CPUS_PER_TASK, OMP_NUM_THREADS or all cores (compare: one for each cell)",
        minimum=1,
    )
    capture: bool = option(True, "run training steps as CUDA graphs where the device is an NVIDIA GPU")


@dataclass(frozen=True)
class TrainConfig:
    """Everything that determines a generator: data, architecture and its options, training method, budget, runtime.

    What is not given of `spec`, `recipe` and `method` is the architecture's own: `TrainConfig(arch="sagan")` is what
    `--arch sagan` means.
    """

    data: DataConfig = DataConfig()
    arch: str = option("cdcgan", "architecture; `gangda train --list` explains them", flag="--arch")
    spec: ArchSpec = None  # type: ignore[assignment]
    recipe: Recipe = None  # type: ignore[assignment]
    method: MethodOptions = None  # type: ignore[assignment]
    budget: Budget = Budget()
    runtime: Runtime = Runtime()
    # Where values come from, by option as in "data.per_class": for the record, no part of what is determined.
    origins: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        spec, recipe, given = cast(Any, (self.spec, self.recipe, self.method))
        spec = spec or spec_class(self.arch)()
        kind = options_class(spec.method)
        own = {
            "spec": spec,
            "recipe": recipe or Recipe(**preset(Recipe, spec.recipe)),
            "method": given or kind(**preset(kind, spec.recipe)),
        }
        for name, value in own.items():
            object.__setattr__(self, name, value)
        if not isinstance(self.method, kind):
            raise UsageError(f"{self.arch}: takes {kind.__name__}, not {type(given).__name__}")

    @property
    def images_per_step(self) -> int:
        """Real images that a training step takes."""
        return self.recipe.batch_size * self.method.batches_per_step

    def batches_before(self, step: int) -> int:
        """Batches of real images taken before step 0, 1, ...; those of pre-training come first."""
        return self.method.pretraining_steps + step * self.method.batches_per_step


ARCH = TrainConfig.__dataclass_fields__["arch"]


@dataclass(frozen=True)
class AugmentationConfig:
    """Everything that determines an augmented set, but for the run whose generator makes its images."""

    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    transforms: TransformConfig = TransformConfig()
    classifier: ClassifierConfig = ClassifierConfig()
    sampler: SamplerOptions = SamplerOptions()
    runtime: Runtime = Runtime()


@dataclass(frozen=True)
class ComparisonConfig(TrainConfig):
    """Everything that determines a comparison: the generators', the arms' and the protocol's configuration."""

    transforms: TransformConfig = TransformConfig()
    classifier: ClassifierConfig = ClassifierConfig()
    sampler: SamplerOptions = SamplerOptions()
    compare: CompareConfig = CompareConfig()

    def __post_init__(self) -> None:
        """`traditional:auto` among the arms, or in a contrast, is `traditional` under `--policy auto`."""
        super().__post_init__()
        compare, suffix = self.compare, arms.AUTO_POLICY
        if not any(name.endswith(suffix) for name in compare.arms):
            return
        # `explicit` is the default: only where it was typed does it say otherwise.
        typed = self.origins.get("transforms.policy") in ("flag", "environment")
        if self.transforms.policy in policies.POLICIES or (
            typed and self.transforms.policy == policies.EXPLICIT
        ):
            raise UsageError(
                f"--policy {self.transforms.policy} does not go with arms that end in {suffix}; leave one out"
            )
        names = tuple(name.removesuffix(suffix) for name in compare.arms)
        contrasts = tuple(text.replace(suffix, "") for text in compare.contrast)
        object.__setattr__(self, "compare", replace(compare, arms=names, contrast=contrasts))
        object.__setattr__(self, "transforms", replace(self.transforms, policy=policies.AUTO))
        object.__setattr__(self, "origins", {**self.origins, "transforms.policy": policies.BY_ARM})
