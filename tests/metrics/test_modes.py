"""Modes and KL against closed forms."""

import dataclasses
import math

import numpy as np
import pytest

from gangda.metrics.modes import modes, modes_and_kl


@pytest.mark.parametrize(
    ("found", "total", "expected"),
    [
        (np.arange(1000), 1000, (1000, 0.0)),
        (np.zeros(50, dtype=np.int64), 1000, (1, math.log(1000))),
        (np.arange(50) % 500, 500, (50, math.log(10))),
        (np.array([0, 0, 0, 1]), 2, (2, 0.75 * math.log(1.5) + 0.25 * math.log(0.5))),
    ],
)
def test_closed_forms(found, total, expected):
    count, kl = modes_and_kl(found, total)
    assert count == expected[0]
    assert kl == pytest.approx(expected[1], abs=1e-12)


def test_the_floor_at_25600_draws():
    # (modes - 1) / (2 n) to first order (Miller 1955).
    count, kl = modes_and_kl(np.random.default_rng(0).integers(0, 1000, 25_600), 1000)
    assert count == 1000
    assert kl == pytest.approx(999 / 51_200, abs=0.002)


def test_as_a_metric(make_inputs):
    labels = np.arange(80) % 8
    uniform, one = labels[:, None].astype(float), np.zeros((80, 1))
    plain = make_inputs(one, uniform, uniform, labels)
    assert modes(plain) == []
    extractors = {**plain.extractors, "modes": plain.extractors["pca"]}
    inputs = dataclasses.replace(plain, extractors=extractors, circular=True)
    found, kl = modes(inputs)
    assert (found.name, found.value, found.floor) == ("modes_of_8_80", 1, 8)
    assert kl.value == pytest.approx(math.log(8))
    assert 0 < kl.floor < 0.2
    assert "circular" in kl.note
