"""What to do after an experiment: what its findings allow, with a command that is understood."""

import dataclasses
import math
import shlex
from pathlib import Path

import pytest

from gangda.cli.main import command
from gangda.comparing.advice import TooFewImages
from gangda.comparing.comparison import Advice
from gangda.comparing.sweeps.advice import Sweep, advise, without
from gangda.comparing.sweeps.findings import Findings, VariantRow
from gangda.statistics import values
from gangda.statistics.differences import HIGHER, LOWER, TOO_FEW, UNDECIDED
from gangda.statistics.values import Contrast, Difference

OWN = Advice("Keep traditional augmentation.", "gangda compare --arch flow --out other")


def row(name, mean, verdict="", tested="generated - real", **more):
    kept = VariantRow(name, f"00-{name}", (mean,) * 8, mean, 0.0, None, {"x": mean}, (), **more)
    if not verdict:
        return kept
    fields = {one.name: None for one in dataclasses.fields(Contrast)}
    contrast = Contrast(**{**fields, "name": tested, "mean": mean, "verdict": verdict, "primary": True})
    return dataclasses.replace(kept, contrasts=(contrast,), advice=OWN)


def advice(
    rows,
    verdicts=(),
    direction="higher",
    typed=("--experiment", "ratio", "--seeds", "8"),
    seeds=8,
    at_once=2,
    by_validation=None,
):
    differences = tuple(
        Difference(each.name, (0.1,) * 8, 0.1, 0.0, None, None, None, None, verdict)
        for each, verdict in zip(rows[1:], verdicts, strict=False)
    )
    found = Findings(
        "x", direction, True, 0.05, tuple(rows), differences, (), "", by_validation, seconds=80.0
    )
    given = advise(Sweep(found, Path("out"), typed, seeds=seeds, first_seed=0, at_once=at_once))
    for one in filter(None, given.command.split(" && ")):
        program, name, *words = shlex.split(one)
        assert program == "gangda"
        command(name).make_context(name, words).close()
    return given


def test_the_best_of_those_that_are_better_is_taken():
    found = advice([row("a", 0.5), row("b", 0.7), row("c", 0.6)], (HIGHER, HIGHER))
    assert found.text == "Take b: it is better than a. To train the generator of b:"
    assert found.command == "gangda train --config out/variants/00-b/config.yaml --out generator"


def test_better_is_nearer_to_the_floor_where_that_is_the_ideal():
    rows = [row(name, mean, floors={"x": 0.6}) for name, mean in (("a", 0.5), ("b", 0.9), ("c", 0.58))]
    assert advice(rows, (HIGHER, HIGHER), "target").text.startswith("Take c")
    assert advice(rows[:2], (HIGHER,), "target").text.startswith("Keep a")
    assert advice([row("a", 0.5), row("b", 0.4)], (LOWER,), "lower").text.startswith("Take b")


@pytest.mark.parametrize(
    ("verdict", "text"), [(HIGHER, "Take b: it is better than a."), (LOWER, "Keep a: no variant was shown")]
)
def test_what_test_images_show_to_be_worse_is_not_taken_for_its_validation_images(verdict, text):
    rows = [row("a", 0.5, validation=0.6), row("b", 0.5, validation=0.7)]
    assert advice(rows, (verdict,), by_validation=True).text.startswith(text)


def test_what_is_best_of_all_may_still_not_help():
    """A comparison of its own says what to do with the images of the better variant."""
    found = advice([row("a", 0.5, values.WORSE), row("b", 0.7, values.INCONCLUSIVE)], (HIGHER,))
    assert found == Advice(f"Take b: it is better than a. {OWN.text}", OWN.command)


def test_without_a_difference_the_reference_stays_and_more_seeds_are_new_ones():
    found = advice([row("a", 0.5), row("b", 0.6)], (UNDECIDED,))
    assert found.text.startswith(
        "Keep a: no variant was shown to be better. To see smaller differences, run 16 seeds"
    )
    assert "about 1 min 20 s here" in found.text
    assert found.command == "gangda compare --experiment ratio --seeds 16 --seed 8 --out out-16-seeds"
    kept = advice([row("a", 0.6), row("b", 0.5)], (LOWER,))
    assert kept.text.startswith("Keep a: no variant was shown to be better. To train")


