"""Options of the flows' architecture."""

from gangda.config.architectures import FlowSpec


def test_guidance_wants_a_generator_that_knows_both_with_and_without_classes():
    assert "guidance" in FlowSpec().understood
    for own in ({"class_dropout": 0.0}, {"conditional": False}):
        names = FlowSpec(**own).understood
        assert "guidance" not in names
        assert {"sampler", "sampler_steps"} <= set(names)
