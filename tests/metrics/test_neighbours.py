import tracemalloc

import numpy as np
import pytest

from gangda.config.schema import DataConfig
from gangda.data.loading import load_source
from gangda.metrics import neighbours
from gangda.metrics.extractors import random_convolutions
from gangda.metrics.neighbours import nearest, reach, shift_search, shifts, spectrum, squared_radii


def digits(first, last):
    return load_source(DataConfig()).train.pixels[first:last]


@pytest.mark.parametrize("cells", [1 << 21, 64])
def test_nearest_and_radii_agree_with_sklearn(cells, monkeypatch):
    from sklearn.neighbors import NearestNeighbors

    monkeypatch.setattr(neighbours, "CELLS", cells)
    rng = np.random.default_rng(0)
    queries, points = (rng.normal(size=(n, 9)).astype(np.float32) + 30 for n in (25, 70))
    expected, rows = NearestNeighbors(n_neighbors=3).fit(points).kneighbors(queries)
    distances, found = nearest(queries, points, 3)
    assert np.array_equal(found, rows)
    assert distances == pytest.approx(expected, rel=1e-5)
    radii = NearestNeighbors(n_neighbors=4).fit(points).kneighbors(points)[0][:, 1:]
    assert squared_radii(points, 3).sqrt().numpy() == pytest.approx(radii, rel=1e-3)


def test_pixel_search_finds_what_all_pairs_and_shifts_find():
    train = digits(100, 500)
    queries = np.concatenate([digits(0, 60), train[:5], np.roll(train[5:10], 1, axis=1)])
    flat = train.reshape(len(train), -1).astype(np.float64)
    gaps = [
        np.sqrt(((moved.reshape(len(moved), 1, -1) - flat) ** 2).sum(-1)).min(1) / 8
        for moved in shifts(queries).swapaxes(0, 1)
    ]
    exact = np.min(gaps, axis=0)
    found = neighbours.PixelSearch(train).distances(queries)
    assert (found >= exact - 1e-9).all()
    assert np.mean(found > exact + 1e-9) < 0.1
    assert (found[60:65] == 0).all()


def test_pixel_search_in_parts_finds_the_same(monkeypatch):
    train, queries = digits(0, 300), digits(300, 360)
    whole = [
        neighbours.PixelSearch(train).distances(*asked) for asked in ((queries,), (train, np.arange(300)))
    ]
    monkeypatch.setattr(neighbours, "VALUES", 7 * 64)
    search = neighbours.PixelSearch(train)
    assert np.array_equal(search.distances(queries), whole[0])
    assert np.array_equal(search.distances(train, np.arange(300)), whole[1])


def test_pixel_search_keeps_no_float_copy_of_the_images():
    train = np.random.default_rng(0).integers(0, 256, (20_000, 28, 28, 1), dtype=np.uint8)
    tracemalloc.start()
    search = neighbours.PixelSearch(train)
    search.distances(train[:3])
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 3 * train.nbytes


def test_pixel_search_leaves_out_the_image_itself():
    train = digits(0, 50)
    search = neighbours.PixelSearch(train)
    assert (search.distances(train) == 0).all()
    alone = search.distances(train, np.arange(50))
    rest = [
        neighbours.PixelSearch(np.delete(train, i, axis=0)).distances(train[i : i + 1])[0] for i in range(50)
    ]
    assert alone == pytest.approx(rest)


def test_a_copy_counts_as_a_neighbour_and_the_point_itself_does_not():
    points = np.array([[0.0], [0.0], [5.0]], dtype=np.float32)
    assert squared_radii(points, 1)[:, 0].tolist() == [0, 0, 25]


def test_shifts_are_all_moves_and_repeat_the_border():
    image = np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1)
    moved = shifts(image).swapaxes(0, 1)
    assert len(moved) == 9
    assert np.array_equal(moved[4], image)
    assert np.array_equal(moved[0][0, 1:, 1:], image[0, :-1, :-1])
    assert np.array_equal(moved[0][0, 0, 1:], image[0, 0, :-1])
    assert [reach(side) for side in (8, 27, 28, 64)] == [1, 1, 2, 2]


def test_spectrum_ignores_circular_shifts():
    images = digits(0, 5)
    assert spectrum(np.roll(images, (2, 3), axis=(1, 2))) == pytest.approx(
        spectrum(images), rel=1e-4, abs=1e-2
    )


def test_shortlist_finds_what_all_pairs_and_shifts_find(context):
    queries, train = digits(0, 60), digits(100, 700)
    found = search(queries, train, context)
    flat = train.reshape(len(train), -1).astype(np.float64)
    gaps = [
        np.sqrt(((moved.reshape(len(moved), 1, -1) - flat) ** 2).sum(-1)).min(1) / 8
        for moved in shifts(queries).swapaxes(0, 1)
    ]
    exact = np.min(gaps, axis=0)
    assert (found.pixels >= exact - 1e-9).all()
    assert (found.pixels < exact * 1.001).mean() > 0.9
    assert found.pixels.mean() < 1.01 * exact.mean()


def test_shifted_copies_are_at_distance_zero(context):
    train = np.pad(digits(0, 200), ((0, 0), (10, 10), (10, 10), (0, 0)))
    queries = np.roll(train[:20], (2, -1), axis=(1, 2))
    found = search(queries, train, context)
    assert found.pixels.max() == 0
    assert found.features.max() < 1e-3
    assert np.array_equal(found.nearest_pixels, np.arange(20))


def search(queries, train, context):
    kind = random_convolutions((1, *train.shape[1:3]), context)
    return shift_search(
        queries,
        kind.embed(queries),
        train,
        kind.embed(train),
        spectrum(train),
        kind.embed,
        np.arange(len(queries)),
    )
