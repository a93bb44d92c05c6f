import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional
from torchvision.transforms import InterpolationMode
from torchvision.transforms import v2 as vision

from gangda.classifying import classify
from gangda.config import catalog
from gangda.config.schema import ClassifierConfig, DataConfig, Runtime, TransformConfig
from gangda.errors import UsageError
from gangda.runtime.seeding import torch_stream
from gangda.traditional import transforms
from gangda.traditional.transforms import Part, Warp, affine, batch_transform, gaussian_blur

OFF = TransformConfig(rotation=0, translation=0, scaling=(1.0, 1.0), blur=0)
ALONE = {
    "rotation": replace(OFF, rotation=30),
    "translation": replace(OFF, translation=0.2),
    "scaling": replace(OFF, scaling=(0.7, 1.4)),
    "flip": replace(OFF, flip=0.5),
    "blur": replace(OFF, blur=2.0),
    "erasing": replace(OFF, erasing=0.9),
}


def digits_on_black(count: int, channels: int, side: int, seed: int = 0) -> torch.Tensor:
    """Random images with a border of zeros."""
    images = torch.zeros(count, channels, side, side, dtype=torch.uint8)
    middle = torch.randint(0, 256, (count, channels, side - 4, side - 4), generator=torch_stream(seed))
    images[:, :, 2:-2, 2:-2] = middle.to(torch.uint8)
    return images


def photographs(count: int, channels: int, side: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(1, 256, (count, channels, side, side), generator=torch_stream(seed)).to(torch.uint8)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (28, 28), (9, 14)])
def test_the_grid_is_torchs(height: int, width: int) -> None:
    theta = torch.randn(40, 2, 3, generator=torch_stream(0))
    theirs = functional.affine_grid(theta, [40, 1, height, width], align_corners=False)
    torch.testing.assert_close(transforms._grid(theta, height, width), theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("channels", "side"), [(1, 8), (1, 28), (3, 17)])
def test_affine_is_torchvisions_image_by_image(channels: int, side: int) -> None:
    images, rng = digits_on_black(6, channels, side), np.random.default_rng(1)
    angles, factors = rng.uniform(-180, 180, 6), rng.uniform(0.6, 1.7, 6)
    shifts = rng.integers(-3, 4, (6, 2))
    turn = torch.tensor(np.deg2rad(angles), dtype=torch.float32)
    inverse = torch.stack([turn.cos(), turn.sin(), -turn.sin(), turn.cos()], 1).view(-1, 2, 2)
    inverse = inverse / torch.tensor(factors, dtype=torch.float32).view(-1, 1, 1)
    ours = affine(images.float(), Warp(inverse, torch.tensor(shifts, dtype=torch.float32))).round()
    for i in range(6):
        theirs = vision.functional.affine(
            images[i],
            angle=float(angles[i]),
            translate=[int(v) for v in shifts[i]],
            scale=float(factors[i]),
            shear=[0.0, 0.0],
            interpolation=InterpolationMode.BILINEAR,
        )
        assert (ours[i] - theirs.float()).abs().max() <= 1


@pytest.mark.parametrize(("sigma", "radius"), [(0.3, 2), (0.5, 2), (1.5, 5), (4.0, 12)])
def test_blur_is_torchvisions_image_by_image(sigma: float, radius: int) -> None:
    images = photographs(4, 3, 20)
    sigmas = torch.tensor([sigma, sigma / 2, sigma / 3, sigma])
    ours = gaussian_blur(images.float(), sigmas, radius).round()
    for i in range(4):
        theirs = vision.functional.gaussian_blur(images[i], [2 * radius + 1] * 2, [float(sigmas[i])] * 2)
        assert (ours[i] - theirs.float()).abs().max() <= 1


def test_photographs_are_filled_by_reflection() -> None:
    from scipy import ndimage

    images = photographs(3, 1, 12)
    angle = torch.tensor([0.4, -1.0, 2.5])
    inverse = torch.stack([angle.cos(), angle.sin(), -angle.sin(), angle.cos()], 1).view(-1, 2, 2)
    ours = affine(images.float(), Warp(inverse, torch.tensor([[2.5, -1.0]] * 3)))
    for i in range(3):
        matrix = inverse[i].flip(0, 1).numpy()  # SciPy counts rows first
        centre = np.array([5.5, 5.5])
        offset = centre - matrix @ (centre + np.array([-1.0, 2.5]))
        theirs = ndimage.affine_transform(
            images[i, 0].numpy().astype(np.float64), matrix, offset, order=1, mode="reflect"
        )
        assert np.abs(ours[i, 0].numpy() - theirs).max() < 0.01


