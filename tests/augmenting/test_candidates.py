"""What there is to choose from, and which is the best."""

import pytest

from gangda.augmenting.candidates import Candidate, best, filter_choices, grid, recognised, score_of, words_of
from gangda.classifying.evaluation import evaluate_predictions
from gangda.errors import UsageError


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


def test_of_equal_scores_the_first_is_best_and_what_could_not_be_judged_never():
    assert best([0.5, 0.9, 0.9, None]) == 1
    assert best([None, 0.0]) == 1
    assert best([None]) == 0


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
