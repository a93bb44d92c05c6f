"""The subcommands and their sections of options."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Subcommand:
    """A subcommand: its summary, and which options it has."""

    summary: str  # the first line of its help
    sections: tuple[str, ...]  # those whose options it has, in the order of the help's headings
    without: tuple[str, ...] = ()  # "section.field" of options that it does not have
    # Whether processes that torchrun or srun has started share the work. Otherwise torchrun's are refused, and srun's
    # work each by itself.
    together: bool = False


_GENERATOR = ("arch", "recipe", "method", "budget")

COMMANDS: Mapping[str, Subcommand] = {
    "train": Subcommand(
        "Train a generator on real images; writes a run folder.",
        ("data", *_GENERATOR, "runtime"),
        together=True,
    ),
    "sample": Subcommand(
        "Draw class-labelled samples from a trained generator; writes a sample set.",
        ("sample", "sampler", "runtime"),
    ),
    "augment": Subcommand(
        "Add synthetic images to the real training images; writes an augmented set.",
        ("data", "augment", "sampler", "transforms", "classifier", "runtime"),
    ),
    "classify": Subcommand(
        "Train a classifier on SET and test it on held-out real images.",
        ("data", "classifier", "transforms", "runtime"),
        without=("data.source", "data.unlabelled"),
    ),
    "score": Subcommand(
        "Compare samples with held-out real images; each metric is shown beside its value for real images.",
        ("data", "score", "classifier", "runtime"),
        without=("data.unlabelled",),
    ),
    "compare": Subcommand(
        "Does generated data help, and how much? Paired seeds, a verdict and an HTML report.",
        ("data", "compare", *_GENERATOR, "sampler", "transforms", "classifier", "runtime"),
        without=("recipe.init_from",),
    ),
    "tune": Subcommand(
        "Search the options of training; never sees test images. Writes the best configuration.",
        ("data", "tune", *_GENERATOR, "sampler", "transforms", "classifier", "runtime"),
        without=("data.unlabelled", "recipe.init_from", "budget.minutes"),
    ),
    "examples": Subcommand("List example shell scripts, or print one.", ()),
    "doctor": Subcommand(
        "Show what is installed and found here, what would be chosen, and why; with --data, what is in it.",
        ("data", "arch", "runtime"),
    ),
}
