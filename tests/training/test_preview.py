import json
import os

import numpy as np
import pytest
import torch

from gangda.config import architectures
from gangda.data.images import to_uint8
from gangda.errors import RunError
from gangda.runtime.seeding import torch_stream
from gangda.training import preview
from gangda.zoo.base import Generator
from gangda.zoo.networks import build_networks


class Planted(Generator):
    """Repeats the given images, chosen by noise; `spread` of them for each class."""

    conditional = True

    def __init__(self, images, spread):
        super().__init__()
        self.latent_dim, self.num_classes, self.image_shape = 1, images.num_classes, images.image_shape
        pixels = torch.tensor(images.pixels).permute(0, 3, 1, 2) / 127.5 - 1
        self.banks = [
            pixels[torch.tensor(images.labels) == label][:spread] for label in range(images.num_classes)
        ]

    def forward(self, z, y):
        picks = (z[:, 0].abs() * 1e4).long()
        return torch.stack(
            [
                self.banks[int(label)][int(pick) % len(self.banks[int(label)])]
                for pick, label in zip(picks, y, strict=True)
            ]
        )


def test_fixed_samples_are_ten_of_each_class(blobs, context):
    samples = preview.fixed_samples(Planted(blobs, 40), seed=0, context=context)
    assert samples.shape == (40, 8, 8, 1)
    assert (samples == preview.fixed_samples(Planted(blobs, 40), seed=0, context=context)).all()


def test_each_generator_has_a_row_of_the_same_noise(context):
    spec = architectures.MadganSpec(generators=3, width=4, d_width=4)
    ensemble = build_networks("madgan", spec, (1, 8, 8), 4).generator
    rows = np.split(preview.samples_of_each(ensemble, seed=0, context=context), 3)
    z = ensemble.noise(10, torch_stream(0, "samples of each"))
    for k, row in enumerate(rows):
        assert row.shape == (10, 8, 8, 1)
        alone = ensemble.select(k).eval()
        expected = to_uint8(alone(z, torch.arange(10) % 4)).astype(int)
        assert np.abs(row.astype(int) - expected).max() <= 1


def test_curves_are_drawn_once_for_a_log_and_anew_for_another(tmp_path):
    log, picture = tmp_path / "metrics.jsonl", tmp_path / "curves.png"
    preview.save_curves(tmp_path)
    assert not picture.exists()  # a closed form has no log
    lines = [{"step": step, "d_loss": 1 / step, "d_accuracy": 0.5, "epoch": 1.0} for step in (50, 100, 150)]
    log.write_text("".join(json.dumps(line) + "\n" for line in [*lines[:2], {"step": 100, "evaluation": {}}]))
    preview.save_curves(tmp_path)
    first, written = picture.read_bytes(), picture.stat().st_mtime_ns
    preview.save_curves(tmp_path)
    assert picture.stat().st_mtime_ns == written
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    os.utime(log, ns=(written + 10**9,) * 2)
    preview.save_curves(tmp_path)
    assert picture.read_bytes() != first
    picture.unlink()
    log.write_text("{")
    with pytest.raises(RunError, match=r"metrics\.jsonl: damaged"):
        preview.save_curves(tmp_path)
