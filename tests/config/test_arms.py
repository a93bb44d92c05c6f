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
    ],
)
def test_other_names_are_refused(name, message):
    with pytest.raises(UsageError, match=message):
        arms.parse_arm(name)
