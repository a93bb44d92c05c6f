"""The subcommands: their sections of options, what `--help` shows of them, and examples."""

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
    shown: tuple[str, ...] = ()  # flags that `--help` shows, in this order; empty for all
    examples: tuple[tuple[str, str], ...] = ()  # command lines, each with what it is for


_GENERATOR = ("arch", "recipe", "method", "budget")
_LAST = ("--seed", "--device", "--out", "--dry-run")

COMMANDS: Mapping[str, Subcommand] = {
    "train": Subcommand(
        "Train a generator on real images; writes a run folder.",
        ("data", *_GENERATOR, "runtime"),
        together=True,
        shown=(
            "--data", "--per-class", "--image-size", "--arch", "--list", "--steps", "--minutes", "--batch-size",
            "--lr", "--diffaugment", "--resume", *_LAST,
        ),
        examples=(
            ("gangda train --data my_icons --dry-run", "time, memory and disk that it would take"),
            ("gangda train --data my_icons --image-size 32 --out run", "a folder of class folders"),
            ("gangda train --data my_icons --arch flow --minutes 20", "as good as 20 minutes allow"),
        ),
    ),
    "sample": Subcommand(
        "Draw class-labelled samples from a trained generator; writes a sample set.",
        ("sample", "sampler", "runtime"),
        shown=(
            "--per-class", "--counts", "--format", "--filter", "--checkpoint", "--truncation", "--guidance",
            "--sampler-steps", *_LAST,
        ),
        examples=(
            ("gangda sample run --per-class 100 --out samples", "PNG files in class folders"),
            ("gangda sample run --counts cat=50,dog=20 --format npz", "some classes, as one array"),
        ),
    ),
    "augment": Subcommand(
        "Add synthetic images to the real training images; writes an augmented set.",
        ("data", "augment", "sampler", "transforms", "classifier", "runtime"),
        shown=(
            "--data", "--per-class", "--image-size", "--run", "--method", "--ratio", "--balance", "--fill",
            "--replace", "--filter", "--format", *_LAST,
        ),
        examples=(
            ("gangda augment --data my_icons --run run --balance", "fills every class to the largest"),
            ("gangda augment --data my_icons --run run --ratio auto", "the best ratio on validation images"),
            ("gangda augment --data my_icons --method traditional --ratio 1", "without a generator"),
        ),
    ),
    "classify": Subcommand(
        "Train a classifier on SET and test it on held-out real images.",
        ("data", "classifier", "transforms", "runtime"),
        without=("data.source", "data.unlabelled"),
        shown=(
            "--test", "--transforms", "--policy", "--repeats", "--classifier", "--classifier-steps",
            "--per-class", "--image-size", *_LAST,
        ),
        examples=(
            ("gangda classify augmented", "a set that `gangda augment` wrote"),
            ("gangda classify my_icons --transforms --repeats 5", "real images, five training runs"),
        ),
    ),
    "score": Subcommand(
        "Compare samples with held-out real images; each metric is shown beside its value for real images.",
        ("data", "score", "classifier", "runtime"),
        without=("data.unlabelled",),
        shown=(
            "--data", "--metrics", "--image-size", "--classifier-steps", "--rating-page", "--rating-images",
            "--ratings", *_LAST,
        ),
        examples=(
            ("gangda score samples", "all metrics of a set that `gangda sample` wrote"),
            ("gangda score my_samples --data my_icons --metrics fid,cas", "two metrics of any folder"),
        ),
    ),
    "compare": Subcommand(
        "Does generated data help, and how much? Paired seeds, a verdict and an HTML report.",
        ("data", "compare", *_GENERATOR, "sampler", "transforms", "classifier", "runtime"),
        without=("recipe.init_from",),
        shown=(
            "--data", "--per-class", "--image-size", "--arms", "--arch", "--steps", "--seeds", "--ratios",
            "--balance", "--classifier", "--classifier-steps", "--experiment", "--list", *_LAST,
        ),
        examples=(
            ("gangda compare --dry-run", "its own question: can a GAN replace transforms where digits are few?"),
            ("gangda compare --data my_icons", "a folder of class folders: all is chosen for it"),
            ("gangda compare --data my_icons --dry-run", "what it sees, and time, memory and disk"),
        ),
    ),
    "tune": Subcommand(
        "Search the options of training; never sees test images. Writes the best configuration.",
        ("data", "tune", *_GENERATOR, "sampler", "transforms", "classifier", "runtime"),
        without=("data.unlabelled", "recipe.init_from", "budget.minutes"),
        shown=(
            "--space", "--list", "--data", "--per-class", "--image-size", "--objective", "--trials", "--search",
            "--steps", "--resume", *_LAST,
        ),
        examples=(
            ("gangda tune --space flow --data my_icons --dry-run", "how many steps, and about how long"),
            ("gangda tune --space flow --data my_icons --trials 30 --out study", "run it several times to share"),
        ),
    ),
    "examples": Subcommand(
        "List example shell scripts, or print one.",
        (),
        examples=(
            ("gangda examples", "their names, and what each does"),
            ("gangda examples slurm-array", "a comparison as a job array; > FILE keeps it"),
        ),
    ),
    "doctor": Subcommand(
        "Show what is installed and found here, what would be chosen, and why; with --data, what is in it.",
        ("data", "arch", "runtime"),
        shown=("--data", "--per-class", "--image-size", "--device", "--threads", "--json"),
        examples=(
            ("gangda doctor", "what is installed here, and what would be chosen"),
            ("gangda doctor --data my_icons", "classes, counts, twins and other odd things in it"),
        ),
    ),
}  # fmt: skip
