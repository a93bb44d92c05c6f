"""What a step keeps, and batches that do not fit."""

import dataclasses

import pytest
import torch
from training_setup import configured

from gangda.config.schema import Budget, Runtime
from gangda.errors import UsageError
from gangda.training import fit_generator, memory


def test_kept_tensors_are_counted_while_they_are_kept():
    x = torch.ones(1000, requires_grad=True)  # 4,000 bytes
    weight = torch.ones(1000)

    def one_after_the_other():
        for _ in range(3):
            (x * weight).exp().sum().backward()  # keeps weight, and the result of exp

    assert memory.most_kept(one_after_the_other) == 8000
    assert memory.most_kept(one_after_the_other, [weight]) == 4000

    def together():
        kept = [x.exp() for _ in range(3)]
        torch.stack(kept).sum().backward()

    assert memory.most_kept(together) == 12000
    assert memory.most_kept(lambda: x.detach().exp()) == 0


@pytest.mark.parametrize("arch", ["cdcgan", "wgan-gp", "madgan", "flow"])
def test_what_a_step_keeps_grows_with_the_batch(arch, blobs, context):
    config = configured(arch)
    once, twice = (memory.step_memory(config, blobs, context, batch) for batch in (32, 64))
    assert twice / once == pytest.approx(2, rel=0.2)


def test_a_batch_that_does_not_fit_is_refused_with_one_that_does(blobs, context, monkeypatch):
    config = configured("dcgan", batch_size=100_000)
    needed = memory.step_memory(config, blobs, context, memory.PROBED) / memory.PROBED
    monkeypatch.setattr(memory, "free_memory", lambda: round(1000 * needed))
    with pytest.raises(
        UsageError, match=r"^--batch-size 100000: a step needs .* --batch-size 512 would fit$"
    ):
        memory.check_memory(config, blobs, context)
    fits = dataclasses.replace(config, recipe=dataclasses.replace(config.recipe, batch_size=512))
    memory.check_memory(fits, blobs, context)


def test_where_not_even_a_small_batch_fits(blobs, context, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 1000)
    with pytest.raises(UsageError, match="give smaller networks"):
        memory.check_memory(configured("madgan", {"generators": 4}, batch_size=4096), blobs, context)


@pytest.mark.parametrize("free", [None, 10])
def test_nothing_is_tried_where_it_cannot_matter(free, blobs, context, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: free)
    monkeypatch.setattr(memory, "step_memory", lambda *given: pytest.fail("a step was made"))
    memory.check_memory(configured("dcgan", batch_size=100_000 if free is None else 64), blobs, context)
    memory.check_memory(configured("ppca"), blobs, context)


def test_a_trial_takes_a_step_not_a_pretraining_step(blobs, context):
    plain, pretrained = (configured("cdcgan", d_pretrain=steps) for steps in (0, 5))
    first, second = (memory.step_memory(config, blobs, context, 16) for config in (plain, pretrained))
    assert first == second


def test_the_steps_of_a_run_are_those_without_the_trial(blobs, context):
    config, ends = configured("cdcgan"), []
    for tried in (False, True):
        if tried:
            memory.step_memory(config, blobs, context, 8)
        method, steps = memory.steps_to_try(config, blobs, context)
        losses = [next(steps).numbers() for _ in range(2)]
        ends.append((losses, [p.detach().clone() for p in method.generator.parameters()]))
    assert ends[0][0] == ends[1][0]
    assert all(map(torch.equal, ends[0][1], ends[1][1]))


def test_a_finished_run_is_only_reported(blobs, tmp_path, monkeypatch):
    config = dataclasses.replace(configured("gan", {"width": 8}, batch_size=80), runtime=Runtime(threads=1))
    config = dataclasses.replace(config, budget=Budget(steps=1))
    fit_generator(config, blobs, tmp_path / "run", fingerprint="x")
    monkeypatch.setattr(memory, "free_memory", lambda: 10)
    fit_generator(config, blobs, tmp_path / "run", fingerprint="x")
    with pytest.raises(UsageError, match="give smaller networks"):
        fit_generator(config, blobs, tmp_path / "other", fingerprint="x")
