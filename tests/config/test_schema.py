"""The configurations refuse what cannot be meant, in words that name the flag."""

import dataclasses
import json

import pytest

from gangda.config import architectures, files, schema
from gangda.config.fields import flag_of, from_plain
from gangda.errors import UsageError

CLASSES = [
    *files.SECTIONS.values(),
    *(architectures.spec_class(name) for name in ("gan", "dcgan", "cdcgan", "madgan", "pca")),
]
FIELDS = [(cls, field) for cls in CLASSES for field in dataclasses.fields(cls)]


def ids(value):
    return getattr(value, "__name__", None) or getattr(value, "name", None)


@pytest.mark.parametrize(
    "config", [*(cls() for cls in CLASSES), schema.DataConfig(class_counts=(3, 4))], ids=repr
)
def test_plain_values_from_json_make_the_same_configuration(config):
    assert from_plain(type(config), json.loads(json.dumps(dataclasses.asdict(config)))) == config


@pytest.mark.parametrize(("cls", "field"), FIELDS, ids=ids)
def test_every_field_is_an_option_with_help(cls, field):
    assert field.metadata["help"]
    assert flag_of(field).startswith("--")


@pytest.mark.parametrize("cls", CLASSES, ids=ids)
def test_defaults_are_valid(cls):
    assert cls() == cls()


@pytest.mark.parametrize(("cls", "field"), FIELDS, ids=ids)
def test_limits_hold_on_both_sides(cls, field):
    for limit, outside in (("minimum", -1), ("maximum", 1)):
        bound = field.metadata[limit]
        if bound is None:
            continue
        default = field.default
        typed = (
            (bound + outside,) * len(default) if isinstance(default, tuple) and default else bound + outside
        )
        with pytest.raises(UsageError, match=flag_of(field)):
            cls(**{field.name: typed})


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: schema.Budget(steps=1, minutes=1.0), "--steps and --minutes exclude each other"),
        (lambda: schema.Budget(epochs=1, minutes=1.0), "--epochs and --minutes exclude each other"),
        (lambda: schema.AugmentConfig(ratio=0.0, replace=0.5), "--ratio and --replace exclude each other"),
        (lambda: schema.AugmentConfig(balance=True, replace=0.5), "--balance and --replace exclude"),
        (lambda: schema.SampleConfig(per_class=1, counts="a=1"), "--per-class and --counts exclude"),
        (
            lambda: schema.DataConfig(per_class=2, class_counts=(1, 2)),
            "--per-class and --class-counts exclude",
        ),
        (lambda: architectures.MadganSpec(generators=0), "--generators 0: must be between 1 and 64"),
        (lambda: schema.AugmentConfig(ratio=-1.0), "--ratio -1.0: must be at least 0"),
        (lambda: schema.AugmentConfig(ratio=float("nan")), "--ratio nan: must be at least 0"),
        (lambda: schema.Runtime(precision="fp8"), "--precision fp8: choose from auto, fp32, bf16"),
        (lambda: schema.CompareConfig(arms=("real", "fake")), "--arms fake: no such arm"),
        (lambda: schema.Budget(checkpoint_every="0"), "--checkpoint-every 0: not of the right form: steps"),
        (
            lambda: schema.Budget(checkpoint_every="5x"),
            "--checkpoint-every 5x: not of the right form: steps",
        ),
        (lambda: schema.SampleConfig(shard="0/2"), "--shard 0/2: not of the right form"),
    ],
)
def test_refused_with_the_flag_named(build, message):
    with pytest.raises(UsageError) as caught:
        build()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("every", ["2000", "2000s", "5e", "1"])
def test_checkpoint_every_as_typed(every):
    assert schema.Budget(checkpoint_every=every).checkpoint_every == every


def test_balance_and_ratio_go_together():
    assert schema.AugmentConfig(balance=True, ratio=0.5).ratio == 0.5


@pytest.mark.parametrize("share", [0, 1, 1.5, -0.1, float("nan")])
def test_no_sample_starts_from_an_image_itself_or_from_noise_alone(share):
    with pytest.raises(UsageError, match=rf"^--start-from-real {share}: must be between 0.001 and 0.999"):
        schema.SamplerOptions(start_from_real=share)
    assert schema.SamplerOptions(start_from_real=0.3).given() == {"--start-from-real": 0.3}


def test_options_of_the_sampler_are_refused_where_nothing_understands_them():
    options = schema.SamplerOptions(truncation=1.0, guidance=2.0)
    assert options.understood(("guidance", "sampler_steps")) == {"sampler_steps": 8, "guidance": 2.0}
    assert options.only(("guidance",)) == schema.SamplerOptions(guidance=2.0)
    options.check(("truncation", "guidance"), "r")
    with pytest.raises(
        UsageError, match=r"^--guidance 2.0: not an option of r; leave it out, or give --truncation$"
    ):
        options.check(("truncation",), "r")
    schema.SamplerOptions().check((), "r")
    with pytest.raises(UsageError, match="--sampler midpoin: did you mean 'midpoint'"):
        schema.SamplerOptions(sampler="midpoin")


def test_a_policy_stands_for_ranges_and_goes_with_none_of_its_own():
    weak = schema.TransformConfig(policy="weak", mixup=0.2).ranges()
    assert (weak.policy, weak.rotation, weak.translation, weak.scaling) == ("explicit", 0.0, 0.07, (1.0, 1.0))
    assert (weak.blur, weak.flip, weak.erasing, weak.mixup) == (0.0, 0.0, 0.0, 0.2)
    own = schema.TransformConfig(rotation=3.0)
    assert own.ranges() == own
    with pytest.raises(UsageError, match="--policy weak and --rotation exclude each other"):
        schema.TransformConfig(policy="weak", rotation=3.0).ranges()
    with pytest.raises(UsageError, match="compare alone chooses one"):
        schema.TransformConfig(policy="auto").ranges()
