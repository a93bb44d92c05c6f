"""What a user may have meant leads to what there is."""

import pytest

from gangda.cli.main import COMMANDS, command
from gangda.config import arms, catalog, hints

KNOWN = {
    **catalog.ARCHITECTURES, **catalog.METRICS, **catalog.CLASSIFIERS, **arms.ARMS, **COMMANDS,
    "accuracy": "", "balanced": "", "cuda": "",
}  # fmt: skip


def test_every_hint_leads_to_a_flag_that_a_command_has():
    flags = {flag for name in COMMANDS for param in command(name).params for flag in param.opts}
    assert not set(hints.FLAGS) - {"--repeats"} & flags  # a flag of classify alone
    for meant in hints.FLAGS.values():
        assert {words.partition(" ")[0] for words in meant} <= flags


def test_every_name_leads_to_names_that_are_known():
    assert {name for meant in hints.NAMES.values() for name in meant} <= set(KNOWN)


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("GAN", ("real", "generated"), "did you mean 'generated'? "),
        ("gan", ("cdcgan", "dcgan"), "did you mean 'cdcgan'? "),
        ("lenett", ("lenet", "resnet"), "did you mean 'lenet'? "),
        ("zebra", ("lenet", "resnet"), ""),
    ],
)
def test_suggestion(name, known, said):
    assert hints.suggestion(name, known) == said
