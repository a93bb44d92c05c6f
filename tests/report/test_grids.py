import io

import numpy as np
from PIL import Image

from gangda.report import grids


def test_tile_keeps_every_pixel():
    images = np.arange(6 * 2 * 2 * 3, dtype=np.uint8).reshape(6, 2, 2, 3)
    picture = grids.tile(images, 3)
    assert picture.shape == (5, 8, 3)
    assert (picture[3:5, 6:8] == images[5]).all()
    assert (picture[2] == 128).all()


def test_png_and_animation_open_again(tmp_path):
    for i in range(50):
        (tmp_path / f"grid-{i:02d}.png").write_bytes(grids.png(np.full((4, 4, 1), 5 * i, np.uint8)))
    assert np.asarray(Image.open(tmp_path / "grid-10.png")).max() == 50
    movie = Image.open(io.BytesIO(grids.animation(sorted(tmp_path.glob("*.png")))))
    assert movie.n_frames <= grids.FRAMES + 1
    movie.seek(movie.n_frames - 1)
    assert np.asarray(movie.convert("L")).max() == 245


def test_names_stand_beside_rows_that_are_large_enough():
    images = np.full((20, 8, 8, 1), 90, np.uint8)
    plain, picture = (
        grids.tile(images.repeat(3, axis=1).repeat(3, axis=2), 10),
        grids.named(images, 10, ["a", "b" * 99]),
    )
    assert picture.shape[0] == plain.shape[0] == 49
    margin = picture.shape[1] - plain.shape[1]
    assert (picture[:, margin:] == plain).all()
    assert margin > 60
    for row in (slice(0, 24), slice(25, 49)):
        assert picture[row, :margin].min() < 100  # a name
    assert grids.named(images.repeat(3, axis=3), 10, ["a", "b"]).shape[2] == 3
