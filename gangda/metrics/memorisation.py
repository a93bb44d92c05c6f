"""Are samples copies of training images? An alarm, no proof: shrunken modes look the same."""

from dataclasses import dataclass

import numpy as np

from gangda.data.images import FloatArray, IntArray
from gangda.metrics.inputs import MetricInputs
from gangda.metrics.neighbours import Shortlist, nearest, reach
from gangda.metrics.result import MetricResult, wilson

TAIL = 0.01  # share of held-out images that count as "suspiciously near" to a training image
ALARM = 0.025  # such samples, at the lower end of the interval; the tail's own edge is uncertain
LEAST = 100  # images below which the tail is not defined


def memorisation(inputs: MetricInputs) -> list[MetricResult]:
    """Distances of samples to their nearest training images (unlabelled ones too), against those of held-out images.

    `ratio`: mean distance of samples over that of held-out images, 1 for new images, 0 for copies. `near`:
    share of samples nearer than all but 1% of the held-out images. Both in pixels and in label-free features
    that were not fitted on the training images, minimised over small shifts. `auth`: share of samples further
    from their nearest training image than that image is from its own nearest (AuthPct), without shifts.

    Source: Alaa 2022, section 3 (authenticity); Stein 2023 on what such alarms are worth; `near` is ours.
    """
    fake, real = inputs.nearest_of_samples, inputs.nearest_of_heldout
    return [
        _auth(inputs, fake, real),
        *_distances(inputs, "pixels", fake.pixels, real.pixels),
        *_distances(inputs, "randconv", fake.features, real.features),
    ]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Samples nearest to training images: positions int64 (P,), distances float64 (P,) in grey levels."""

    samples: IntArray
    train: IntArray
    distances: FloatArray


def closest_pairs(inputs: MetricInputs, count: int) -> Pairs:
    """The `count` samples (positions in `inputs.fake`) that are nearest to a training image, by pixels."""
    found = inputs.nearest_of_samples
    order = np.argsort(found.pixels, kind="stable")[:count]
    return Pairs(found.rows[order], found.nearest_pixels[order], found.pixels[order])


def _auth(inputs: MetricInputs, fake: Shortlist, real: Shortlist) -> MetricResult:
    value = _authentic(inputs, fake)
    note = "share of samples further from their nearest training image than that one is from its own"
    floor = float(inputs.of_real("authentic", "randconv", lambda: _authentic(inputs, real)))
    more = {"interval": wilson(value, len(fake.rows)), "floor": floor, "note": note}
    return inputs.result(
        "memorisation_auth_randconv", "randconv", value, "target", (len(real.rows), len(fake.rows)), **more
    )


def _authentic(inputs: MetricInputs, found: Shortlist) -> float:
    train = inputs.seen.features("randconv")
    if len(train) < 2:
        return float("nan")
    targets, where = np.unique(found.nearest_features, return_inverse=True)
    distances, rows = nearest(train[targets], train, 2)
    # The nearest of a training image is itself, or a copy of it: the first that is another position.
    own = np.where(rows[:, 0] == targets, distances[:, 1], distances[:, 0])
    return float((found.unshifted > own[where]).mean())


def _distances(
    inputs: MetricInputs, kind: str, ours: FloatArray, theirs: FloatArray
) -> tuple[MetricResult, MetricResult]:
    """`ratio` and `near` of the distances of samples and of held-out images to their nearest training images."""
    mean, n = float(theirs.mean()), (len(theirs), len(ours))
    shifted = f"shifts up to {reach(inputs.seen.images.pixels.shape[1])} px; the floor is held-out images"
    value = float(ours.mean()) / mean if mean > 0 else float("nan")
    ratio = inputs.result(f"memorisation_ratio_{kind}", kind, value, "target", n, floor=1.0, note=shifted)
    edge = float(np.quantile(theirs, TAIL))
    value = float((ours <= edge).mean())
    interval = wilson(value, len(ours))
    note = "" if min(n) >= LEAST else f"n below {LEAST}: the tail is not defined"
    if not note and interval is not None and interval[0] > ALARM:
        note = "ALARM many samples nearly on training images: copies, or shrunken modes"
    more = {"interval": interval, "floor": float((theirs <= edge).mean()), "note": note}
    near = inputs.result(f"memorisation_near_{kind}", kind, value, "lower", n, **more)
    return ratio, near
