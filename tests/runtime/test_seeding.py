import torch

from gangda.runtime.seeding import numpy_stream, seed_device, seed_for, torch_stream


def test_streams_are_named():
    assert seed_for(0, "a") == seed_for(0, "a")
    assert len({seed_for(0, "a"), seed_for(1, "a"), seed_for(0, "b"), seed_for("0a")}) == 4
    assert 0 <= seed_for("x") < 2**63
    assert torch.equal(torch.rand(3, generator=torch_stream(1)), torch.rand(3, generator=torch_stream(1)))
    assert (numpy_stream(1).random(3) == numpy_stream(1).random(3)).all()


def test_seeding_the_device_seeds_dropout():
    cpu = torch.device("cpu")
    seed_device(cpu, 1)
    first = torch.nn.functional.dropout(torch.ones(50), 0.5)
    seed_device(cpu, 1)
    assert torch.equal(first, torch.nn.functional.dropout(torch.ones(50), 0.5))
