"""What to do after an experiment: what its findings allow, and the command to type."""

import functools
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gangda.comparing.advice import USUAL_SEEDS, decides_nothing
from gangda.comparing.comparison import Advice
from gangda.comparing.sweeps.findings import Findings, VariantRow, badness
from gangda.runtime.progress import counted, duration
from gangda.statistics import values, words
from gangda.statistics.differences import HIGHER, LOWER, TOO_FEW
from gangda.statistics.signflip import fewest_for

TRIAL = "This was a trial run, and its numbers mean nothing. The experiment itself:"
HELPED = "With {names} a gain was shown. With {best}: {text}"
NO_GAIN = "Do not use these images: with no variant a gain was shown."
TAKE = "Take {best}: it is better than {reference}."
KEEP = "Keep {reference}: no variant was shown to be better."
UNTESTED = "Decide nothing between variants by this: no difference was tested."
OF_BEST = "To train the generator of {best}:"
MORE = "To see smaller differences, run {seeds} that are new, about {time} here:"
# Verdicts on a variant that may be better, by the figure's direction: a value is nearer to a floor from either side.
BETTER: Mapping[str, tuple[str, ...]] = {"higher": (HIGHER,), "lower": (LOWER,), "target": (HIGHER, LOWER)}


@dataclass(frozen=True)
class Sweep:
    """A finished experiment: what it found, where, and the words that were typed after `gangda compare`."""

    findings: Findings
    out: Path
    typed: Sequence[str]
    seeds: int
    first_seed: int
    at_once: int  # cells at a time on this machine

    def again(self, text: str, seeds: int, *more: str) -> Advice:
        """The experiment once more, with so many seeds; `text` may name them and their time."""
        named = counted(seeds, "seed")
        # Of each variant in turn as many rounds of cells as the machine needs.
        rounds = math.ceil(seeds / self.at_once)
        time = duration(self.findings.seconds / self.seeds * rounds)
        options = ["--seeds", str(seeds), *more, "--out", f"{self.out}-{seeds}-seeds"]
        command = ["gangda", "compare", *without(self.typed, "--seeds", "--seed"), *options]
        return Advice(text.format(seeds=named, time=time), shlex.join(command))

    def more_seeds(self, text: str) -> Advice:
        """Twice as many, new ones."""
        return self.again(f"{text} {MORE}", 2 * self.seeds, "--seed", str(self.first_seed + self.seeds))

    def made_with(self, text: str, row: VariantRow) -> Advice:
        """What the variant's own comparison advises; without one, to train its generator."""
        if row.advice is not None:
            return Advice(f"{text} {row.advice.text}", row.advice.command)
        config = str(self.out / "variants" / row.folder / "config.yaml")
        command = shlex.join(["gangda", "train", "--config", config, "--out", "generator"])
        return Advice(f"{text} {OF_BEST.format(best=row.name)}", command)


def advise(swept: Sweep) -> Advice:
    """The advice: of a trial run, of variants by themselves, or of variants against the first."""
    if "--quick" in swept.typed:
        rest = [word for word in without(swept.typed, "--out") if word != "--quick"]
        return Advice(TRIAL, shlex.join(["gangda", "compare", *rest, "--out", f"{swept.out}-whole"]))
    found = swept.findings
    verdicts = {difference.verdict for difference in found.differences}
    if not verdicts:
        return _of_each(swept)
    if verdicts == {TOO_FEW}:
        return _enough_seeds(swept, len(found.differences))
    reference, rows = found.rows[0], {row.name: row for row in found.rows}
    decided = [one for one in found.differences if one.verdict in (HIGHER, LOWER)]
    rank = functools.partial(badness, found)
    # The means of validation images may speak against what test images have shown.
    shown = [rows[one.name] for one in decided if one.verdict in BETTER[found.direction]]
    if better := [row for row in shown if rank(row) < rank(reference)]:
        best = min(better, key=rank)
        return swept.made_with(TAKE.format(best=best.name, reference=reference.name), best)
    keep = KEEP.format(reference=reference.name)
    return swept.made_with(keep, reference) if decided else swept.more_seeds(keep)


def _enough_seeds(swept: Sweep, tested: int) -> Advice:
    """Where so few seeds can decide nothing: as many as a family of `tested` differences needs."""
    text = f"{words.ADVICE[(values.UNDERPOWERED,)]} {words.ENOUGH_SEEDS}"
    least = fewest_for(swept.findings.alpha / tested)
    return swept.again(text, max(USUAL_SEEDS, 2 * swept.seeds, least))


def _of_each(swept: Sweep) -> Advice:
    """Where variants are not tested against each other: by the verdict of each."""
    rank = functools.partial(badness, swept.findings)
    judged = [(row, row.advice) for row in swept.findings.rows if row.contrasts and row.advice is not None]
    if len(judged) == 1:
        return judged[0][1]
    advised = [(row, advice) for row, advice in judged if not decides_nothing(row.contrasts[0])]
    if not advised:
        known = [row for row in swept.findings.rows if math.isfinite(rank(row))]
        return swept.made_with(UNTESTED, min(known, key=rank)) if known else Advice(UNTESTED, "")
    if all(row.contrasts[0].verdict == values.UNDERPOWERED for row, _ in advised):
        return _enough_seeds(swept, max(len(row.contrasts) for row, _ in advised))
    helped = [one for one in advised if one[0].contrasts[0].verdict.startswith(values.BETTER)]
    if not helped:
        return _no_gain(swept, [row for row, _ in advised])
    best, advice = max(helped, key=lambda one: one[0].contrasts[0].mean)
    names = " and ".join(row.name for row, _ in helped)
    return Advice(HELPED.format(names=names, best=best.name, text=advice.text), advice.command)


def _no_gain(swept: Sweep, rows: Sequence[VariantRow]) -> Advice:
    """More test images, where every variant that is not decided has too few for any number of seeds; else seeds."""
    unknown = (values.INCONCLUSIVE, values.UNDERPOWERED, values.NOT_TESTED)
    limits = [row.too_few_images for row in rows if row.contrasts[0].verdict in unknown]
    known = [limit for limit in limits if limit is not None]
    if not known or len(known) < len(limits):
        return swept.more_seeds(NO_GAIN)
    text = f"{NO_GAIN} {min(known, key=lambda limit: limit.needed).text}"
    return Advice(text, "") if all(limit.final for limit in known) else swept.more_seeds(text)


def without(typed: Sequence[str], *flags: str) -> list[str]:
    """The words without these options and their values."""
    kept, skip = [], False
    for word in typed:
        if not skip and word not in flags:
            kept.append(word)
        skip = not skip and word in flags
    return kept
