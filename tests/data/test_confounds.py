import numpy as np
import pytest

from gangda.data.confounds import FileFacts, balanced_accuracy, remarks

RNG = np.random.default_rng(0)
LABELS = np.arange(120) % 2
NOISE = RNG.integers(0, 256, (120, 8, 8, 1), dtype=np.uint8)


def facts(**columns):
    same = {name: np.full(120, 8) for name in ("format", "width", "height", "channels", "bits", "quality")}
    return FileFacts(
        ("JPEG", "PNG"), **{**same, "format": np.zeros(120, int)} | columns, origin=np.zeros(120, np.uint8)
    )


def test_noise_says_nothing():
    assert list(remarks(NOISE, LABELS, ("a", "b"), facts())) == []
    assert list(remarks(NOISE, LABELS, ("a", "b"), facts(format=RNG.integers(0, 2, 120)))) == []


def test_each_number_that_tells_the_class_is_named():
    mostly = np.where(RNG.random(120) < 0.9, LABELS, 1 - LABELS)
    for columns, name in (
        ({"format": mostly}, "file format"),
        ({"width": 20 + mostly}, "original size"),
        ({"channels": 1 + 2 * mostly}, "number of channels"),
        ({"bits": 8 + 8 * mostly}, "bit depth"),
        ({"quality": 75 + 15 * mostly}, "JPEG quality"),
    ):
        (remark,) = remarks(NOISE, LABELS, ("a", "b"), facts(**columns))
        assert f"an image's {name} alone tells the class" in remark
    bright = (NOISE // 4 + 100 * LABELS[:, None, None, None]).astype(np.uint8)
    assert [
        remark.split(" alone")[0].split("'s ", 1)[1] for remark in remarks(bright, LABELS, ("a", "b"), None)
    ] == [
        "mean brightness",
        "border's brightness",
    ]


def test_the_quality_of_some_jpegs_among_other_formats_is_no_number():
    assert list(remarks(NOISE, LABELS, ("a", "b"), facts(quality=80 * (1 - LABELS)))) == []


def test_swapped_channels_that_tell_the_class_are_named():
    coloured = np.concatenate([NOISE // 2 + 100, NOISE // 2 + 50, NOISE // 2], axis=3)
    swapped = np.where(LABELS[:, None, None, None] == 1, coloured[..., ::-1], coloured)
    (remark,) = remarks(swapped, LABELS, ("a", "b"), None)
    assert "redness (red less blue) alone tells the class" in remark
    assert list(remarks(coloured, LABELS, ("a", "b"), None)) == []


def test_a_mean_that_rounds_to_nothing_has_no_sign():
    coloured = np.concatenate([NOISE // 2, NOISE // 2, NOISE // 2], axis=3)
    coloured[LABELS == 0, 0, 0, 2] += 1
    coloured[LABELS == 1, ..., 0] += 90
    (remark,) = (told for told in remarks(coloured, LABELS, ("a", "b"), None) if "redness" in told)
    assert "'a' 0, 'b' 90" in remark


def test_few_images_and_one_class_have_no_remark():
    bright = np.tile((200 * LABELS[:, None, None, None]).astype(np.uint8), (1, 8, 8, 1))
    assert list(remarks(bright[:10], LABELS[:10], ("a", "b"), None)) == []
    assert list(remarks(bright, np.zeros(120, int), ("a",), None)) == []


def test_balanced_accuracy_is_that_of_held_out_images():
    assert balanced_accuracy(LABELS, LABELS, 2)[0] == 1
    unique = RNG.permutation(120)  # learned by heart, they would be told perfectly
    assert balanced_accuracy(unique, LABELS, 2)[0] < 0.7
    rare = np.r_[np.zeros(110, int), np.ones(10, int)]
    assert balanced_accuracy(np.zeros(120), rare, 2)[0] == 0.5


def test_the_error_under_chance_is_that_of_the_small_classes():
    assert balanced_accuracy(np.zeros(120), LABELS, 2)[1] == pytest.approx(np.sqrt(0.25 / 120))
    rare = np.r_[np.zeros(5000, int), np.ones(6, int)]
    rng = np.random.default_rng(0)
    recalls = [balanced_accuracy(rng.integers(0, 16, 5006), rare, 2)[0] for _ in range(200)]
    assert np.std(recalls) == pytest.approx(balanced_accuracy(np.zeros(5006), rare, 2)[1], rel=0.3)