@pytest.mark.parametrize(("at_once", "time"), [(1, "2 min 40 s"), (12, "20 s"), (16, "10 s"), (64, "10 s")])
def test_time_is_that_of_whole_rounds(at_once, time):
    """Of 16 seeds on twelve cores four wait for the others: each takes 10 s."""
    assert f"about {time} here" in advice([row("a", 0.5), row("b", 0.6)], (UNDECIDED,), at_once=at_once).text


def test_too_few_seeds_decide_nothing():
    found = advice([row("a", 0.5), row("b", 0.6)], (TOO_FEW,))
    assert found.text.startswith("Decide nothing by this")
    assert "--seeds 16" in found.command


def test_so_many_seeds_are_advised_as_many_variants_need():
    """Of 26 differences by Holm's procedure the smallest p must reach 0.0019: ten seeds give 0.00195."""
    rows = [row(f"v{number}", 0.5) for number in range(27)]
    assert "--seeds 11 " in advice(rows, (TOO_FEW,) * 26, seeds=3).command


def test_a_trial_run_asks_for_the_whole_experiment():
    found = advice([row("a", 0.5)], typed=("--experiment", "ratio", "--quick", "--out", "here"))
    assert found.command == "gangda compare --experiment ratio --out out-whole"


@pytest.mark.parametrize(
    ("verdicts", "text"),
    [
        ((values.BETTER, values.WORSE), "With a a gain was shown. With a: Keep traditional"),
        ((values.WORSE, values.INCONCLUSIVE), "Do not use these images: with no variant a gain was shown."),
        ((values.WORSE,), OWN.text),
        (
            (values.UNDERPOWERED,) * 2,
            "Decide nothing by this: so few seeds cannot show anything. Run 16 seeds",
        ),
        (("", ""), "Decide nothing between variants by this"),
    ],
)
def test_variants_that_are_not_tested_against_each_other(verdicts, text):
    found = advice([row(name, 0.5, verdict) for name, verdict in zip("ab", verdicts, strict=False)])
    assert found.text.startswith(text)
    assert found.command


MANY, FEWER = TooFewImages("Takes 9,000.", 9.0, True), TooFewImages("Takes 4,000.", 4.0, True)


@pytest.mark.parametrize(
    ("limits", "said", "command"),
    [
        ((MANY, FEWER), "Takes 4,000.", False),
        ((MANY, dataclasses.replace(FEWER, final=False)), "Takes 4,000. To see smaller differences", True),
        ((MANY, None), "To see smaller differences", True),
    ],
)
def test_seeds_are_not_advised_where_no_number_of_them_can_show_a_gain(limits, said, command):
    """A variant that is decided needs neither."""
    rows = [row("a", 0.5, values.WORSE)]
    rows += [row("b", 0.5, values.INCONCLUSIVE, too_few_images=limit) for limit in limits]
    found = advice(rows)
    assert found.text.startswith(f"Do not use these images: with no variant a gain was shown. {said}")
    assert bool(found.command) == command


def test_a_check_of_the_protocol_is_no_gain_of_generated_images():
    check = "generated - shuffled"
    rows = [row("a", 0.7, values.BETTER, check), row("b", 0.5, values.WORSE), row("c", 0.5, values.WORSE)]
    assert advice(rows).text.startswith("Do not use these images: with no variant a gain was shown.")
    every = advice([row("a", 0.7, values.BETTER, check), row("b", 0.5, values.BETTER, check)])
    assert every.text.startswith("Decide nothing between variants by this")


def test_nothing_is_advised_of_variants_without_a_value():
    assert advice([row("a", math.nan), row("b", math.nan)]).command == ""


def test_options_are_left_out_with_their_values():
    assert without(["--seeds", "8", "--arch", "flow", "--seed", "3"], "--seeds", "--seed") == [
        "--arch",
        "flow",
    ]
