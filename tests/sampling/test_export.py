"""Generators as .pt2 and .onnx files: the images of the file are those of the generator."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from gangda.config.schema import DataConfig, SampleConfig, SamplerOptions
from gangda.data.images import to_uint8
from gangda.errors import RunError, UsageError
from gangda.sampling import export as exporting
from gangda.sampling.export import export
from gangda.training.saved_model import load_model

DATA = DataConfig(per_class=10)


def original(run, count, y, sampler=SamplerOptions()):  # noqa: B008
    generator = load_model(run).generator
    noise = generator.noise(count, torch.Generator().manual_seed(1))
    with torch.no_grad():
        return noise, to_uint8(generator.sample(y, noise, sampler))


@pytest.mark.parametrize(
    ("arch", "options", "solver"),
    [
        ("pca", {}, {}),
        ("cdcgan", {"width": 8, "d_width": 8}, {}),
        ("flow", {"width": 8}, {"sampler_steps": 1}),
    ],
)
def test_pt2_has_the_generators_pixels(make_run, arch, options, solver):
    run, sampler = make_run(arch, DATA, **options), SamplerOptions(**solver)
    done = export(run, SampleConfig(), sampler, Path("model.pt2"))
    assert done.largest_difference <= 1
    y = torch.tensor([3, 1, 4, 1, 5, 9, 2])  # another number than was exported with
    noise, wanted = original(run, 7, y, sampler)
    found = torch.export.load("model.pt2").module()(noise, y).detach()
    np.testing.assert_allclose(to_uint8(found).astype(int), wanted.astype(int), atol=1)
    with pytest.raises(RunError, match=r"model\.pt2: already exists"):
        export(run, SampleConfig(), SamplerOptions(), Path("model.pt2"))


def test_onnx_has_the_generators_pixels(make_run):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    run = make_run("pca", DATA)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        export(run, SampleConfig(), SamplerOptions(), Path("model.onnx"))
    y = torch.tensor([3, 1, 4])
    noise, wanted = original(run, 3, y)
    session = onnxruntime.InferenceSession("model.onnx")
    (found,) = session.run(None, {"noise": noise.numpy(), "y": y.numpy()})
    np.testing.assert_allclose(to_uint8(torch.from_numpy(found)).astype(int), wanted.astype(int), atol=1)


def test_a_file_with_other_pixels_is_not_written(make_run, monkeypatch):
    def wrong(module, noise, y, path):
        path.write_bytes(b"x")
        return lambda noise, y: -module(noise, y)

    monkeypatch.setattr(exporting, "WRITERS", {".pt2": wrong})
    with pytest.raises(RunError, match="pixels differ from the generator's by up to"):
        export(make_run("pca", DATA), SampleConfig(), SamplerOptions(), Path("model.pt2"))
    assert not Path("model.pt2").exists()


def test_what_cannot_be_exported_is_refused(make_run):
    run = make_run("pca", DATA)
    with pytest.raises(UsageError, match="must end in"):
        export(run, SampleConfig(), SamplerOptions(), Path("model.pkl"))
    several = make_run("madgan", DATA, width=8, d_width=8)
    with pytest.raises(UsageError, match="several generators; choose one with --generator"):
        export(several, SampleConfig(), SamplerOptions(), Path("model.pt2"))
