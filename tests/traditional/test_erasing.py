"""Random Erasing: what goes blank, how often, and how much."""

from dataclasses import replace

import pytest
import torch
from torchvision.transforms import v2 as vision

from gangda.config.schema import TransformConfig
from gangda.runtime.seeding import torch_stream
from gangda.traditional.transforms import batch_transform

OFF = TransformConfig(rotation=0, translation=0, scaling=(1.0, 1.0), blur=0)


def shares(erasing: float, count: int = 3000, height: int = 28, width: int = 28) -> torch.Tensor:
    """Share of each image that is blank after erasing."""
    images = torch.full((count, 2, height, width), 7, dtype=torch.uint8)
    out = batch_transform(replace(OFF, erasing=erasing))(images, torch_stream(0))
    blank = out == 0
    assert ((out == 7) | blank).all()
    assert torch.equal(blank[:, 0], blank[:, 1])  # all channels
    rows, columns = blank[:, 0].any(dim=2).sum(dim=1), blank[:, 0].any(dim=1).sum(dim=1)
    assert torch.equal(rows * columns, blank[:, 0].flatten(1).sum(dim=1))  # one rectangle
    return blank[:, 0].flatten(1).float().mean(dim=1)


def test_as_often_as_asked() -> None:
    assert (shares(0.3) > 0).float().mean() == pytest.approx(0.3, abs=0.03)
    assert (shares(1.0) > 0).all()


def test_areas_are_torchvisions() -> None:
    torch.manual_seed(0)
    eraser, image = vision.RandomErasing(p=1.0), torch.ones(1, 28, 28)
    theirs = torch.tensor([float((eraser(image) == 0).float().mean()) for _ in range(3000)])
    ours = shares(1.0)
    for quantile in (0.1, 0.5, 0.9):
        assert ours.quantile(quantile) == pytest.approx(float(theirs.quantile(quantile)), abs=0.02)


def test_every_place_can_go_and_long_images_are_fine() -> None:
    images = torch.full((3000, 1, 8, 20), 7, dtype=torch.uint8)
    out = batch_transform(replace(OFF, erasing=1.0))(images, torch_stream(1))
    often = (out == 0).float().mean(dim=(0, 1))
    assert often.shape == (8, 20)
    assert (often > 0.01).all()


def test_mirroring_moves_no_pixel_value() -> None:
    images = torch.randint(0, 256, (200, 3, 9, 28), generator=torch_stream(0)).to(torch.uint8)
    out = batch_transform(replace(OFF, flip=0.5))(images, torch_stream(1))
    same = (out == images).flatten(1).all(dim=1)
    mirrored = (out == images.flip(3)).flatten(1).all(dim=1)
    assert (same ^ mirrored).all()
    assert 70 < int(mirrored.sum()) < 130
    assert torch.equal(batch_transform(replace(OFF, flip=1.0))(images, torch_stream(2)), images.flip(3))
