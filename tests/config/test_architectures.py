"""Options of the flows' architecture."""

import pytest

from gangda.config.architectures import FlowSpec
from gangda.config.resolve import resolve


def test_guidance_wants_a_generator_that_knows_both_with_and_without_classes():
    assert "guidance" in FlowSpec().understood
    for own in ({"class_dropout": 0.0}, {"conditional": False}):
        names = FlowSpec(**own).understood
        assert "guidance" not in names
        assert {"sampler", "sampler_steps"} <= set(names)


@pytest.mark.parametrize(("flags", "expected"), [({}, 10), ({("compare", "synthetic_passes"): "3"}, 3)])
def test_a_comparison_of_flows_takes_a_pool_of_samples(flags, expected):
    settings = resolve({("arch", "name"): "flow", **flags}, {})
    assert settings.compare.synthetic_passes == expected
    assert settings.origins["compare.synthetic_passes"] == ("flag" if flags else "preset of flow")
    assert resolve({}, {}).compare.synthetic_passes == 1
