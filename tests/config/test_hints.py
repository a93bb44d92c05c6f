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


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("compare", "did you mean --score-by balanced?"),
        ("train", "gangda augment, compare have --score-by balanced"),
    ],
)
def test_a_flag_with_its_value_is_found_in_other_commands_too(command, said):
    known = {"train": ["--steps"], "augment": ["--score-by"], "compare": ["--score-by"]}
    assert hints.of_flag("--f1", command, known) == f"gangda {command} has no --f1: {said}"
