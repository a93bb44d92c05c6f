import numpy as np
import pytest
import torch

from gangda.traditional.trivial import trivial_augment


@pytest.mark.parametrize("channels", [1, 3])
def test_images_change_each_in_its_own_way_and_the_same_way_again(channels: int) -> None:
    images = torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (70, channels, 12, 12), dtype=np.uint8)
    )
    before, state = images.clone(), torch.random.get_rng_state()
    first = trivial_augment(images, torch.Generator().manual_seed(1))
    again = trivial_augment(images, torch.Generator().manual_seed(1))
    other = trivial_augment(images, torch.Generator().manual_seed(2))
    assert first.shape == images.shape
    assert first.dtype == torch.uint8
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(images, before)
    assert torch.equal(torch.random.get_rng_state(), state)
    changed = (first != images).flatten(1).any(1)
    assert 0.3 < float(changed.float().mean()) <= 1.0  # the identity is one of its 14 operations
