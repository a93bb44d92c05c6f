"""`--init-from`: what is copied from another run, what starts fresh, and what is refused."""

import dataclasses
import json

import numpy as np
import pytest
from safetensors.torch import load_file

from gangda.config import architectures
from gangda.config.methods import default_options
from gangda.config.schema import Budget, DataConfig, Runtime, TrainConfig
from gangda.errors import RunError, UsageError
from gangda.runtime.progress import Reporter
from gangda.training import fit_generator, train

SPECS = {"cdcgan": {"width": 4, "d_width": 4}, "flow": {"width": 8}, "ppca": {}, "dcgan": {"width": 4}}


@pytest.fixture
def five(tmp_path):
    """Images of five classes, as an NPZ file."""
    rng, labels = np.random.default_rng(0), np.arange(100) % 5
    np.savez(tmp_path / "five.npz", x_train=rng.integers(0, 255, (100, 8, 8), np.uint8), y_train=labels)
    return DataConfig(source=str(tmp_path / "five.npz"))


def config(arch, data=None, init_from=None, steps=3, **runtime):
    spec = architectures.spec_class(arch)(**SPECS[arch])
    recipe, method = default_options({**spec.recipe, "batch_size": 8}, spec.method)
    recipe = dataclasses.replace(recipe, init_from=None if init_from is None else str(init_from))
    budget = Budget(steps=steps, checkpoint_every="2") if spec.method != "closed-form" else Budget()
    return TrainConfig(
        data or DataConfig(per_class=12), arch, spec, recipe, method, budget, Runtime(threads=1, **runtime)
    )


class Lines(Reporter):
    def __init__(self):
        self.said = []

    def line(self, text):
        self.said.append(text)


def weights(run, name="generator"):
    return load_file(run / f"model/{name}.safetensors")


@pytest.mark.parametrize(
    ("arch", "networks", "of_classes"),
    [
        ("cdcgan", ("generator", "discriminator"), ("gain", "bias", "embed")),
        ("flow", ("generator",), ("label_embedding",)),
    ],
)
def test_tensors_that_fit_are_copied_and_those_of_other_classes_start_fresh(
    arch, networks, of_classes, five, tmp_path
):
    train(config(arch, steps=20), tmp_path / "first")
    reporter = Lines()
    # A rate of nearly 0: what was copied is still there after a step.
    wanted = config(arch, five, tmp_path / "first", steps=1)
    wanted = dataclasses.replace(wanted, recipe=dataclasses.replace(wanted.recipe, lr=1e-8))
    if arch == "flow":
        wanted = dataclasses.replace(wanted, method=dataclasses.replace(wanted.method, muon_lr=1e-8))
    train(wanted, tmp_path / "second", reporter=reporter)
    started = json.loads((tmp_path / "second/run.json").read_text())["init_from"]
    assert started["run"] == str(tmp_path / "first")
    compared = 0
    for network in networks:
        before, after = weights(tmp_path / "first", network), weights(tmp_path / "second", network)
        for name, tensor in after.items():
            fresh = f"{network}.{name}" in started["fresh"]
            assert fresh == (before[name].shape != tensor.shape), name
            if fresh:
                assert any(word in name for word in of_classes), name
            elif "running" not in name and tensor.is_floating_point():
                assert np.allclose(before[name], tensor, atol=1e-5), name
                compared += 1
    assert started["copied"] >= compared > 3
    assert started["fresh"]
    [line] = [line for line in reporter.said if line.startswith("starts from")]
    assert f"{len(started['fresh'])} do not fit and start fresh ({started['fresh'][0]}" in line


def test_the_same_classes_copy_everything_and_a_stopped_run_goes_on_exactly(tmp_path):
    train(config("cdcgan"), tmp_path / "first")
    again = config("cdcgan", init_from=tmp_path / "first", steps=4)
    reporter = Lines()
    train(again, tmp_path / "whole", reporter=reporter)
    assert any(
        "tensors" in line and line.startswith("starts from") and "all" in line for line in reporter.said
    )
    shorter = dataclasses.replace(again, budget=dataclasses.replace(again.budget, steps=2))
    train(shorter, tmp_path / "parts")
    train(again, tmp_path / "parts", resume=True)
    for name in ("generator", "discriminator"):
        one, other = weights(tmp_path / "whole", name), weights(tmp_path / "parts", name)
        assert all((one[key] == other[key]).all() for key in one)
    plain = config("cdcgan", steps=4)
    train(plain, tmp_path / "plain")
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "plain")
    assert any((one[key] != other[key]).any() for key in one)


def test_resuming_from_another_start_is_refused(tmp_path):
    train(config("cdcgan"), tmp_path / "first")
    train(config("cdcgan", init_from=tmp_path / "first"), tmp_path / "run")
    with pytest.raises(RunError, match=r"was made with recipe\.init_from = .*, not None"):
        train(config("cdcgan"), tmp_path / "run", resume=True)
    train(config("cdcgan", steps=5), tmp_path / "first", resume=True)
    with pytest.raises(RunError, match="or the weights it starts from"):
        train(config("cdcgan", init_from=tmp_path / "first", steps=6), tmp_path / "run", resume=True)


def test_another_architecture_and_images_that_must_not_be_seen_are_refused(tmp_path):
    train(config("cdcgan"), tmp_path / "first")
    with pytest.raises(UsageError, match=r"is a cdcgan, not a dcgan; give --arch cdcgan"):
        train(config("dcgan", init_from=tmp_path / "first"), tmp_path / "run")
    with pytest.raises(RunError, match="outside this subset"):
        train(config("cdcgan", init_from=tmp_path / "first", seed=1), tmp_path / "run")
    with pytest.raises(RunError, match="holds no trained generator"):
        train(config("cdcgan", init_from=tmp_path / "nothing"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_so_is_a_run_that_starts_from_one_that_saw_them(tmp_path):
    train(config("cdcgan", seed=1), tmp_path / "first")
    train(config("cdcgan"), tmp_path / "second")
    state = json.loads((tmp_path / "second/run.json").read_text())
    for before, words in (
        ("first", "starts from .*first, which saw"),
        ("gone", "what that saw cannot be told"),
    ):
        started = {**state, "init_from": {"run": str(tmp_path / before)}}
        (tmp_path / "second/run.json").write_text(json.dumps(started))
        with pytest.raises(RunError, match=words):
            train(config("cdcgan", init_from=tmp_path / "second"), tmp_path / "run")
    started = {**state, "init_from": {"run": str(tmp_path / "second")}}  # overwritten since: no endless chain
    (tmp_path / "second/run.json").write_text(json.dumps(started))
    assert train(config("cdcgan", init_from=tmp_path / "second"), tmp_path / "run").finished


def test_arms_of_comparisons_do_not_start_from_other_runs(blobs, tmp_path):
    wanted = config("cdcgan", init_from=tmp_path / "first")
    with pytest.raises(UsageError, match="only gangda train"):
        fit_generator(wanted, blobs, tmp_path / "run", fingerprint="x")
