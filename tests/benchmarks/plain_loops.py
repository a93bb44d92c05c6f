"""The training loops that PyTorch code usually has, which `training.py` compares gangda's with.

They are nobody's straw men: layers without needless copies, a `TensorDataset` in memory, one process. What they lack is
what gangda's loop does otherwise. As a program, `plain_loops.py dcgan|madgan STEPS THREADS` loads
Fashion-MNIST and trains.
"""

import sys
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from gangda.config.schema import DataConfig
from gangda.data.loading import load_splits

LR = 1e-4  # Adam's, of both presets


def generator(latent_dim: int) -> nn.Sequential:
    """The generator of `dcgan-5x5` and, with `latent_dim` 256, one of those of `madgan-separate`."""

    def norm(kind: type[nn.Module], width: int) -> nn.Module:
        return kind(width, eps=1e-3, momentum=0.01)  # type: ignore[call-arg]

    return nn.Sequential(
        nn.Linear(latent_dim, 256 * 49, bias=False),
        norm(nn.BatchNorm1d, 256 * 49),
        nn.LeakyReLU(0.3),
        nn.Unflatten(1, (256, 7, 7)),
        nn.ConvTranspose2d(256, 128, 5, 1, 2, bias=False),
        norm(nn.BatchNorm2d, 128),
        nn.LeakyReLU(0.3),
        nn.ConvTranspose2d(128, 64, 5, 2, 2, output_padding=1, bias=False),
        norm(nn.BatchNorm2d, 64),
        nn.LeakyReLU(0.3),
        nn.ConvTranspose2d(64, 1, 5, 2, 2, output_padding=1, bias=False),
        nn.Tanh(),
    )


def discriminator(outputs: int) -> nn.Sequential:
    """The discriminator of both presets."""
    return nn.Sequential(
        nn.Conv2d(1, 64, 5, 2, 2),
        nn.LeakyReLU(0.3),
        nn.Dropout(0.3),
        nn.Conv2d(64, 128, 5, 2, 2),
        nn.LeakyReLU(0.3),
        nn.Dropout(0.3),
        nn.Flatten(),
        nn.Linear(128 * 49, outputs),
    )


def batches(pixels: Tensor, size: int) -> Iterator[Tensor]:
    """Shuffled batches of float images, (size, 1, 28, 28) in [-1, 1], for ever; pixels: uint8 (N, 1, 28, 28)."""
    images = pixels.float() / 127.5 - 1
    loader = DataLoader(TensorDataset(images), batch_size=size, shuffle=True, drop_last=True)
    while True:
        for (real,) in loader:
            yield real


def dcgan(pixels: Tensor, batch: int = 256, fresh: bool = True) -> Iterator[None]:
    """A DCGAN step after the other: D on a real batch, D on a fake one, then G through D.

    `fresh`: the generator's turn has fakes of its own; without, as in PyTorch's tutorial, it has those of D's turn.
    """
    g, d = generator(100), discriminator(1)
    adam_g, adam_d = (torch.optim.Adam(net.parameters(), lr=LR) for net in (g, d))
    loss = nn.BCEWithLogitsLoss()
    ones, zeros = torch.ones(batch, 1), torch.zeros(batch, 1)
    for real in batches(pixels, batch):
        fake = g(torch.randn(batch, 100))
        adam_d.zero_grad()
        loss(d(real), ones).backward()
        loss(d(fake.detach()), zeros).backward()
        adam_d.step()
        adam_g.zero_grad()
        if fresh:
            fake = g(torch.randn(batch, 100))
        loss(d(fake), ones).backward()
        adam_g.step()
        yield None


def madgan(pixels: Tensor, batch: int = 60, k: int = 5, whole: bool = True) -> Iterator[None]:
    """MAD-GAN, one generator after the other, each with batch / k fakes, its own turn of D and its own of G.

    `whole`: each of D's turns sees the whole batch of real images, as public code has it; without, its share of it.
    """
    gs, d = [generator(256) for _ in range(k)], discriminator(k + 1)
    adams, adam_d = (
        [torch.optim.Adam(g.parameters(), lr=LR) for g in gs],
        torch.optim.Adam(d.parameters(), lr=LR),
    )
    loss, share = nn.CrossEntropyLoss(), batch // k
    for all_real in batches(pixels, batch):
        for i, (g, adam_g) in enumerate(zip(gs, adams, strict=True)):
            real = all_real if whole else all_real[i * share : (i + 1) * share]
            fake = g(torch.randn(share, 256))
            adam_d.zero_grad()
            loss(d(real), torch.full((len(real),), k)).backward()
            loss(d(fake.detach()), torch.full((share,), i)).backward()
            adam_d.step()
            adam_g.zero_grad()
            torch.log(1 - d(fake).softmax(1)[:, k] + 1e-8).mean().backward()
            adam_g.step()
        yield None


LOOPS: dict[str, Callable[[Tensor], Iterator[None]]] = {"dcgan": dcgan, "madgan": madgan}


def main() -> None:
    name, steps = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(int(sys.argv[3]))
    pixels = load_splits(DataConfig(source="fashion-mnist"), 0).train.pixels
    loop = LOOPS[name](torch.tensor(pixels).permute(0, 3, 1, 2).contiguous())
    for _ in range(steps):
        next(loop)


if __name__ == "__main__":
    main()
