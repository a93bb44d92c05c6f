import io

import numpy as np
import pytest
from PIL import Image

from gangda.data.twins import Twins, cached_twins, equal_images, find_twins, joined, without_copies

RNG = np.random.default_rng(0)
PHOTOS = np.stack(
    [
        np.asarray(Image.fromarray(RNG.integers(0, 256, (5, 5, 3), np.uint8)).resize((24, 24)))
        for _ in range(30)
    ]
)


def recompressed(image, quality=90):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=0)
    return np.asarray(Image.open(buffer))


def smaller_and_back(image):
    return np.asarray(Image.fromarray(image).resize((18, 18)).resize((24, 24)))


def test_equal_images_are_called_by_the_first():
    pixels = PHOTOS[[0, 1, 0, 2, 1, 0]]
    assert find_twins(pixels).exact.tolist() == [0, 1, 0, 3, 1, 0]
    assert find_twins(pixels[:2], pixels[2:]).exact.tolist() == [0, 1, 0, 3, 1, 0]


@pytest.mark.parametrize(
    "change",
    [
        recompressed,
        lambda image: recompressed(image, 50),
        lambda image: (image.astype(int) + RNG.integers(-3, 4, image.shape)).clip(0, 255).astype(np.uint8),
        lambda image: np.rint(image * 0.7 + 40).astype(np.uint8),
        smaller_and_back,
    ],
    ids=["JPEG", "JPEG of low quality", "noise", "other light", "resized"],
)
def test_other_encodings_and_noise_are_nearly_the_same(change):
    changed = np.stack([change(image) for image in PHOTOS])
    found = find_twins(PHOTOS, changed)
    assert found.exact.tolist() == list(range(60))
    assert found.near.tolist() == [*range(30), *range(30)]


@pytest.mark.parametrize("noise", [1, 3])
def test_noise_on_a_plain_background_hides_no_copy(noise):
    from sklearn.datasets import load_digits

    digits = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)[:200]
    plain = np.pad(digits.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (4, 4), (4, 4)))[..., None]
    shots = (plain + RNG.normal(0, noise, plain.shape)).clip(0, 255).round().astype(np.uint8)
    sideways = np.ascontiguousarray(np.rot90(shots, axes=(1, 2)))
    assert (find_twins(plain, shots).near[200:] == np.arange(200)).mean() > 0.98
    assert (find_twins(plain, sideways).turned[200:] == np.arange(200)).mean() > 0.95


def test_different_and_plain_images_are_not_nearly_the_same():
    assert find_twins(PHOTOS).near.tolist() == list(range(30))
    plain = np.tile(np.arange(100, 105, dtype=np.uint8)[:, None, None, None], (1, 8, 8, 1))
    assert find_twins(plain).near.tolist() == list(range(5))


def test_the_handwritten_digits_hold_no_twins():
    from sklearn.datasets import load_digits

    pixels = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)[..., None]
    twins = find_twins(pixels)
    assert twins.near.tolist() == twins.turned.tolist() == list(range(1797))


TURNS = {
    "left-right": np.fliplr,
    "upside-down": np.flipud,
    "transposed": lambda image: image.swapaxes(0, 1),
    "quarter": np.rot90,
    "half": lambda image: np.rot90(image, 2),
    "three quarters": lambda image: np.rot90(image, 3),
    "other diagonal": lambda image: np.rot90(image, 2).swapaxes(0, 1),
}


@pytest.mark.parametrize("change", [lambda image: image, recompressed], ids=["exact", "JPEG"])
@pytest.mark.parametrize("turn", TURNS)
def test_turned_copies_are_no_near_copies(turn, change):
    turned = np.stack([change(np.ascontiguousarray(TURNS[turn](image))) for image in PHOTOS])
    for found in (find_twins(PHOTOS, turned), find_twins(np.concatenate([PHOTOS, turned]))):
        assert found.near.tolist() == list(range(60))
        assert found.turned.tolist() == [*range(30), *range(30)]


def test_symmetric_images_are_no_turned_copies():
    every = [PHOTOS, PHOTOS[:, ::-1], PHOTOS[:, :, ::-1], PHOTOS[:, ::-1, ::-1]]
    whole = sum(one.astype(int) + one.swapaxes(1, 2) for one in every) // 8
    stretched = (whole - whole.min()) * 200 // np.ptp(whole)
    shots = [(stretched + RNG.integers(0, 3, whole.shape)).astype(np.uint8) for _ in "ab"]
    found = find_twins(*shots)
    assert found.near.tolist() == [*range(30), *range(30)]
    assert found.turned.tolist() == list(range(60))


def test_joined_groups_are_those_of_any():
    assert joined(np.array([0, 1, 0, 3, 4]), np.array([0, 1, 2, 2, 4])).tolist() == [0, 1, 0, 0, 4]


def test_equal_images_of_two_sets():
    assert equal_images(PHOTOS[:3], PHOTOS[[2, 9]]).tolist() == [False, False, True]
    assert not equal_images(PHOTOS[:3], PHOTOS[:, :8, :8]).any()


def test_without_copies_the_rest_is_numbered_again():
    twins = without_copies(Twins(np.array([0, 0, 2, 3]), np.array([0, 0, 2, 2]), np.array([0, 0, 2, 0])))
    assert (twins.exact.tolist(), twins.near.tolist()) == ([0, 1, 2], [0, 1, 1])
    assert twins.turned.tolist() == [0, 1, 0]


def test_the_twins_of_many_images_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("GANGDA_CACHE", str(tmp_path))
    twins = Twins(*(np.arange(2000) // size * size for size in (2, 4, 3)))
    cached_twins("key", lambda: twins, 2000)
    again = cached_twins("key", lambda: pytest.fail("found a second time"), 2000)
    np.testing.assert_array_equal(again.exact, twins.exact)
    np.testing.assert_array_equal(again.near, twins.near)
    np.testing.assert_array_equal(again.turned, twins.turned)
    (path,) = tmp_path.rglob("*.json")
    path.write_text("{")
    assert cached_twins("key", lambda: twins, 2000) is twins
