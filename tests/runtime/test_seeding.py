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


def test_the_gpu_in_use_is_seeded_not_the_current_one(monkeypatch):
    """Without a GPU: which one is current when the seed is set."""
    current, seeded = ["cuda:0"], []

    class Enter:
        def __init__(self, device):
            self.device = str(device)

        def __enter__(self):
            current.append(self.device)

        def __exit__(self, *error):
            current.pop()

    monkeypatch.setattr(torch.cuda, "device", Enter)
    monkeypatch.setattr(torch.cuda, "manual_seed", lambda seed: seeded.append((current[-1], seed)))
    seed_device(torch.device("cuda:1"), 1)
    assert seeded == [("cuda:1", seed_for(1))]
    assert current == ["cuda:0"]
