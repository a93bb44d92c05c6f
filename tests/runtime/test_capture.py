"""Recorded steps: the same numbers as ordinary ones, and a refusal where a step cannot be recorded."""

import pytest
import torch
from tape import tape

from gangda.errors import UsageError
from gangda.runtime.capture import WARM_UP, Capture, set_learning_rate


def descend(weight, rate):
    def step(x):
        loss = (weight * x).square().sum()
        weight.grad = None
        loss.backward()
        with torch.no_grad():
            weight.sub_(rate * weight.grad)
        return {"loss": loss.detach(), "size": weight.detach().sum()}

    return step


def run(record, rates, kinds):
    weight, rate = torch.ones(3, requires_grad=True), torch.tensor(0.0)
    capture, losses = Capture(record, [weight]), []
    for number, (value, kind) in enumerate(zip(rates, kinds, strict=True)):
        rate.fill_(value)
        x = torch.arange(3.0) + number
        losses.append(capture(kind, descend(weight, rate), [x]))
        gradient = weight.grad.clone()
    return losses, weight.detach(), gradient, capture


def test_recorded_steps_give_the_numbers_of_ordinary_ones():
    rates = [0.01 / (1 + n) for n in range(14)]
    kinds = ["plain" if n % 3 else "lazy" for n in range(14)]
    losses, weight, gradient, capture = run(tape, rates, kinds)
    assert set(capture.recorded) == {"plain", "lazy"}
    expected, expected_weight, expected_gradient, _ = run(None, rates, kinds)
    assert [{k: float(v) for k, v in loss.items()} for loss in losses] == [
        {k: float(v) for k, v in loss.items()} for loss in expected
    ]
    assert torch.equal(weight, expected_weight)
    assert torch.equal(gradient, expected_gradient)


def test_a_kind_is_recorded_after_the_ordinary_runs_that_warm_up():
    capture, seen = Capture(tape), []

    def step(x):
        seen.append(float(x.detach().clone().sum()) if len(seen) < WARM_UP else 0.0)
        return {"loss": x.sum()}

    for number in range(WARM_UP + 4):
        assert float(capture("a", step, [torch.tensor([float(number)])])["loss"]) == number
    assert len(seen) == WARM_UP + 1


def test_an_input_may_be_left_out():
    capture = Capture(tape)
    for number in range(WARM_UP + 3):
        losses = capture(
            "a", lambda x, y: {"loss": x.sum() if y is None else y}, [torch.full((2,), number), None]
        )
        assert float(losses["loss"]) == 2 * number
    assert capture.recorded


def test_a_step_that_reads_values_is_refused_with_the_way_out():
    capture = Capture(tape)

    def step(x):
        return {"loss": x * float(x)}

    for _ in range(WARM_UP):
        capture("a", step, [torch.ones(())])
    with pytest.raises(UsageError, match=r"cannot be recorded as a CUDA graph .*--no-capture"):
        capture("a", step, [torch.ones(())])


def test_learning_rates_that_recorded_steps_read_are_filled_in_place():
    group = {"lr": torch.tensor(0.5)}
    before = group["lr"]
    set_learning_rate(group, 0.25)
    assert group["lr"] is before
    assert float(before) == 0.25
    group = {"lr": 0.5}
    set_learning_rate(group, 0.25)
    assert group["lr"] == 0.25
