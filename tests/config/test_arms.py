import pytest

from gangda.comparing.added_images import SOURCES
from gangda.config import arms
from gangda.errors import UsageError


def test_every_arm_has_a_source_for_what_it_adds():
    assert {arm.source for arm in arms.ARMS.values() if arm.added} == set(SOURCES)
    assert {arm.added for arm in arms.ARMS.values() if arm.added} <= set(SOURCES)


def test_an_arm_may_name_its_architecture():
    arm, arch = arms.parse_arm("generated+traditional@wgan-gp")
    assert (arm, arch) == (arms.ARMS["generated+traditional"], "wgan-gp")
    assert arms.parse_arm("real") == (arms.ARMS["real"], None)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("genrated", "did you mean 'generated'"),
        ("generated@dcgann", "unknown architecture 'dcgann'"),
        ("real@dcgan", "has no generated images"),
        ("pseudo-labelled+traditional@flow:75%", "pseudo-labelled"),
        ("pseudo-labelled+traditional:100%", "below 100%, as in pseudo-labelled[+]traditional:25%$"),
        ("pseudo-labelled+traditional:fill0%", "adds no images; leave out :fill0%"),
        ("trivial:auto", "adds no images; leave out :auto"),
        ("traditional:auto:25%", "adds no images; leave out :auto:25%"),
    ],
)
def test_other_names_are_refused(name, message):
    with pytest.raises(UsageError, match=message):
        arms.parse_arm(name)


@pytest.mark.parametrize(
    ("name", "ratio"),
    [("generated", None), ("generated:0.5", 0.5), ("generated:50%", 1.0), ("generated@flow:20%", 0.25)],
)
def test_a_ratio_is_images_per_real_one_or_a_share_of_the_batch(name, ratio):
    assert arms.amount_of(name) == (None if ratio is None else arms.Amount(ratio))


def test_arms_that_are_no_use_of_generated_images_are_known():
    checks = {"leaky", "permuted-labels", "wrong-range", "wrong-size", "copies", "shuffled"}
    assert {name for name, arm in arms.ARMS.items() if arm.is_check} == checks
    real = {"held-back", "other-real", "held-back+traditional"}
    assert {name for name, arm in arms.ARMS.items() if arm.is_other_real} == real


@pytest.mark.parametrize("text", ["100%", "0%", "-5%", "120%", "%", "nan%", "5%%", "inf%"])
def test_an_impossible_share_is_refused(text):
    with pytest.raises(UsageError, match=r"is not a ratio; write a number above 0"):
        arms.amount_of(f"generated:{text}")


@pytest.mark.parametrize(
    ("name", "level"), [("smote:fill50%", 0.5), ("generated@flow:fill1.5", 1.5), ("generated:fill100%", 1.0)]
)
def test_a_level_to_fill_to_is_a_share_of_the_largest_class(name, level):
    assert arms.amount_of(name) == arms.Amount(level, fill=True)
    assert arms.parse_arm(name)[0].added


@pytest.mark.parametrize("text", ["fill", "fill%", "fill0%", "fill-1", "fillnan", "filled", "fill inf"])
def test_an_impossible_level_is_refused(text):
    with pytest.raises(UsageError, match="or generated:fill50%"):
        arms.parse_arm(f"generated:{text}")
