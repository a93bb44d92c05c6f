import numpy as np
import pytest

from gangda.metrics.gan_test import gan_test, heldout_accuracy

LABELS = np.repeat(np.arange(4), 100)


def logits(labels, right):
    """Answers that are right for the first `right` images of every class, and the next class for the others."""
    wrong = np.arange(len(labels)) % 100 >= right
    return np.eye(4)[(labels + wrong) % 4]


def inputs_for(make_inputs, fake, real, **more):
    features = np.zeros((400, 2))
    return make_inputs(
        features, features, features, LABELS, (logits(LABELS, fake), logits(LABELS, real)), **more
    )


@pytest.mark.parametrize(
    ("fake", "real", "note"),
    [
        (92, 92, "0.0 points"),
        (95, 92, "3.0 points above"),  # within the error of 400 images
        (99, 80, "ALARM 19.0 points above"),
        (60, 90, "ALARM 30.0 points below"),
    ],
)
def test_note_is_about_the_gap_to_heldout_images(make_inputs, fake, real, note):
    (result,) = gan_test(inputs_for(make_inputs, fake, real))
    assert result.note.startswith(note)
    assert (result.name, result.value, result.floor) == (
        "gan_test_lenet",
        pytest.approx(fake / 100),
        pytest.approx(real / 100),
    )
    assert result.per_class == pytest.approx([fake / 100] * 4)
    assert result.interval[0] < result.value < result.interval[1]


def test_after_sorting_it_is_circular(make_inputs):
    assert gan_test(inputs_for(make_inputs, 100, 80, circular=True))[0].note.startswith("circular")


def test_floor_has_the_samples_class_shares(make_inputs):
    """Held-out recall 1.0 for class 0 and 0.5 elsewhere; the samples are of class 0 only."""
    real = logits(LABELS, 50)
    real[:100] = np.eye(4)[0]
    inputs = make_inputs(*np.zeros((3, 400, 2)), LABELS, (logits(LABELS, 100), real))
    only = make_inputs(*np.zeros((3, 100, 2)), np.zeros(100, dtype=np.int64), (real[:100], real[:100]))
    assert heldout_accuracy(inputs) == pytest.approx((1 + 3 * 0.5) / 4)
    assert heldout_accuracy(only) == 1


def test_nothing_without_labels(make_inputs):
    assert gan_test(inputs_for(make_inputs, 90, 90, scorer="")) == []