def test_the_fill_is_each_images_own() -> None:
    black, photo = digits_on_black(2, 1, 8), photographs(2, 1, 8)
    mixed = torch.cat([black[:1], photo[:1], black[1:], photo[1:]])
    assert transforms.dark_border(mixed).tolist() == [True, False, True, False]
    warp = Warp(torch.eye(2).expand(4, 2, 2), torch.tensor([[3.0, 0.0]] * 4))
    moved = affine(mixed.float(), warp)
    assert (moved[[0, 2], :, :, :3] == 0).all()
    assert (moved[[1, 3], :, :, :3] > 0).all()
    alone = [affine(mixed[i : i + 1].float(), Warp(warp.inverse[:1], warp.shift[:1])) for i in range(4)]
    assert torch.equal(moved, torch.cat(alone))


@pytest.mark.parametrize("name", list(catalog.TRANSFORMS))
def test_every_transform_of_the_catalog(name: str) -> None:
    images = photographs(64, 3, 16)
    before = images.clone()
    transform = batch_transform(ALONE[name])
    out = transform(images, torch_stream(1))
    assert torch.equal(images, before)
    assert out.dtype == torch.uint8
    assert out.shape == images.shape
    assert torch.equal(out, transform(images, torch_stream(1)))
    assert torch.equal(out, batch_transform(ALONE[name], [name])(images, torch_stream(1)))
    assert not torch.equal(out, transform(images, torch_stream(2)))
    same = images[:1].expand(64, -1, -1, -1)
    # Sigmas near 0 leave an image as it is, and so does erasing at times; mirroring has two outcomes.
    distinct = len({row.numpy().tobytes() for row in transform(same, torch_stream(3))})
    assert distinct == 2 if name == "flip" else distinct > 50
    builder = catalog.builder("transform", catalog.TRANSFORMS, name)
    assert builder(OFF) is None


def test_nothing_on_changes_nothing() -> None:
    images = photographs(5, 3, 9)
    assert torch.equal(batch_transform(OFF)(images, torch_stream(0)), images)


def test_parameters_fill_their_ranges() -> None:
    images, config = (
        torch.zeros(4000, 1, 10, 20, dtype=torch.uint8),
        TransformConfig(rotation=30, translation=0.1, scaling=(0.5, 2.0), blur=1),
    )
    warp = {
        name: catalog.builder("transform", catalog.TRANSFORMS, name)(config).warp(images, torch_stream(0))
        for name in ("rotation", "translation", "scaling")
    }
    degrees = (
        torch.atan2(warp["rotation"].inverse[:, 0, 1], warp["rotation"].inverse[:, 0, 0]) * 180 / math.pi
    )
    assert [degrees.min(), degrees.max()] == pytest.approx([-30, 30], abs=0.2)
    assert degrees.mean() == pytest.approx(0, abs=1)
    shift = warp["translation"].shift
    assert shift.abs().amax(dim=0).tolist() == pytest.approx([2.0, 1.0], abs=0.02)
    factor = 1 / warp["scaling"].inverse[:, 0, 0]
    assert [factor.min(), factor.max()] == pytest.approx([0.5, 2.0], abs=0.01)
    assert factor.mean() == pytest.approx(1.25, abs=0.02)


def test_blur_of_tiny_images_fits_the_border() -> None:
    out = batch_transform(ALONE["blur"])(photographs(3, 1, 5), torch_stream(0))
    assert out.shape == (3, 1, 5, 5)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'rotation'"):
        batch_transform(OFF, ["rotatoin"])


def darken(config: TransformConfig) -> Part:
    """A transform from outside the package."""
    return Part(filter=lambda images, rng: images / 2)


def test_a_transform_is_one_function_and_one_line_of_the_catalog(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    few = ClassifierConfig(classifier="logistic", classifier_steps=3)
    runtime = Runtime(device="cpu", precision="fp32", threads=1)

    def weights(out: str) -> str:
        result = classify("digits", None, DataConfig(per_class=5), few, OFF, 1, runtime, tmp_path / out)
        return str(result.values["runs"][0]["fingerprint"])

    plain = weights("plain")
    entry = catalog.Entry(f"{__name__}:darken", "half as bright")
    monkeypatch.setitem(catalog.TRANSFORMS, "darken", entry)  # type: ignore[arg-type]
    images = torch.full((2, 1, 8, 8), 100, dtype=torch.uint8)
    assert batch_transform(OFF)(images, torch_stream(0)).unique().tolist() == [50]
    assert weights("darker") != plain
