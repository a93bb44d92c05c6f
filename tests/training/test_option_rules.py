"""Options that do not go together are refused before any work, with a reason and a way out."""

import dataclasses
import inspect

import numpy as np
import pytest

from gangda.config import architectures
from gangda.config.methods import default_options
from gangda.config.schema import Budget, DataConfig, Runtime, TrainConfig
from gangda.errors import DataError, UsageError
from gangda.runtime.progress import Reporter
from gangda.training import _open_to_change, check, train
from gangda.training.adversarial.option_rules import AdversarialRules
from gangda.training.option_rules import OptionRules

SMALL = {"cdcgan": {"width": 4, "d_width": 4}, "madgan": {"width": 4, "d_width": 4}, "dcgan": {"width": 4}}


def config(arch="cdcgan", budget=None, options=None, **recipe):
    made = architectures.spec_class(arch)(**{**SMALL.get(arch, {}), **(options or {})})
    values, method = default_options({**made.recipe, "batch_size": 8, **recipe}, made.method)
    return TrainConfig(
        data=DataConfig(),
        arch=arch,
        spec=made,
        recipe=values,
        method=method,
        budget=budget or Budget(steps=6),
        runtime=Runtime(threads=1),
    )


# One for each rule: what is refused, and words of the message.
REFUSED = [
    (
        config("madgan", options={"generators": 9}),
        "--generators 9: --batch-size 8 is too small for madgan; give at least 9",
    ),
    (config(loss="wasserstein", r1=0.0), "--loss wasserstein: nothing bounds .* add --gp 10"),
    (config(loss="hinge", label_smoothing=0.1), "--label-smoothing 0.1: .* use --loss nonsaturating"),
    (config("dcgan", gp=10.0), "--gp 10: .* batch norm.* use --arch wgan-gp"),
    (
        config(clip=0.01, options={"spectral_norm": True}),
        "--clip 0.01: spectral norm .* undoes .* --no-spectral-norm",
    ),
    (config(ct=2.0), "--ct 2: needs dropout .* use --cr 10, or raise --dropout"),
    (config(cr=10.0, bcr=10.0), "--cr 10 and --bcr 10: .* give one"),
    (
        config("dcgan", fake_classes="uniform"),
        "--fake-classes uniform: dcgan .* leave it out, or use --arch cdcgan",
    ),
    (config(cr_flip=True), "--cr-flip: .* add --cr 10"),
    (
        config("madgan", options={"generators": 1}, generator_id_weight=0.1),
        "--generator-id-weight 0.1: .* --arch madgan",
    ),
    (
        config("mixture-gan", generator_id_weight=0.1, simultaneous=True),
        "--simultaneous with --generator-id-weight 0.1: .* back to the generators; use --arch madgan",
    ),
    (config(aux_weight=2.0), "--aux-weight 2: .* --arch acgan"),
    (config("acgan", aux_weight=0.0), "--aux-weight 0: .* above 0, or use --arch cdcgan"),
    (config("dcgan", conditioning_warmup=2), "--conditioning-warmup 2: dcgan is unconditional"),
    (
        config("cgan", conditioning_warmup=2),
        "--conditioning-warmup 2: .* cannot start without the class; use --arch cdcgan",
    ),
    (config(conditioning_warmup=6), "--conditioning-warmup 6: the run has 6 steps .* at most 3"),
    (config(curriculum=6), "--curriculum 6: the run has 6 steps .* at most 3"),
]


ALSO = [
    (
        config("dcgan", ct=2.0),
        "--ct 2: needs dropout .* use --cr 10, or an --arch that has --dropout: cgan or gan",
    ),
    (
        config("madgan-separate"),
        "--generators 5: --batch-size 8 is too small for madgan-separate; give at least 10",
    ),
]


@pytest.mark.parametrize(
    ("refused", "words"), REFUSED + ALSO, ids=lambda value: value if isinstance(value, str) else ""
)
def test_refused_in_one_line(refused, words, blobs):
    with pytest.raises(UsageError, match=words) as caught:
        check(refused, blobs, True)
    assert "\n" not in str(caught.value)
    assert "{" not in str(caught.value)


def test_every_rule_has_its_case(blobs):
    source = "".join(inspect.getsource(rules) for rules in (OptionRules, AdversarialRules))
    first = {next(AdversarialRules(case, blobs).errors()) for case, _ in REFUSED}
    assert len(first) == len(REFUSED) == source.count("            yield ")


@pytest.mark.parametrize(
    "allowed",
    [
        config(loss="wasserstein"),
        config(loss="wasserstein", r1=0.0, gp=10.0),
        config(loss="wasserstein", r1=0.0, clip=0.01),
        config(loss="wasserstein", r1=0.0, options={"spectral_norm": True}),
        config(loss="minimax", label_smoothing=0.1),
        config("madgan", loss="minimax", label_smoothing=0.1, generator_id_weight=0.1),
        config("madgan", generator_id_weight=0.1, simultaneous=True),
        config("gan", ct=2.0),
        config(gp=10.0),
        config("acgan", aux_weight=2.0, conditioning_warmup=3),
        config(aux_weight=0.0),
        config(loss="wasserstein", clip=0.01),
        config("sagan", clip=0.01, options={"spectral_norm": False}),
        config(conditioning_warmup=3, curriculum=3),
        config(budget=Budget(minutes=1.0), conditioning_warmup=100, curriculum=100),
        config(budget=Budget(epochs=1), lr_schedule="cosine"),
    ],
    ids=lambda config: f"{config.arch} {config.method.loss}",
)
def test_what_fits_is_let_through(allowed, blobs):
    assert check(allowed, blobs, True).recipe == allowed.recipe


def test_a_method_refuses_losses_that_it_does_not_have():
    with pytest.raises(UsageError, match=r"--loss hinge: .*nonsaturating, minimax"):
        config("madgan", loss="hinge")


def test_ct_is_refused_where_dropout_is_turned_off(blobs):
    with pytest.raises(UsageError, match="raise --dropout"):
        check(config("gan", ct=2.0, options={"dropout": 0.0}), blobs, True)


def test_a_run_with_a_cosine_keeps_its_length():
    assert {"steps", "checkpoint_every"} <= set(_open_to_change(config()))
    cosine = _open_to_change(config(lr_schedule="cosine"))
    assert "checkpoint_every" in cosine
    assert not {"steps", "epochs", "minutes"} & set(cosine)


def test_a_class_without_images_is_put_down_to_where_it_comes_from(blobs):
    rows = np.flatnonzero(blobs.labels != 1)
    wanted = config()
    counts = dataclasses.replace(wanted, data=DataConfig(class_counts=(2, 0, 2)))
    with pytest.raises(
        UsageError, match=r"^--class-counts: class '.*' has no training image; give it 2 or more"
    ):
        check(counts, blobs.take(rows), True)
    with pytest.raises(DataError, match="remove it or add some"):
        check(wanted, blobs.take(rows), True)


@pytest.mark.parametrize(("per_class", "said"), [(8, True), (60, False)])
def test_scarce_classes_are_remarked_upon(per_class, said):
    remarks = []

    class Listening(Reporter):
        def line(self, text):
            remarks.append(text)

    data = DataConfig(per_class=per_class)
    train(dataclasses.replace(config(), data=data), dry_run=True, reporter=Listening())
    assert any("more harm than help" in remark for remark in remarks) is said
