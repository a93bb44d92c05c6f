import numpy as np
import pytest
import torch

from gangda.traditional.transforms import Transform
from gangda.traditional.trivial import in_groups, rand_augment, trivial_augment


@pytest.mark.parametrize("augment", [trivial_augment, rand_augment])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_change_each_in_its_own_way_and_the_same_way_again(channels: int, augment: Transform) -> None:
    images = torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (70, channels, 12, 12), dtype=np.uint8)
    )
    before, state = images.clone(), torch.random.get_rng_state()
    first = augment(images, torch.Generator().manual_seed(1))
    again = augment(images, torch.Generator().manual_seed(1))
    other = augment(images, torch.Generator().manual_seed(2))
    assert first.shape == images.shape
    assert first.dtype == torch.uint8
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(images, before)
    assert torch.equal(torch.random.get_rng_state(), state)
    changed = (first != images).flatten(1).any(1)
    assert 0.3 < float(changed.float().mean()) <= 1.0  # the identity is one of its 14 operations


def test_small_images_are_hardly_ever_shifted_out_of_sight() -> None:
    """Two of 14 operations shift, by the whole side in one of 31 strengths: 0.5%, and not the 11% of 32 pixels."""
    grey = torch.full((4000, 1, 8, 8), 128, dtype=torch.uint8)  # which no other operation makes black
    rng = torch.Generator().manual_seed(0)
    shifted = [trivial_augment(grey, rng).flatten(1) for _ in range(5)]
    gone = torch.cat([(images == 0).all(1) for images in shifted]).float().mean()
    assert 0 < float(gone) < 0.01


@pytest.mark.parametrize("side", [32, 40])
def test_from_32_pixels_on_it_is_torchvisions(side: int) -> None:
    from torchvision.transforms import v2

    images = torch.randint(256, (48, 1, side, side), dtype=torch.uint8)
    for seed in range(4):
        ours = trivial_augment(images, torch.Generator().manual_seed(seed))
        theirs = in_groups(v2.TrivialAugmentWide(), images, torch.Generator().manual_seed(seed))
        assert torch.equal(ours, theirs)
