"""What there is to choose from, and which is the best."""

import pytest

from gangda.augmenting.selection import (
    Candidate,
    filter_choices,
    grid,
    recognised,
    score_of,
    select,
    words_of,
)
from gangda.classifying.evaluation import evaluate_predictions
from gangda.errors import FilterError, UsageError


def check_but(*refused):
    def check(name):
        if name in refused:
            raise UsageError(f"{name} cannot judge this")

    return check


def test_where_nothing_is_made_nothing_is_filtered_and_smaller_ratios_come_first():
    filters = ((), ("agreement",))
    assert grid((1.0, 0.0, 0.5), filters, bool) == [
        Candidate(0.0),
        Candidate(0.5),
        Candidate(0.5, ("agreement",)),
        Candidate(1.0),
        Candidate(1.0, ("agreement",)),
    ]
    both = [Candidate(0.0), Candidate(0.0, ("agreement",))]
    assert grid((0.0,), filters, lambda ratio: True) == both, "a class may have a ratio of its own"
    assert grid((None,), filters, lambda ratio: True) == [Candidate(None), Candidate(None, ("agreement",))]


def test_of_equal_scores_the_first_is_taken_and_what_has_none_never():
    right = {0.0: 2, 0.5: 3, 1.0: 3}  # of four

    def evaluate(candidate):
        if candidate.filters == ("agreement",):
            raise FilterError("too strict")
        correct = right[candidate.ratio]
        return evaluate_predictions([0, 0, 1, 1], [0, 0, 1, 1][:correct] + [2] * (4 - correct), 3)

    candidates = grid((0.0, 0.5, 1.0), ((), ("agreement",)), bool)
    best, trials = select(candidates, evaluate, "accuracy", ("auto",))
    assert best.candidate == Candidate(0.5)
    assert [trial.score for trial in trials] == [0.5, 0.75, None, 0.75, None]
    assert [trial.reason for trial in trials] == ["", "", "too strict", "", "too strict"]
    with pytest.raises(FilterError):
        select(candidates, evaluate, "accuracy", ("agreement",))


def test_without_validation_images_the_first_is_taken():
    best, trials = select([Candidate(0.5), Candidate(1.0)], lambda candidate: None, "accuracy", ())
    assert best is trials[0]
    assert (best.score, best.evaluation) == (None, None)


def test_what_an_evaluation_says():
    judged = evaluate_predictions([0, 0, 0, 1], [0, 0, 1, 1], 2)
    assert score_of(judged, "accuracy") == 0.75
    assert score_of(judged, "balanced") == pytest.approx((2 / 3 + 1) / 2)
    assert [words_of(name) for name in ("accuracy", "balanced")] == ["accuracy", "balanced accuracy"]
    assert recognised(judged) == ([2, 1], [3, 1])


def test_filters_to_choose_from():
    fine = check_but()
    assert filter_choices((), fine) == ((),)
    assert filter_choices(("duplicates", "agreement"), fine) == (("agreement", "duplicates"),)
    assert filter_choices(("auto",), fine) == ((), ("agreement",), ("discriminator",), ("duplicates",))
    assert filter_choices(("auto",), check_but("discriminator")) == ((), ("agreement",), ("duplicates",))
    assert filter_choices(("auto", "duplicates"), fine) == ((), ("duplicates",))
    with pytest.raises(UsageError, match="cannot judge"):
        filter_choices(("auto", "discriminator"), check_but("discriminator"))
