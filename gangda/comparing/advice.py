"""What to do after a comparison: one piece of advice and the command to type, from what was measured."""

import contextlib
import dataclasses
import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gangda.comparing.arm_sets import passes_of
from gangda.comparing.cell_result import CellResult
from gangda.comparing.comparison import NO_ADVICE, Advice
from gangda.comparing.plan import ComparisonPlan
from gangda.comparing.workers import job_count
from gangda.config import policies
from gangda.config.arms import parse_arm
from gangda.config.fields import given_words
from gangda.config.schema import AUTO, AugmentConfig, CompareConfig, TrainConfig
from gangda.errors import UsageError
from gangda.runtime.progress import counted, duration
from gangda.sampling.filters import filter_class
from gangda.sampling.filters.base import FilterTarget
from gangda.statistics import values, words
from gangda.statistics.crossed import finest_difference
from gangda.statistics.families import family_of, first_level
from gangda.statistics.signflip import detectable_difference, fewest_for
from gangda.statistics.values import Contrast, Judgement
from gangda.statistics.verdicts import DEFAULT_MARGIN

USUAL_SEEDS, MOST_SEEDS = 10, 100  # that are advised
LONGER = 4  # times as many steps, where a generator is poor


@dataclass(frozen=True, eq=False)
class Situation:
    """A judged comparison and where it lies."""

    judged: Judgement
    plan: ComparisonPlan
    out: Path
    cells: Sequence[CellResult]

    @property
    def main(self) -> Contrast | None:
        """The difference that the verdict is about."""
        return next((one for one in self.judged.contrasts if one.primary), None)

    @property
    def treated(self) -> str:
        """The arm that it is about."""
        return "" if self.main is None else self.main.name.partition(" - ")[0]

    @property
    def generated(self) -> bool:
        """Whether that arm has images of the comparison's own generator."""
        arm, arch = parse_arm(self.treated) if self.treated else (None, None)
        return arm is not None and arm.added == "generator" and arch is None and self.plan.run is None

    @property
    def twice(self) -> int:
        """Twice as many seeds, in tens."""
        return 10 * math.ceil(2 * self.judged.n / 10)

    def again(self, *more: str, out: str) -> str:
        """The comparison once more, with `more` options, in another folder."""
        run = ["--run", str(self.plan.run)] if self.plan.run else []
        config = ["--config", str(self.out / "config.yaml")]
        return shlex.join(["gangda", "compare", *config, *run, *more, "--out", out])

    def new_seeds(self, seeds: int) -> str:
        """The comparison with so many seeds, none of them its own."""
        first = self.plan.config.runtime.seed + len(self.plan.cells)
        options = ("--seeds", str(seeds), "--seed", str(first))
        return self.again(*options, out=f"{self.out}-{seeds}-seeds")

    def time_of(self, seeds: int) -> str:
        """How long so many seeds take on this machine, by the cells that have run."""
        rounds = math.ceil(seeds / job_count(None, self.plan)[0])
        return duration(rounds * float(np.mean([cell.seconds for cell in self.cells])))


def advise(situation: Situation, *, poor: bool, objection: str) -> Advice:
    """The advice.

    Args:
        poor: whether an alarm says that the generator's images are not recognised.
        objection: what an analysis holds against a verdict of better or worse; empty for nothing.
    """
    main, judged, config = situation.main, situation.judged, situation.plan.config
    if main is None:
        return _name_a_contrast(situation)
    if check := _of_a_check(situation, main):
        return check
    if objection:
        return Advice(words.DISAGREE.format(objection=objection.removeprefix(", but ")), "")
    if poor and situation.generated and not main.verdict.startswith(values.BETTER) and config.images_per_step:
        steps = LONGER * max(
            1, *(made.steps for cell in situation.cells for made in cell.generators.values())
        )
        again = situation.again("--steps", str(steps), out=f"{situation.out}-longer")
        return Advice(words.TRAIN_LONGER, again)
    if weak := _weak_control(situation, main):
        return weak
    then = NEXT.get(main.verdict, _nothing)(situation, main)
    replaced = bool(config.compare.replace)
    sentence = words.advice_sentence(main, judged.score, judged.n_test, replaced=replaced)
    parts = (sentence, _worth(situation, main), then.text)
    return Advice(" ".join(part for part in parts if part), then.command)


