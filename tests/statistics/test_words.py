"""The sentence for a reader without statistics."""

import dataclasses

import pytest

from gangda.statistics import values
from gangda.statistics.values import Contrast
from gangda.statistics.words import EXACT, PLAIN, plain_sentence

CONTRAST = Contrast(
    name="generated - real",
    deltas=(0.006,) * 10,
    mean=0.006,
    sd=0.001,
    p=0.01,
    adjusted_p=0.01,
    interval=(0.005, 0.007),
    detectable=0.012,
    verdict=values.BETTER,
    primary=True,
    margin=0.005,
    equivalence_p=0.5,
    crossed_p=0.01,
    crossed_equivalence_p=0.5,
    crossed_interval=(0.002, 0.01),
    mcnemar_p=(),
)


def said(score="accuracy", **changes) -> str:
    return plain_sentence(dataclasses.replace(CONTRAST, **changes), score, 6)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "Adding generated images made the classifier better by 0.6 points of accuracy, "
         "very likely between 0.2 and 1.0."),
        (
            {"verdict": values.WORSE, "mean": -0.006, "crossed_interval": (-0.01, -0.0004)},
            "Adding generated images made the classifier worse by 0.6 points of accuracy, very likely "
            "between 0.04 and 1.0.",
        ),
        (
            {"verdict": values.EQUIVALENT, "margin": 0.0009},
            "Adding generated images made no difference that matters: less than 0.09 points of accuracy either way.",
        ),
        (
            {"verdict": values.INCONCLUSIVE},
            "No verdict: 10 seeds could not tell whether adding generated images helps or harms; a difference of 1.2 "
            "points of accuracy would probably have been found.",
        ),
        (
            {"verdict": values.UNDERPOWERED, "deltas": (0.1,)},
            "No verdict: 1 seed can show nothing about adding generated images, whatever comes out; it takes 6 seeds.",
        ),
        (
            {"name": "generated@ppca - smote", "verdict": values.BETTER_HERE},
            "On these test images training with generated@ppca instead of smote made the classifier better by 0.6 "
            "points of accuracy, but that was not shown for other test images.",
        ),
    ],
)  # fmt: skip
def test_it_is_said_in_plain_words(changes, sentence):
    assert said(**changes) == sentence


def test_another_score_is_named():
    assert "better by 0.6 points of balanced accuracy" in said("balanced accuracy")


@pytest.mark.parametrize("mean", [0.001, -0.001])
def test_every_verdict_has_one_sentence_of_each_kind(mean):
    words = [word for name, word in vars(values).items() if name.isupper()]
    for sentences, missing in ((PLAIN, {values.EXPLORATORY}), (EXACT, set())):
        assert sorted(word for group in sentences for word in group) == sorted(set(words) - missing)
    for word in set(words) - {values.EXPLORATORY}:
        sentence = said(verdict=word, mean=mean)
        assert sentence.endswith(".")
        assert "{" not in sentence
        assert not {"p ", "interval", "TOST", "significant"} & set(sentence.split())
