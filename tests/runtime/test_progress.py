"""What is said of progress: nothing looks finished before it is, and the time left does not jump."""

import math

import pytest

from gangda.runtime.progress import TimeLeft, share_text, size_text, sparkline


@pytest.mark.parametrize(
    ("done", "total", "shown"),
    [(0.7, 1, "0 of 1 (70%)"), (0.999, 1, "0 of 1 (99%)"), (1, 1, "1 of 1 (100%)"), (2.2, 10, "2 of 10 (22%)"),
     (999.9, 1000, "999 of 1,000 (99%)"), (3 * 0.1 * 10, 3, "3 of 3 (100%)")],
)  # fmt: skip
def test_shares_are_rounded_down(done, total, shown):
    assert share_text(done, total) == shown


def test_halves_of_two_units_at_once_are_none_finished():
    assert share_text(1.4, 6, 0) == "0 of 6 (23%)"


def test_time_left_of_a_steady_task_is_exact():
    now = [0.0]
    left = TimeLeft(lambda: now[0])
    assert left.update(100, 1000) is None
    for second in range(1, 50):
        now[0] = second
        found = left.update(100 + 10 * second, 1000)
    assert found == pytest.approx(90 - 49)
    assert left.update(1000, 1000) is None


def test_a_stall_or_a_jump_changes_the_time_left_little_by_little():
    """Ten cells at a time finish together every 100 s: the average of all that has run, smoothed, stays near."""
    now, seen = [0.0], []
    left = TimeLeft(lambda: now[0])
    for second in range(0, 700, 5):
        now[0] = float(second)
        found = left.update(0.01 * second + (0.8 * (second % 100) / 100 if second % 100 < 50 else 0.0), 10)
        if found is not None and second > 150:
            seen.append((found, 1000 - second))
    assert all(0.6 * true < found < 1.5 * true for found, true in seen)


def test_a_task_that_slows_down_is_not_nearly_done_for_long():
    """70% after 60 s, the rest in 600 s: at 95% it took 560 s, so that "1 s left" would be no guess at all."""
    now = [0.0]
    left = TimeLeft(lambda: now[0])
    for second in range(0, 561, 5):
        now[0] = float(second)
        found = left.update(0.7 * second / 60 if second <= 60 else 0.7 + 0.3 * (second - 60) / 600, 1)
    assert 0.7 * 560 * 0.05 / 0.95 <= found < 100


def test_a_task_that_begins_anew_knows_nothing_of_the_last_time():
    """The cells of an experiment's next variant, whose first step comes while little of them is done."""
    now = [0.0]
    left = TimeLeft(lambda: now[0])
    for second in range(0, 100, 5):
        now[0] = float(second)
        left.update(second / 10, 10)
    for second in range(100, 130, 5):
        now[0] = float(second)
        found = left.update(0.0 if second < 110 else (second - 105) / 10, 10)
        assert found is None or found == pytest.approx(100 - (second - 105))
    assert found is not None


def test_a_task_that_begins_anew_later_than_the_last_time_is_told_from_one_that_goes_on():
    """Workers tell now and then: the first thing heard of a variant may be more than that of the one before."""
    now = [0.0]
    left = TimeLeft(lambda: now[0])
    for second, done in ((0, 0.1), (1000, 4.0), (2000, 8.0), (2010, 0.2), (2015, 0.25), (2020, 0.3)):
        now[0] = float(second)
        found = left.update(done, 8)
    assert found == pytest.approx(770)  # of 7.7 cells, at 100 s each


def test_a_slow_first_step_is_soon_forgotten():
    now = [0.0]
    left = TimeLeft(lambda: now[0])
    left.update(0, 100)
    now[0] = 5.0
    left.update(0.001, 100)
    for second in range(10, 30, 5):
        now[0] = float(second)
        found = left.update(second - 5, 100)
        average = second / (second - 5)  # seconds for each hundredth so far
        assert 0.7 * average <= found / (105 - second) <= 1.5 * average + 1e-9


def test_time_left_of_a_budget_of_minutes_is_what_is_left_of_it():
    now = [0.0]
    left = TimeLeft(lambda: now[0])
    for second in (0, 5, 20):
        now[0] = float(second)
        found = left.update(second, 60)
    assert found == pytest.approx(40)


def test_sparkline_goes_from_the_lowest_to_the_highest():
    assert sparkline([0, 7]) == "▁█"
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([1, 1, 1]) == "▁▁▁"
    assert sparkline([1.0]) == sparkline([math.nan, 1.0]) == ""
    assert len(sparkline(list(range(1000)), width=10)) == 10


def test_sizes():
    assert size_text(3 * 2**20) == "3.0 MiB"
    assert size_text(1.5 * 2**30) == "1.5 GiB"
