import numpy as np
import pytest

from gangda.metrics.classifier_scores import cas, gan_test, heldout_accuracy, inception_score, score_of_logits

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


def test_gan_test_is_nothing_without_labels(make_inputs):
    assert gan_test(inputs_for(make_inputs, 90, 90, scorer="")) == []


THREE = np.repeat(np.arange(3), 20)


def test_trains_on_samples_and_for_the_ceiling_on_as_many_real_images(make_inputs):
    trained_on = []

    def retrain(images):
        trained_on.append((int(images.origin[0]), images.counts().tolist()))
        return THREE if images.origin[0] == 0 else np.where(np.arange(60) < 6, 1, THREE)

    (result,) = cas(make_inputs(*np.zeros((3, 60, 2)), THREE, retrain=retrain))
    assert trained_on == [(2, [20, 20, 20]), (0, [20, 20, 20])]
    assert (result.name, result.value, result.floor) == ("cas_lenet", pytest.approx(0.9), 1)
    assert result.interval[0] < 0.9 < result.interval[1]
    assert result.per_class == pytest.approx((0.7, 1, 1))
    assert result.note.startswith("10.0 points below the ceiling")


def test_cas_is_nothing_without_labels(make_inputs):
    assert cas(make_inputs(*np.zeros((3, 60, 2)), THREE, scorer="")) == []


def test_inception_score_by_hand():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(50, 4)).astype(np.float32)
    p = np.exp(logits.astype(np.float64))
    p /= p.sum(1, keepdims=True)
    expected = np.exp((p * np.log(p / p.mean(0))).sum(1).mean())
    assert score_of_logits(logits) == pytest.approx(expected, rel=1e-6)


def test_extremes_are_k_and_one():
    sure = 50 * np.eye(5, dtype=np.float32)[np.arange(100) % 5]
    assert score_of_logits(sure) == pytest.approx(5)
    assert score_of_logits(np.zeros((100, 5), dtype=np.float32)) == pytest.approx(1)


def test_a_sorted_set_is_shuffled_before_it_is_split():
    sure = 50 * np.eye(5, dtype=np.float32)[np.repeat(np.arange(5), 1000)]
    assert score_of_logits(sure) > 4.9


def test_floor_is_heldout_and_the_note_says_of_what(make_inputs):
    real = 50 * np.eye(5, dtype=np.float32)[np.arange(40) % 5]
    (result,) = inception_score(make_inputs(0 * real, real, 0 * real))
    assert (result.name, result.value, result.floor) == ("is_lenet_40", pytest.approx(1), pytest.approx(5))
    assert "not Inception" in result.note


def test_inception_score_is_nothing_without_labels(make_inputs):
    assert inception_score(make_inputs(*np.zeros((3, 10, 2)), scorer="")) == []


def test_classes_that_look_like_another_are_named(make_inputs):
    """Class 1's samples are taken for class 2's, as 2's are for 1's; held-out ones are known."""
    swapped = np.eye(4)[np.array([0, 2, 1, 3])[LABELS]]
    inputs = make_inputs(*np.zeros((3, 400, 2)), LABELS, (swapped, logits(LABELS, 90)))
    names = inputs.samples.images.class_names
    words = [f"samples of '{names[a]}' look like '{names[b]}' (100 of 100)" for a, b in ((1, 2), (2, 1))]
    assert f"ALARM {', '.join(words)}: are labels permuted?" in gan_test(inputs)[0].note
    unknown = make_inputs(*np.zeros((3, 400, 2)), LABELS, (swapped, logits(LABELS, 10)))
    assert "look like" not in gan_test(unknown)[0].note


def test_samples_that_fall_to_one_class_are_first_of_too_few_steps(make_inputs):
    poor = np.eye(4)[np.array([0, 0, 0, 3])[LABELS]]
    note = gan_test(make_inputs(*np.zeros((3, 400, 2)), LABELS, (poor, logits(LABELS, 90))))[0].note
    assert "(100 of 100): too few steps (train longer), else permuted labels; " in note
    assert "are labels permuted" not in note
