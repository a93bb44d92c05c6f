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
