import dataclasses
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gangda.classifying import batches, fit
from gangda.classifying.fit import FittedClassifier, evaluate, fit_classifier, one_cycle, step_count
from gangda.config import catalog
from gangda.config.arms import FitRule
from gangda.config.schema import ClassifierConfig, DataConfig, Runtime, TransformConfig
from gangda.data.images import LabelledImages, real_images
from gangda.data.loading import load_splits
from gangda.errors import DataError, GangdaError, OutcomeError, UsageError
from gangda.runtime.device import DeviceContext, prepare
from gangda.runtime.progress import Reporter
from gangda.runtime.seeding import seed_for

FEW = ClassifierConfig(classifier_steps=12, classifier_batch=16)


@pytest.fixture(scope="module")
def context() -> DeviceContext:
    return prepare(Runtime(device="cpu", precision="fp32", threads=1))


def bars(count: int, side: int = 8, channels: int = 1, seed: int = 0) -> LabelledImages:
    """Noisy images with a bright bar: lying (class 0) or standing (class 1)."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 60, (count, side, side, channels))
    labels = np.arange(count) % 2
    for image, label, place in zip(pixels, labels, rng.integers(1, side - 1, count), strict=True):
        image[(place, slice(None)) if label == 0 else (slice(None), place)] += 150
    return real_images(pixels.astype(np.uint8), labels, ("lying", "standing"))


def test_it_learns_and_is_judged(context: DeviceContext) -> None:
    train, test = bars(200), bars(100, seed=1)
    steps: list[float] = []

    class Listener(Reporter):
        def step(self, task: str, done: float, total: float | None, info: str = "") -> None:
            steps.append(done)

    config = ClassifierConfig(classifier_steps=150, classifier_batch=32)
    fitted = fit_classifier(train, config, seed=0, context=context, reporter=Listener())
    judged = evaluate(fitted, test, train=train)
    assert judged.accuracy > 0.95
    assert judged.train_accuracy is not None
    assert judged.train_accuracy > 0.97
    assert (judged.n_train, len(judged.correct), judged.steps, judged.seed) == (200, 100, 150, 0)
    assert steps == [100, 150]
    assert fitted.features(test.pixels).shape == (100, 84)
    assert fitted.logits(test.pixels[:0]).shape == (0, 2)


@pytest.mark.parametrize("transforms", [None, TransformConfig()])
def test_same_seed_same_bits_whatever_ran_before(
    context: DeviceContext, transforms: TransformConfig | None
) -> None:
    train = bars(50)
    first = fit_classifier(train, FEW, seed=3, context=context, transforms=transforms)
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    again = fit_classifier(train, FEW, seed=3, context=context, transforms=transforms)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert again.fingerprint == first.fingerprint
    other = fit_classifier(train, FEW, seed=4, context=context, transforms=transforms)
    assert other.fingerprint != first.fingerprint


@pytest.mark.parametrize("name", ["lenet", "resnet"])
@pytest.mark.parametrize("rule", [FitRule(), FitRule(mixup=0.2)], ids=["plain", "mixup"])
def test_reversed_batches_round_otherwise_and_change_nothing_else(
    context: DeviceContext, name: str, rule: FitRule
) -> None:
    config = dataclasses.replace(FEW, classifier=name, classifier_steps=3)
    weighted = dataclasses.replace(bars(40), weight=np.linspace(0.5, 1.5, 40))
    usual, other = (
        fit_classifier(weighted, config, seed=1, context=context, rule=rule, reverse=reverse)
        for reverse in (False, True)
    )
    assert usual.fingerprint != other.fingerprint
    for before, after in zip(usual.network.parameters(), other.network.parameters(), strict=True):
        torch.testing.assert_close(before, after, rtol=0, atol=2e-3)


def test_transforms_change_what_is_learned(context: DeviceContext) -> None:
    plain = fit_classifier(bars(50), FEW, seed=0, context=context)
    moved = fit_classifier(bars(50), FEW, seed=0, context=context, transforms=TransformConfig())
    off = TransformConfig(rotation=0, translation=0, scaling=(1.0, 1.0), blur=0)
    still = fit_classifier(bars(50), FEW, seed=0, context=context, transforms=off)
    assert plain.fingerprint == still.fingerprint != moved.fingerprint


def test_mixup_among_the_transforms_is_that_of_a_rule(context: DeviceContext) -> None:
    off = TransformConfig(rotation=0, translation=0, scaling=(1.0, 1.0), blur=0)
    mixing = dataclasses.replace(off, mixup=0.2)
    plain, mixed = (
        fit_classifier(bars(50), FEW, seed=0, context=context, transforms=transforms)
        for transforms in (off, mixing)
    )
    by_rule = fit_classifier(bars(50), FEW, seed=0, context=context, rule=FitRule(mixup=0.2))
    assert plain.fingerprint != mixed.fingerprint == by_rule.fingerprint


def test_it_is_a_plain_training_loop_made_fast(
    context: DeviceContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against torch's own schedulers, unfused optimizer and a loop written down anew; chunks of two batches."""
    train, steps = bars(40), 12
    weight = np.random.default_rng(0).uniform(0, 2, 40).astype(np.float32)
    train = dataclasses.replace(train, weight=weight)
    monkeypatch.setattr(batches, "CHUNK", 32)
    fitted = fit_classifier(train, FEW, seed=5, context=context)
    stream = torch.Generator().manual_seed(seed_for(5, "classifier", "order"))
    order = torch.cat([torch.randperm(40, generator=stream) for _ in range(5)])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(5, "classifier", "init"))
        network = fit.build_classifier("lenet", 2, (1, 8, 8))
    optimizer = torch.optim.AdamW(network.parameters(), lr=FEW.classifier_lr, weight_decay=0.01)
    x = torch.tensor(train.pixels).permute(0, 3, 1, 2) / 127.5 - 1
    y, w = torch.tensor(train.labels), torch.tensor(weight / weight.mean())
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps - 1)
    for step in range(steps):
        if step > 0:
            fall.step()
        rows = order[16 * step : 16 * step + 16]
        loss = (nn.functional.cross_entropy(network(x[rows]), y[rows], reduction="none") * w[rows]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    ours, theirs = fitted.network.state_dict(), network.state_dict()
    for name in theirs:
        torch.testing.assert_close(ours[name], theirs[name], atol=2e-4, rtol=1e-3)


def test_weights_count_relatively_and_zero_means_absent(context: DeviceContext) -> None:
    train = bars(60)
    poison = dataclasses.replace(train, labels=1 - train.labels)
    both = LabelledImages(
        np.concatenate([train.pixels, poison.pixels]),
        np.concatenate([train.labels, poison.labels]),
        train.class_names,
        np.arange(120),
        np.zeros(120, dtype=np.uint8),
        weight=np.repeat(np.float32([2, 0]), 60),
    )
    config = ClassifierConfig(classifier_steps=150, classifier_batch=32)
    assert evaluate(fit_classifier(both, config, seed=0, context=context), bars(60, seed=1)).accuracy > 0.9
    equal = dataclasses.replace(train, weight=np.full(60, 4, dtype=np.float32))
    logits = [fit_classifier(t, FEW, seed=0, context=context).logits(train.pixels) for t in (train, equal)]
    np.testing.assert_allclose(logits[0], logits[1], atol=1e-3)


def test_answers_do_not_depend_on_the_batch(context: DeviceContext, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = fit_classifier(bars(40), FEW, seed=0, context=context)
    whole = fitted.logits(bars(40).pixels)
    monkeypatch.setattr(DeviceContext, "inference_batch", lambda *given: 7)
    np.testing.assert_allclose(fitted.logits(bars(40).pixels), whole, atol=1e-5)


def test_learning_rate_rises_then_falls_to_zero() -> None:
    rates = one_cycle(1000, 0.5)
    assert len(rates) == 1000
    assert rates[0] == pytest.approx(0.5 / 100)
    assert rates[99] == pytest.approx(0.5)
    assert rates[549] == pytest.approx(0.25, abs=1e-3)
    assert rates[-1] == pytest.approx(0)
    assert all(
        math.isfinite(rate) and len(one_cycle(n, 1.0)) == n for n in (1, 2, 3) for rate in one_cycle(n, 1)
    )


@pytest.mark.parametrize(
    ("config", "count", "steps"),
    [
        (ClassifierConfig(classifier_steps=7), 1000, 7),
        (ClassifierConfig(classifier_epochs=5), 60_000, 4688),
        (ClassifierConfig(classifier_epochs=2), 10, 2),
    ],
)
def test_steps(config: ClassifierConfig, count: int, steps: int) -> None:
    assert step_count(config, count) == steps


@pytest.mark.parametrize("name", catalog.CLASSIFIERS)
@pytest.mark.parametrize(("channels", "side"), [(1, 8), (3, 12)])
def test_saved_and_read_again(
    context: DeviceContext, tmp_path: Path, name: str, channels: int, side: int
) -> None:
    images = bars(40, side, channels)
    fitted = fit_classifier(images, dataclasses.replace(FEW, classifier=name), seed=1, context=context)
    fitted.save(tmp_path / "c.safetensors")
    again = FittedClassifier.load(tmp_path / "c.safetensors", context)
    assert again.fingerprint == fitted.fingerprint
    assert (again.class_names, again.image_shape, again.seed) == (images.class_names, images.image_shape, 1)
    assert np.array_equal(again.logits(images.pixels), fitted.logits(images.pixels))


def test_lenet_runs_in_fp32_on_a_cpu(context: DeviceContext) -> None:
    fitted = fit_classifier(bars(20), FEW, seed=0, context=dataclasses.replace(context, dtype=torch.bfloat16))
    assert fitted.context.dtype == torch.float32


def test_a_network_of_ones_own(
    context: DeviceContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "from torch import nn\ndef build(k, c, s):\n    return nn.Sequential(nn.Flatten(), nn.Dropout(), "
    (tmp_path / "own_net.py").write_text(code + "nn.Linear(c * s * s, k))\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    config = dataclasses.replace(FEW, classifier="own_net:build")
    fitted = fit_classifier(bars(40), config, seed=0, context=context)
    assert np.array_equal(fitted.features(bars(4).pixels), fitted.logits(bars(4).pixels))
    # Dropout draws from the fit's own stream.
    again = fit_classifier(bars(40), config, seed=0, context=context)
    assert again.fingerprint == fitted.fingerprint


NOTHING = bars(4).take([])
ONE_CLASS = real_images(np.zeros((4, 8, 8, 1), dtype=np.uint8), np.zeros(4), ("only",))
NEGATIVE = dataclasses.replace(bars(4), weight=np.float32([1, 1, 1, -1]))
WEIGHTLESS = dataclasses.replace(bars(4), weight=np.zeros(4, dtype=np.float32))
UNREADABLE = dataclasses.replace(bars(4), weight=np.float32([1, np.nan, 1, 1]))


@pytest.mark.parametrize(
    ("train", "config", "kind", "says"),
    [
        (NOTHING, FEW, DataError, "no images"),
        (ONE_CLASS, FEW, DataError, "at least two classes"),
        (NEGATIVE, FEW, DataError, "not negative"),
        (WEIGHTLESS, FEW, DataError, "not all zero"),
        (UNREADABLE, FEW, DataError, "finite"),
        (bars(4, side=5), FEW, UsageError, "8 to 64"),
        (bars(4), dataclasses.replace(FEW, classifier="lenett"), UsageError, "did you mean 'lenet'"),
        (bars(4), dataclasses.replace(FEW, classifier_lr=1e30), OutcomeError, "lower --classifier-lr"),
    ],
)
def test_bad_input(
    context: DeviceContext,
    train: LabelledImages,
    config: ClassifierConfig,
    kind: type[GangdaError],
    says: str,
) -> None:
    with pytest.raises(kind, match=says):
        fit_classifier(train, config, seed=0, context=context)


def test_other_images_are_refused(context: DeviceContext, tmp_path: Path) -> None:
    fitted = fit_classifier(bars(20), FEW, seed=0, context=context)
    with pytest.raises(DataError, match="trained on 8x8 images with 1 channels"):
        fitted.logits(bars(4, side=12).pixels)
    with pytest.raises(DataError, match="the classifier knows"):
        evaluate(fitted, dataclasses.replace(bars(4), class_names=("up", "down")))
    (tmp_path / "bad").write_bytes(b"no weights")
    for name, says in (("absent", "no such file"), ("bad", "not a readable safetensors")):
        with pytest.raises(DataError, match=says):
            FittedClassifier.load(tmp_path / name, context)


@pytest.mark.long
def test_real_only_has_levelled_off_at_the_default_steps(context):
    """Doubling --classifier-steps moves the real-only arm by less than half a point (mean of four subsets)."""
    accuracies = {}
    for steps in (2000, 4000):
        config = ClassifierConfig(classifier_steps=steps)
        drawn = [(seed, load_splits(DataConfig(per_class=50), seed)) for seed in range(4)]
        fitted = [(fit_classifier(s.train, config, seed=seed, context=context), s.test) for seed, s in drawn]
        accuracies[steps] = np.mean([evaluate(classifier, test).accuracy for classifier, test in fitted])
    assert abs(accuracies[4000] - accuracies[2000]) < 0.005
