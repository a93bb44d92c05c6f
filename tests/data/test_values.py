import re

import numpy as np
import pytest

from gangda.data.values import judge, part_values
from gangda.errors import DataError

RNG = np.random.default_rng(0)
UNIT = RNG.random((40, 8, 8), dtype=np.float32)
BYTE = RNG.integers(0, 256, (40, 8, 8), dtype=np.uint8)


def judged(*parts, given=None):
    names = ("training images", "test images")
    return judge([part_values(*one) for one in zip(names, parts, strict=False)], "here", given)


def odd(values, pixel):
    """The same with one odd pixel."""
    changed = values.copy()
    changed[3, 2, 2] = pixel
    return changed


@pytest.mark.parametrize(
    ("values", "span"),
    [
        (UNIT, (0, 1)),
        (odd(UNIT, 1.02), (0, 1)),
        (odd(UNIT, -0.02), (0, 1)),
        (odd(UNIT, 255), (0, 1)),
        (2 * UNIT - 1, (-1, 1)),
        (odd(2 * UNIT - 1, 3), (-1, 1)),
        (UNIT - 0.5, (-0.5, 0.5)),
        (odd(UNIT - 0.5, 0.9), (-0.5, 0.5)),
        (255 * UNIT, (0, 255)),
        (odd(255 * UNIT, -1), (0, 255)),
        (BYTE, (0, 255)),
        (BYTE.astype(np.uint16), (0, 255)),
        (odd(BYTE.astype(np.uint16), 65535), (0, 255)),
        (BYTE.astype(np.int32), (0, 255)),
        (BYTE.astype(np.uint16) * 257, (0, 65535)),
        (BYTE // 200, (0, 1)),
        (BYTE > 9, (0, 1)),
        (16 * UNIT, (0, float((16 * UNIT).max()))),
        (BYTE // 15, (0, 17)),
        (BYTE.astype(np.uint16) * 4, (0, 1020)),
        (np.zeros((3, 8, 8)), (0, 255)),
        (BYTE.astype(np.int16) - 128, (-128, 127)),
    ],
)
def test_the_range_is_that_of_most_images(values, span):
    found = judged(values)
    assert (found.low, found.high) == span
    pixels = found.to_bytes(values)
    assert pixels.dtype == np.uint8
    expected = (values.astype(float) - span[0]) / (span[1] - span[0]) * 255
    np.testing.assert_allclose(pixels, expected.clip(0, 255), atol=0.51)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (UNIT, 255 * UNIT),
        (UNIT, BYTE),
        (UNIT, 2 * UNIT - 1),
        (UNIT - 0.5, 2 * UNIT - 1),
        (BYTE // 15, BYTE),
        (BYTE // 200, BYTE),
    ],
)
def test_parts_of_different_ranges_are_refused(first, second, order):
    with pytest.raises(DataError, match=r"here: .*have values .* but .*have values .*--value-range LOW,HIGH"):
        judged(*(first, second)[::order])


def test_a_darker_part_is_no_other_range():
    assert judged(BYTE, BYTE // 5).high == 255
    assert judged(BYTE.astype(np.uint16) * 16, BYTE.astype(np.uint16) * 9).high == 255 * 16


def test_the_note_says_what_was_found_and_clipped():
    assert judged(BYTE).note == "values 0 to 255: as they are"
    assert judged(BYTE.astype(np.uint16) * 4).note == "values 0 to 1,020: scaled to 0-255"
    clipped = judged(odd(UNIT, 7)).note
    assert clipped.startswith("values 0 to 1: scaled to 0-255 (1 images go beyond, ")
    assert clipped.endswith(" to 7: clipped)")


def test_a_given_range_is_taken_as_it_is():
    found = judged(UNIT, 255 * UNIT, given=(0, 255))
    assert found.to_bytes(UNIT).max() == 1


def test_many_images_far_beyond_the_range_are_an_alarm():
    assert judged(BYTE, given=(0, 100)).alarm.startswith(
        "ALARM: 40 of 40 images go far beyond values 0 to 100, more than a few odd pixels: look at them"
    )
    overshooting = np.where(UNIT > 0.9, UNIT + 0.09, UNIT)
    assert "images go beyond" in judged(overshooting).note
    for found in (judged(overshooting), judged(odd(UNIT, 7)), judged(BYTE)):
        assert found.alarm == ""


def test_a_range_of_which_most_images_span_little_is_an_alarm():
    heights = 200 + 100 * UNIT
    heights[:10, 0, 0] = -9999
    alarm = judged(heights).alarm
    assert re.match(
        r"ALARM: half of the images span 1.0% or less of values -9,999 to .*--value-range LOW,HIGH", alarm
    )
    assert judged(heights, given=(200, 300)).note.startswith(
        "values 200 to 300: scaled to 0-255 (10 images go"
    )
