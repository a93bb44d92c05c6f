"""Which values the pixels of a source have, and how they become 0 to 255: one range, judged over all its parts.

A part is judged by its images: by all but the 5% with the lowest minimum and the 5% with the highest maximum, so that
a few odd pixels do not decide. Known ranges: 0 to 255; 0 to 1; -1 to 1, -0.5 to 0.5 (floats); 0 to 65535 (whole
numbers, 32768 up). Any other is scaled from the values found, single images far beyond the rest left out; 0 stays black
unless all values are above a quarter of the highest. Whole numbers up to 63 of 255 are such a range too: fewer bits, or
labels. Floats may overshoot a known range by a tenth. What lies beyond the range is clipped, and counted. Parts whose
ranges differ are refused, unless both are ranges from 0 that differ by less than a factor of eight.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gangda.data.images import UInt8Array
from gangda.errors import DataError

Array = npt.NDArray[Any]
Span = tuple[float, float]

BYTES, UNIT, SIGNED, SHORTS = (0.0, 255.0), (0.0, 1.0), (-1.0, 1.0), (0.0, 65535.0)
CENTRED = (-0.5, 0.5)
# Ranges that are known whatever other images there are.
FULL = frozenset({BYTES, UNIT, SIGNED, SHORTS, CENTRED})
ODD = 0.05  # share of images at either end that do not decide
OVERSHOOT = 0.1  # of a known range, by resampling in floats
FAR = 1.5  # times the usual range: beyond it an image does not widen the range found
FEW_BITS = 63  # highest whole number that is not taken as one of 255
APART = 8  # times the highest value of another part: not one range
NARROW = 0.05  # share of a range, below which half of the images span too little of it
CONSTANT = 4  # grey levels out of 255: an image whose values differ by less is nearly constant


@dataclass(frozen=True, eq=False)
class PartValues:
    """The lowest and the highest value of each image of a part."""

    name: str  # as in "train images"
    whole: bool  # whole numbers, or booleans
    lows: npt.NDArray[np.float64]  # (N,)
    highs: npt.NDArray[np.float64]  # (N,)


@dataclass(frozen=True)
class ValueRange:
    """The values that become 0 and 255."""

    low: float
    high: float
    note: str  # what was found and done, in words
    alarm: str = ""  # where more than a few images go beyond

    @property
    def span(self) -> Span:
        """The two values."""
        return self.low, self.high

    @property
    def words(self) -> str:
        """The two values, as in "0 to 4,095"."""
        return _words(self.span)

    def to_bytes(self, values: Array) -> UInt8Array:
        """Values of any shape and type, scaled to 0-255, rounded and clipped: uint8, C-contiguous."""
        if values.dtype.kind in "ui" and self.span == BYTES:
            return np.ascontiguousarray(values.clip(0, 255), dtype=np.uint8)
        scale = np.float32(255 / (self.high - self.low))
        scaled = values.astype(np.float32) * scale - np.float32(self.low) * scale
        return np.ascontiguousarray(np.rint(scaled).clip(0, 255), dtype=np.uint8)


def part_values(name: str, values: Array) -> PartValues:
    """The extremes of each image, of values (N, ...)."""
    flat = values.reshape(len(values), -1)
    lows, highs = (flat.min(axis=1), flat.max(axis=1)) if flat.size else (np.zeros(0), np.zeros(0))
    return PartValues(name, values.dtype.kind in "bui", lows.astype(np.float64), highs.astype(np.float64))


def judge(parts: Sequence[PartValues], where: str, given: Span | None = None) -> ValueRange:
    """The range of all parts, or the one `given`; a DataError about `where`, with both ranges, where parts disagree."""
    spans = {part.name: span for part in parts if len(part.lows) and (span := _span(part)) is not None}
    if given is None and len(set(spans.values())) > 1:
        names = sorted(spans, key=lambda name: spans[name][1])
        first, last = names[0], names[-1]
        if {UNIT, SIGNED, CENTRED} & set(spans.values()) or spans[last][1] > APART * spans[first][1]:
            found = " but ".join(f"{name} have values {_words(spans[name])}" for name in (first, last))
            cure = "scale them alike: with --value-range LOW,HIGH, one range for all, some would be ruined"
            raise DataError(f"{where}: {found}; {cure}")
        given = min(low for low, _ in spans.values()), max(high for _, high in spans.values())
    low, high = given or next(iter(spans.values()), BYTES)
    return ValueRange(low, high, *_words_about(parts, (low, high)))


def _words_about(parts: Sequence[PartValues], span: Span) -> tuple[str, str]:
    """Note and alarm of a range."""
    lows, highs = (np.concatenate([getattr(part, name) for part in parts]) for name in ("lows", "highs"))
    slack = OVERSHOOT * (span[1] - span[0])
    beyond, far = ((lows < span[0] - more) | (highs > span[1] + more) for more in (0, slack))
    clipped = alarm = ""
    if beyond.any():
        found = _words((float(lows.min()), float(highs.max())))
        clipped = f" ({int(beyond.sum()):,} images go beyond, {found}: clipped)"
        if far.mean() > ODD:
            what = f"{int(far.sum()):,} of {len(far):,} images go far beyond values {_words(span)}"
            cure = "look at them, and give the range of all (--value-range LOW,HIGH)"
            alarm = f"ALARM: {what}, more than a few odd pixels: {cure}"
    used = float(np.median(highs - lows)) / (span[1] - span[0]) if len(lows) else 1
    if not alarm and span not in FULL and used < NARROW:
        what = (
            f"half of the images span {used:.1%} or less of values {_words(span)}, and become nearly constant"
        )
        alarm = (
            f"ALARM: {what}: some values may mark missing ones; --value-range LOW,HIGH gives that of the rest"
        )
    done = "as they are" if span == BYTES else "scaled to 0-255"
    return f"values {_words(span)}: {done}{clipped}", alarm


def _words(span: Span) -> str:
    return " to ".join(f"{value:,.6g}" for value in span)


def _span(part: PartValues) -> Span | None:
    """The range of one part; None where all images are black."""
    low = float(np.quantile(part.lows, ODD, method="lower"))
    high = float(np.quantile(part.highs, 1 - ODD, method="higher"))
    if low == high == 0:
        return None
    if part.whole and low >= 0:
        if high <= 1:
            return UNIT
        if FEW_BITS < high <= BYTES[1]:
            return BYTES
        if SHORTS[1] / 2 < high <= SHORTS[1]:
            return SHORTS
    elif not part.whole:
        for known, least in ((UNIT, FEW_BITS / 255), (BYTES, FEW_BITS)):
            if low >= -OVERSHOOT * known[1] and least < high <= (1 + OVERSHOOT) * known[1]:
                return known
        if -low > OVERSHOOT and CENTRED[1] / 2 < max(-low, high) <= (1 + OVERSHOOT) * CENTRED[1]:
            return CENTRED
        if min(low, -high) >= -1 - OVERSHOOT and max(-low, high) > FEW_BITS / 255:
            return SIGNED
    reach = FAR * (high - low)
    inside_low = part.lows[part.lows >= high - reach]
    inside_high = part.highs[part.highs <= low + reach]
    lowest, highest = float(inside_low.min(initial=low)), float(inside_high.max(initial=high))
    lowest = 0.0 if 0 <= lowest <= highest / 4 else lowest
    return (lowest, highest) if lowest < highest else (min(0.0, lowest), max(0.0, highest))
