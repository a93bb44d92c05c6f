"""How a batch is dealt to ranks: every row once, and what belongs together stays together."""

import pytest
import torch

from gangda.config import architectures
from gangda.training.rank_batches import deal, fits, groups_of, nearest, running_statistics
from gangda.zoo.networks import build_networks


@pytest.mark.parametrize(
    ("batch", "generators", "groups", "world"),
    [(8, 1, 1, 2), (12, 3, 1, 2), (32, 3, 1, 2), (24, 3, 4, 2), (16, 1, 4, 4), (6, 1, 1, 3), (9, 9, 1, 1)],
)
def test_every_row_is_dealt_once(batch, generators, groups, world):
    assert fits(batch, generators, groups, world)
    shares = [deal(batch, generators, groups, rank, world) for rank in range(world)]
    fakes = batch // generators * generators
    assert sorted(torch.cat([share.real for share in shares]).tolist()) == list(range(batch))
    assert sorted(torch.cat([share.fake for share in shares]).tolist()) == list(range(fakes))
    for share in shares:
        assert share.real[: len(share.fake)].tolist() == share.fake.tolist()  # row i is made for label i
        assert len(share.fake) == len(share.real) // generators * generators  # what the loop asks for


def test_each_generator_and_each_group_is_shared_by_hand():
    one, two = (deal(6, 3, 1, rank, 2) for rank in (0, 1))  # generators own rows 01, 23 and 45
    assert (one.real.tolist(), two.real.tolist()) == ([0, 2, 4], [1, 3, 5])
    one, two = (deal(16, 1, 4, rank, 2) for rank in (0, 1))  # groups are 0 4 8 12, 1 5 9 13, ...
    assert one.real.view(4, 2).T.tolist() == [[0, 4, 8, 12], [1, 5, 9, 13]]
    assert two.real.view(4, 2).T.tolist() == [[2, 6, 10, 14], [3, 7, 11, 15]]
    rest = deal(8, 3, 1, 1, 2)  # three generators make six; rows 6 and 7 are real only
    assert (rest.real.tolist(), rest.fake.tolist()) == ([1, 3, 5, 7], [1, 3, 5])


def test_draws_are_dealt_by_how_many_images_are_scored():
    deals = deal(8, 3, 1, 1, 2).deals
    assert {count: (everyone, own.tolist()) for count, (everyone, own) in deals.items()} == {
        4: (8, [1, 3, 5, 7]),
        3: (6, [1, 3, 5]),
        7: (14, [1, 3, 5, 7, 9, 11, 13]),
    }


@pytest.mark.parametrize(
    ("batch", "generators", "groups", "world", "near"),
    [(31, 1, 1, 2, 32), (32, 1, 1, 3, 33), (10, 5, 1, 4, 20), (36, 1, 4, 8, 32), (32, 3, 4, 2, 24)],
)
def test_what_does_not_fit_has_a_neighbour_that_does(batch, generators, groups, world, near):
    assert not fits(batch, generators, groups, world)
    assert nearest(batch, generators, groups, world) == near
    assert fits(near, generators, groups, world)


def test_what_ranks_must_know_of_networks():
    spread, normed = (
        build_networks(arch, architectures.spec_class(arch)(**options), (1, 8, 8), 4)
        for arch, options in (("gan", {"minibatch_stddev": True, "width": 8}), ("dcgan", {"width": 4}))
    )
    assert (groups_of(spread.discriminator), groups_of(normed.discriminator)) == (4, 1)
    assert running_statistics(spread.generator, spread.discriminator) == []
    found = running_statistics(normed.generator, normed.discriminator)
    names = [name for net in (normed.generator, normed.discriminator) for name, _ in net.named_buffers()]
    assert len(found) == len([name for name in names if "running" in name]) > 0
