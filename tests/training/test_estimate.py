"""The time that a dry run foretells."""

import dataclasses

import pytest
from training_setup import configured

from gangda import training
from gangda.config.architectures import PcaSpec
from gangda.config.methods import Budget
from gangda.config.schema import Runtime, TrainConfig
from gangda.errors import UsageError
from gangda.runtime.progress import Reporter
from gangda.runtime.runs import RunFolder
from gangda.training import estimate
from gangda.training.estimate import largest_within
from gangda.training.result import Estimate


@pytest.fixture
def slow(monkeypatch):
    """A clock on which everything takes half a second."""
    times = iter(n / 2 for n in range(10**6))
    monkeypatch.setattr(estimate.time, "perf_counter", lambda: next(times))


def test_a_budget_in_steps_takes_steps_times_a_step(slow, blobs, context):
    [found] = estimate.estimates(configured("cdcgan", {}, batch_size=8), blobs, context)
    assert (found.options, found.seconds_per_step, found.steps, found.seconds) == ({}, 0.5, 20, 10.0)


def test_a_budget_in_minutes_has_as_many_steps_as_fit(slow, blobs, context):
    config = dataclasses.replace(configured("cdcgan", {}, batch_size=8), budget=Budget(minutes=2))
    [found] = estimate.estimates(config, blobs, context)
    assert (found.steps, found.seconds) == (240, 120.0)


def test_lazy_penalties_count_by_their_share(blobs, context, monkeypatch):
    def timed(config, images, context):
        return 1.0 if config.method.r1 else 0.2, 7

    monkeypatch.setattr(estimate, "_timed", timed)
    for every, seconds in ((1, 1.0), (8, 0.3)):
        config = configured("cdcgan", {}, batch_size=8, r1_every=every)
        [found] = estimate.estimates(config, blobs, context)
        assert found.seconds_per_step == pytest.approx(seconds)


def test_a_training_begins_with_the_time_that_is_left(slow, blobs, tmp_path):
    heard = []

    class Listening(Reporter):
        def line(self, text):
            heard.append(text)

    config = dataclasses.replace(configured("cdcgan", {}, batch_size=8), budget=Budget(steps=600))
    RunFolder(tmp_path).write_state(finished=False, steps=480, seconds=1.0)
    for chosen in (config, dataclasses.replace(config, budget=Budget(steps=500)), config):
        training._say_how_long(chosen, blobs, tmp_path, Listening())
    assert heard == ["120 steps, about 1 min 0 s on this machine"] * 2  # so few as 20 are not worth a line


def test_a_flow_names_what_other_widths_would_take(slow, blobs, context):
    config = configured("flow", {"width": 48}, batch_size=8)
    found = list(estimate.estimates(config, blobs, context))
    assert [row.options for row in found] == [{}, {"width": 32}, {"width": 64}]
    assert found[1].parameters < found[0].parameters < found[2].parameters


def test_a_closed_form_has_no_steps_to_time(blobs, context):
    config = TrainConfig(arch="pca", spec=PcaSpec(), runtime=Runtime(device="cpu"))
    assert list(estimate.estimates(config, blobs, context)) == []


def test_a_size_that_does_not_fit_makes_room_for_the_next(blobs, context, monkeypatch):
    config = dataclasses.replace(configured("flow", {"dropout": 0.0}), budget=Budget(minutes=1))
    sizes = config.spec.other_sizes()

    def complaint(chosen, images, context):
        return "" if chosen.spec.width < least else "too large"

    def timed(chosen, size, images, context):
        return Estimate(size, 0, 0.0, 10**6, 0.0)

    monkeypatch.setattr("gangda.training.estimate.memory_complaint", complaint)
    monkeypatch.setattr("gangda.training.memory.memory_complaint", complaint)
    monkeypatch.setattr("gangda.training.estimate.estimated", timed)
    least = 60
    assert largest_within(config, blobs, context, sizes) == ({"width": 48}, 10**6)
    assert largest_within(config, blobs, context, ()) == ({}, 10**6)
    least = 0
    with pytest.raises(UsageError, match="too large"):
        largest_within(config, blobs, context, sizes)