def _name_a_contrast(situation: Situation) -> Advice:
    """With the last arm against the first, as an example; of those that are no checks, where there are two."""
    arms = situation.plan.config.compare.arms
    usable = [name for name in arms if not parse_arm(name)[0].is_check]
    first, *_, last = usable if len(usable) > 1 else arms * 2
    if first == last:
        return NO_ADVICE
    again = situation.again("--contrast", f"{last} - {first}", out=f"{situation.out}-contrast")
    return Advice(words.NAME_A_CONTRAST, again)


def decides_nothing(contrast: Contrast) -> bool:
    """Whether an arm of the difference checks the protocol, or has other real images: no use of generated ones."""
    arms = [parse_arm(name)[0] for name in contrast.name.split(" - ")]
    return any(arm.is_check or arm.is_other_real for arm in arms)


def _of_a_check(situation: Situation, main: Contrast) -> Advice | None:
    """What a difference that decides nothing is good for, and the usual contrasts of these arms."""
    if not decides_nothing(main):
        return None
    arms = {name: parse_arm(name)[0] for name in main.name.split(" - ")}
    checks = [name for name, arm in arms.items() if arm.is_check]
    named = " and ".join(checks or [name for name, arm in arms.items() if arm.is_other_real])
    are = "is" if len(checks) == 1 else "are"
    text = (words.OF_A_CHECK if checks else words.OF_OTHER_REAL).format(arms=named, are=are)
    compare = situation.plan.config.compare
    family = family_of(compare.arms, procedure=compare.multiplicity)
    if not family.primary:
        return Advice(text, "")
    asked = [word for name in family.primary for word in ("--contrast", name)]
    least = fewest_for(first_level(family, compare.alpha))
    seeds = ["--seeds", str(max(USUAL_SEEDS, least))] if least > len(situation.plan.cells) else []
    usual = words.USUAL_CONTRAST.format(contrasts=", then ".join(family.primary))
    return Advice(f"{text} {usual}", situation.again(*asked, *seeds, out=f"{situation.out}-contrast"))


def _transforms_alone(judged: Judgement) -> Contrast | None:
    """What traditional transforms changed by themselves, where that was measured."""
    found = next((one for one in judged.contrasts if one.name == "traditional - real"), None)
    return found if found and found.interval else None


def _weak_control(situation: Situation, main: Contrast) -> Advice | None:
    """Where generated images beat a control with transforms, which by themselves are worse than nothing."""
    change, control = _transforms_alone(situation.judged), main.name.partition(" - ")[2]
    if change is None or change.interval is None or change.interval[1] >= 0:
        return None
    if not main.verdict.startswith(values.BETTER) or "traditional" not in control:
        return None
    known = situation.plan.config.classifier
    name = "classifier_steps" if known.classifier_epochs is None else "classifier_epochs"
    more = (f"--{name.replace('_', '-')}", str(LONGER * getattr(known, name)))
    unit, interval = f"points of {situation.judged.score}", words.interval_text(change.interval)
    others = "" if situation.plan.config.transforms.policy == policies.AUTO else words.OTHER_TRANSFORMS
    size = words.rounded(-change.mean)
    text = words.WEAK_CONTROL.format(size=size, unit=unit, interval=interval, others=others)
    return Advice(text, situation.again(*more, out=f"{situation.out}-longer"))


def _worth(situation: Situation, main: Contrast) -> str:
    """What traditional transforms gain by themselves, where they do and the verdict is not in favour of more."""
    gain = _transforms_alone(situation.judged)
    if main.verdict.startswith(values.BETTER) or not (gain and gain.interval and gain.interval[0] > 0):
        return ""
    unit, interval = f"points of {situation.judged.score}", words.interval_text(gain.interval)
    return words.WORTH_OF_TRANSFORMS.format(size=words.rounded(gain.mean), unit=unit, interval=interval)


