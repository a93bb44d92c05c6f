"""Options of a comparison, and of a search: their protocols."""

from dataclasses import dataclass, replace

from gangda.config import arms, catalog
from gangda.config.fields import Checked, option
from gangda.config.set_options import (
    AUTO,
    AUTO_RATIOS,
    CHECKPOINT,
    FILL,
    FILTER,
    RATIO_FOR,
    SCORES,
    AugmentConfig,
)
from gangda.errors import UsageError


@dataclass(frozen=True)
class CompareConfig(Checked):
    """The protocol of a comparison: arms, paired seeds, ratios and tests."""

    exclusive = (("ratios", "replace", "fill"), ("balance", "replace", "fill"))

    arms: tuple[str, ...] = option(
        arms.DEFAULT, "arms to compare, comma-separated; `gangda compare --list` explains them"
    )
    balance: bool = option(
        False, "fill every class to the largest; with --ratios: add that many images, smallest classes first"
    )
    ratios: tuple[float, ...] = option(
        (1.0,),
        "synthetic images per real image; auto (0,0.25,0.5,1,2) or several values: each seed's best on validation",
        minimum=0.0,
        words={"auto": AUTO_RATIOS},
    )
    fill: tuple[float, ...] = option((), f"{FILL}; several values: as for --ratios", minimum=0.0)
    replace: tuple[float, ...] = option(
        (),
        "make this fraction of each class synthetic and keep its size; several values: as for --ratios",
        minimum=0.0,
        maximum=1.0,
    )
    ratio_for: tuple[str, ...] = option((), RATIO_FOR, repeat=True)
    seeds: int = option(
        10, "paired seeds, each with its own subset and its own generator", minimum=1, maximum=1000
    )
    checkpoint: str = option("best", CHECKPOINT, choices=("best", "last"))
    generated_weight: float = option(
        1.0, "loss weight of an added image relative to a real one", minimum=0.0, maximum=100.0
    )
    anneal_synthetic_weight: bool = option(
        False, "lower --generated-weight to 0 over the last third of the classifier's steps"
    )
    synthetic_passes: int | None = option(
        None,
        "add this many times as many images, each pass over the real ones uses the next part; default 10 for flows' "
        "samples, else 1",
        minimum=1,
    )
    filter: tuple[str, ...] = option((), FILTER, choices=(*catalog.FILTERS, AUTO))
    recalibrate: bool = option(False, "recompute batch-norm statistics on the real images after training")
    second_classifier: str | None = option(
        None,
        "also train this classifier on the arms of the first primary contrast; both must agree for a headline",
    )
    repeat_check: bool = option(
        False,
        "train the arms of the first primary contrast once more in one seed, with sums rounded otherwise",
    )
    plateau_check: bool = option(
        False,
        "train every arm in two seeds with twice the steps too, not only with half: had they reached their plateau?",
    )
    tune_steps: tuple[int, ...] = option(
        (),
        "also evaluate each arm with its best number of steps on validation images, as in 1000,2000,4000",
        minimum=1,
    )
    contrast: tuple[str, ...] = option(
        (),
        "contrast to test in place of the default ones, as in 'generated - smote'; repeatable",
        repeat=True,
    )
    score_by: str = option(
        "accuracy", "score that is compared: accuracy or balanced accuracy", choices=SCORES
    )
    multiplicity: str = option(
        "sequence", "correction for several tests: fixed sequence, or Holm", choices=("sequence", "holm")
    )
    alpha: float = option(0.05, "significance level", minimum=0.0001, maximum=0.5)
    margin: float | None = option(
        None,
        "equivalence margin in points; default min(0.5, 10% of the error of the contrast's second arm)",
        minimum=0.0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.arms:
            arms.parse_arm(name)

    @property
    def candidates(self) -> tuple[float, ...]:
        """The ratios, or with `fill` levels, with `replace` shares, that an arm chooses from; one without a choice."""
        return self.fill or self.replace or self.ratios

    def of_arm(self, name: str) -> "CompareConfig":
        """The same with what an arm adds of its own, `ARM:0.5` or `ARM:fill50%`, in place of the candidates.

        An amount of pseudo-labelled images is none of added ones: see `FitRule`.

        Raises UsageError: a ratio that is no share, with `replace`.
        """
        own = arms.amount_of(name)
        if own is None or not arms.parse_arm(name)[0].added:
            return self
        if own.fill:
            return replace(self, fill=(own.value,), ratios=(1.0,), replace=(), balance=False)
        if self.replace:
            if own.value > 1 or "%" in name:
                what = "with --replace a ratio is a share, 0 to 1, written as in :0.25"
                raise UsageError(f"--arms {name}: {what}")
            return replace(self, replace=(own.value,))
        return replace(self, ratios=(own.value,), fill=())

    def at(self, ratio: float) -> AugmentConfig:
        """What `gangda augment` is asked for at one of them: of several, 0 is the real images alone."""
        own = () if ratio == 0 and len(self.candidates) > 1 else self.ratio_for
        if self.fill:
            return AugmentConfig(fill=ratio, ratio_for=own)
        if self.replace:
            return AugmentConfig(replace=ratio, ratio_for=own)
        return AugmentConfig(balance=self.balance, ratio=ratio, ratio_for=own)


@dataclass(frozen=True)
class TuneConfig(Checked):
    """How the options of training are searched."""

    trials: int | None = option(
        None,
        "configurations to try, by all processes together; default: all of a grid, otherwise 20",
        minimum=1,
        maximum=100_000,
    )
    objective: str = option(
        "cas",
        "what is best on validation images: CAS, a GAN-test near that of real images, KID, validation loss (flows), or "
        "gain of the augmented classifier",
        choices=("cas", "gan_test", "kid", "validation_loss", "gain"),
    )
    search: str = option(
        "tpe",
        "how configurations are chosen; grid: all combinations, in random order",
        choices=("tpe", "random", "grid"),
    )
    prune: bool = option(True, "end trials early that are not among the best, or whose samples collapse")
    rungs: int = option(3, "times that a trial is scored, at growing numbers of steps", minimum=1, maximum=8)
    reduction: int = option(
        3, "each rung has so many times the steps of the one before; the better half goes on to it", minimum=2
    )
