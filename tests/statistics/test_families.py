"""Families of contrasts: what is tested, and Holm against an independent implementation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gangda.errors import UsageError
from gangda.statistics.families import Family, by_holm, family_of, first_level, in_sequence
from gangda.statistics.verdicts import judge_arms

FOUR = ("real", "traditional", "generated", "generated+traditional")
probabilities = st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=7)


def textbook_holm(values: list[float]) -> list[float]:
    """Adjusted p by the definition: max over smaller ones of (m - rank) p."""
    return [min(1.0, max(sum(q >= r for q in values) * r for r in values if r <= p)) for p in values]


@given(probabilities.filter(lambda values: len(set(values)) == len(values)))
def test_holm_is_the_textbooks(values):
    assert [a.adjusted for a in by_holm(values, 0.05)] == pytest.approx(textbook_holm(values))


def test_holm_by_hand():
    adjusted = by_holm([0.04, 0.01, 0.03], 0.05)
    assert [a.adjusted for a in adjusted] == pytest.approx([0.06, 0.03, 0.06])
    assert [a.level for a in adjusted] == pytest.approx([0.025, 0.05 / 3, 0.025])


@given(probabilities)
def test_a_level_decides_as_the_adjusted_p_does(values):
    for one in by_holm(values, 0.05):
        assert one.p is not None
        assert one.adjusted is not None
        if abs(one.p - one.level) > 1e-9:
            assert (one.p <= one.level) == (one.adjusted <= 0.05)


def test_a_sequence_stops_at_the_first_that_is_not_decided():
    adjusted = in_sequence([0.01, 0.2, 0.001], 0.05)
    assert [(a.p, a.adjusted) for a in adjusted] == [(0.01, 0.01), (0.2, 0.2), (None, None)]


def test_the_usual_family_and_one_asked_for():
    usual = ["generated+traditional - traditional", "generated - real", "generated - traditional"]
    assert list(family_of(FOUR).primary) == usual
    semi_supervised = ("traditional", "pseudo-labelled+traditional", "generated-unlabelled+traditional")
    assert list(family_of(semi_supervised).primary) == [" - ".join(semi_supervised[:0:-1])]
    ratios = ("traditional", "generated+traditional:25%", "generated+traditional@flow")
    assert list(family_of(ratios).primary) == [f"{arm} - traditional" for arm in ratios[1:]]
    assert list(family_of((*ratios, "generated+traditional")).primary) == [usual[0]]
    controls = ("pseudo-labelled+traditional:75%", "pseudo-labelled+traditional:50%")
    own = family_of((*controls, semi_supervised[-1])).primary
    assert list(own) == [f"{semi_supervised[-1]} - {control}" for control in controls]
    assert list(family_of((*FOUR, "smote")).exploratory)[-1] == "smote - real"
    asked = family_of((*FOUR, "smote"), ["generated - smote"], "holm")
    assert asked.primary == {"generated - smote": (("generated", 1), ("smote", -1))}
    assert first_level(family_of(FOUR, procedure="holm"), 0.06) == pytest.approx(0.02)


@pytest.mark.parametrize("text", ["generated - smote", "generated", "generated-real", " - real"])
def test_contrasts_of_other_arms_are_refused(text):
    with pytest.raises(UsageError, match="none of the arms"):
        family_of(FOUR, [text])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["real - real"], "does not differ from itself"),
        (["generated - real", "real - generated"], "the same difference"),
        (["generated - real", "generated - real"], "the same difference"),
    ],
)
def test_a_difference_is_tested_once_and_not_with_itself(asked, said):
    with pytest.raises(UsageError, match=said):
        family_of(FOUR, asked)


def test_holm_in_a_judged_experiment():
    rng = np.random.default_rng(1)
    gains = {"real": 0.70, "a": 0.75, "b": 0.7005, "c": 0.78}
    difficulty = (np.arange(800)[None] + 0.5) / 800
    correct = {arm: difficulty < level + rng.normal(0, 0.004, (10, 1)) for arm, level in gains.items()}
    family = Family({f"{arm} - real": ((arm, 1), ("real", -1)) for arm in "abc"}, {}, "holm")
    judged = {c.name: c for c in judge_arms(correct, alpha=0.05, margin=0.002, family=family).contrasts}
    assert [judged[f"{arm} - real"].verdict.startswith("better") for arm in "abc"] == [True, False, True]
    for contrast in judged.values():
        assert contrast.interval is not None
        assert contrast.adjusted_p is not None
        assert (contrast.interval[0] > 0) == (contrast.adjusted_p <= 0.05)
    few = {arm: right[:6] for arm, right in correct.items()}  # smallest p 0.031: never below 0.05 / 3
    short = judge_arms(few, alpha=0.05, margin=None, family=family).contrasts
    assert {c.verdict for c in short} == {"underpowered"}
    assert all("6 seeds can never pass 0.0167, whatever the data" in c.sentence for c in short)