def _nothing(situation: Situation, main: Contrast) -> Advice:
    return NO_ADVICE


def _make_the_set(situation: Situation, main: Contrast) -> Advice:
    """A generator of as many images, and the augmented set, where the better arm has its images."""
    config, arm = situation.plan.config, parse_arm(situation.treated)[0]
    own = config.compare.of_arm(situation.treated)
    if not situation.generated or arm.altered or arm.replaces or len(own.replace) > 1:
        return _nothing(situation, main)
    data = given_words(dataclasses.replace(config.data, unlabelled=None))
    usual, parts = TrainConfig(arch=config.arch), ("spec", "recipe", "method", "budget")
    trained = [word for name in parts for word in given_words(getattr(config, name), getattr(usual, name))]
    train = ["gangda", "train", *data, "--arch", config.arch, *trained, "--out", "generator"]
    made = _amount(own)
    options = [*given_words(made), *given_words(config.sampler)]
    options += given_words(config.classifier) if made.is_open else []
    augment = ["gangda", "augment", *data, "--run", "generator", *options, "--out", "augmented"]
    text, each = words.MAKE_THE_SET, config.data.per_class
    if each or config.data.class_counts:
        text = words.MAKE_THE_SUBSET.format(
            some=f"{each:,} images of each class" if each else "classes of these sizes"
        )
    if (passes := passes_of(config, *parse_arm(situation.treated))) > 1:
        text = f"{words.OTHERS_EACH_PASS.format(passes=passes)} {text}"
    return Advice(text, f"{shlex.join(train)} && {shlex.join(augment)}")


def _amount(own: CompareConfig) -> AugmentConfig:
    """What an arm with these options adds, as `gangda augment` is asked for it."""
    name = "fill" if own.fill else "replace" if own.replace else "ratio"
    amount: dict[str, Any] = {name: own.candidates if len(own.candidates) > 1 else own.candidates[0]}
    same = {key: getattr(own, key) for key in ("balance", "ratio_for", "checkpoint", "filter")}
    made = AugmentConfig(**amount, **same)
    return dataclasses.replace(made, score_by=own.score_by) if made.is_open else made


def _more(situation: Situation, main: Contrast) -> Advice:
    """Seeds that find a difference as large as the margin, or as these test images can show; more of these images."""
    target, finest = main.margin or DEFAULT_MARGIN, finest_difference(main.image_error, situation.plan.level)
    images = too_few_images(situation.judged, main, situation.plan.level)
    if images is None:
        return _more_seeds(situation, main, target)
    if images.final:
        return Advice(images.text, "")
    seeds = _more_seeds(situation, main, finest)
    return Advice(f"{images.text} {seeds.text}", seeds.command)


def _decide(situation: Situation, main: Contrast) -> Advice:
    """What would show the difference beyond these test images: more of them where these are too few, else new seeds."""
    seen, finest = abs(main.mean), finest_difference(main.image_error, situation.plan.level)
    if finest > seen:
        return Advice(_more_test_images(situation.judged, seen, finest), "")
    seeds = situation.twice
    text = words.DECIDING_SEEDS.format(
        seeds=counted(seeds, "seed"),
        time=situation.time_of(seeds),
        tested=f"{situation.judged.n_test:,}",
    )
    return Advice(text, situation.new_seeds(seeds))


@dataclass(frozen=True)
class TooFewImages:
    """Why no number of seeds shows a difference as large as the margin beyond these test images."""

    text: str  # how many images it takes
    needed: float  # the same, as times as many as there are
    final: bool  # these seeds find all that the test images can show already


def too_few_images(judged: Judgement, contrast: Contrast, level: float) -> TooFewImages | None:
    """What the number of test images keeps a contrast from; None where more seeds can show such a difference."""
    target, finest = contrast.margin or DEFAULT_MARGIN, finest_difference(contrast.image_error, level)
    if finest <= target:
        return None
    text = _more_test_images(judged, target, finest)
    return TooFewImages(text, (finest / target) ** 2, (contrast.detectable or 0.0) <= finest)


