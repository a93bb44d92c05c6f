"""Gain over the number of real images: which experiments have the figure, and what stands in it."""

import pytest

from gangda.comparing.report.gain_figure import _gains, gain_figure, spread

DRAWS_FIGURES = True
BEST, WORST = "generated+traditional@flow - traditional", "generated+traditional@pca - traditional"
OTHER = "generated+trivial@flow - trivial"


def row(per_class, *contrasts):
    names = ("name", "mean", "interval", "verdict")
    return {"per_class": per_class, "contrasts": [dict(zip(names, one, strict=True)) for one in contrasts]}


ROWS = (
    row(500, (BEST, 0.0, (-0.002, 0.002), "equivalent"), (WORST, -0.02, (-0.03, -0.01), "worse")),
    row(
        20,
        (BEST, 0.015, (0.01, 0.02), "better on this test set"),
        (WORST, 0.001, None, "underpowered"),
        (OTHER, 0.003, (-0.001, 0.006), "inconclusive"),
    ),
)


def document(rows=ROWS, varied=("data.per_class",)):
    return {"varied": list(varied), "rows": list(rows)}


def test_every_difference_is_there_with_its_control_losses_and_nulls_too():
    figure = gain_figure(document())
    labels = ("generated+traditional@flow", "generated+traditional@pca", "generated+trivial@flow")
    for text in (*labels, "against traditional", "against trivial", ">20<", ">500<"):
        assert text in figure
    # Both panels have both numbers of images, though one line has 20 alone.
    assert [figure.count(text) for text in (">20<", ">500<")] == [2, 2]


def test_gains_are_in_points_from_few_images_to_many():
    panels = _gains(ROWS)
    assert {control: list(lines) for control, lines in panels.items()} == {
        "traditional": ["generated+traditional@flow", "generated+traditional@pca"],
        "trivial": ["generated+trivial@flow"],
    }
    few, many = panels["traditional"]["generated+traditional@flow"]
    assert (few.images, few.mean, few.decided, many.images, many.decided) == (20, 1.5, True, 500, False)
    assert few.interval == pytest.approx((1, 2))
    assert panels["traditional"]["generated+traditional@pca"][0].ends == pytest.approx((0.1, 0.1))


@pytest.mark.parametrize(
    "other",
    [
        document(varied=("data.per_class", "recipe.lr")),
        document(varied=("recipe.lr",)),
        document(rows=ROWS[:1]),
        document(rows=(row(20), row(500))),
        document(rows=(ROWS[0], row(None, (BEST, 0.0, None, "equivalent")))),
    ],
)
def test_without_several_numbers_of_images_there_is_none(other):
    assert gain_figure(other) is None


@pytest.mark.parametrize(
    ("heights", "places"),
    [([0, 0, 0], [-1, 0, 1]), ([0, 10], [0, 10]), ([0.5, 0], [0.75, -0.25]), ([3, 3, 9], [2.5, 3.5, 9])],
)
def test_labels_move_as_little_as_keeps_them_apart(heights, places):
    """By hand: those that touch are spread evenly about their mean."""
    assert spread(heights, 1) == pytest.approx(places)