def _more_test_images(judged: Judgement, size: float, finest: float) -> str:
    """How many show a difference of this size, in two digits, where these show one of `finest`."""
    tested = judged.n_test
    needed = tested * (finest / size) ** 2
    unit = 10 ** max(0, math.floor(math.log10(needed)) - 1)
    return words.MORE_TEST_IMAGES.format(
        size=words.rounded(size),
        unit=f"points of {judged.score}",
        tested=f"{tested:,}",
        needed=f"{unit * math.ceil(needed / unit):,}",
    )


def _more_seeds(situation: Situation, main: Contrast, target: float) -> Advice:
    """The fewest, in tens, that find such a difference; at least twice as many, at most `MOST_SEEDS`.

    By the spread that was seen, on these test images.
    """
    least = situation.twice
    found = {
        seeds: detectable_difference(seeds, main.sd, situation.plan.level) or target
        for seeds in range(least, max(least, MOST_SEEDS) + 1, 10)
    }
    seeds = next((seeds for seeds, size in found.items() if size <= target), max(found))
    text = words.MORE_SEEDS.format(
        size=words.rounded(max(found[seeds], target)),
        unit=f"points of {situation.judged.score}",
        seeds=counted(seeds, "seed"),
        time=situation.time_of(seeds),
    )
    return Advice(text, situation.new_seeds(seeds))


def _enough_seeds(situation: Situation, main: Contrast) -> Advice:
    seeds = max(USUAL_SEEDS, fewest_for(situation.plan.level))
    text = words.ENOUGH_SEEDS.format(seeds=counted(seeds, "seed"), time=situation.time_of(seeds))
    return Advice(text, situation.again("--seeds", str(seeds), out=f"{situation.out}-{seeds}-seeds"))


def _other_generator(situation: Situation, main: Contrast) -> Advice:
    """The same with a flow where another generator's images did not help, but for filters that a flow cannot have."""
    config, seeds = situation.plan.config, situation.plan.config.compare.seeds
    if not situation.generated or config.spec.method in ("flow-matching", "edm"):
        return _nothing(situation, main)
    target = FilterTarget("flow", "", len(situation.cells[0].class_names), "--arch flow")
    filters = tuple(name for name in config.compare.filter if _fits(name, target))
    protocol = given_words(dataclasses.replace(config.compare, filter=filters), CompareConfig(seeds=seeds))
    same = [*protocol, *given_words(config.transforms), *given_words(config.classifier)]
    flow = ["--arch", "flow", "--seeds", str(seeds), *same, "--out", f"{situation.out}-flow"]
    return Advice(words.OTHER_GENERATOR, shlex.join(["gangda", "compare", *given_words(config.data), *flow]))


def _other_or_decide(situation: Situation, main: Contrast) -> Advice:
    other = _other_generator(situation, main)
    return other if other.command else _decide(situation, main)


def _fits(name: str, target: FilterTarget) -> bool:
    """Whether a filter, or `auto`, goes with a generator."""
    with contextlib.suppress(UsageError):
        if name != AUTO:
            filter_class(name).check(target)
        return True
    return False


NEXT: Mapping[str, Callable[[Situation, Contrast], Advice]] = {
    values.BETTER: _make_the_set,
    values.WORSE: _other_generator,
    values.BETTER_HERE: _decide,
    values.WORSE_HERE: _other_or_decide,
    values.EQUIVALENT: _other_generator,
    values.EQUIVALENT_HERE: _other_generator,
    values.WORSE_NEGLIGIBLE: _other_generator,
    values.WORSE_HERE_NEGLIGIBLE: _other_generator,
    values.WORSE_NEGLIGIBLE_HERE: _other_generator,
    values.INCONCLUSIVE: _more,
    values.UNDERPOWERED: _enough_seeds,
}
