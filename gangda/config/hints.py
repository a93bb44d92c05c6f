"""What a user may have meant: words of other programs and of the field, and near names. One table for each kind."""

import difflib
from collections.abc import Collection, Iterable, Mapping

# What other programs call an option -> what to type here; of several, the first whose flag the command has.
FLAGS: Mapping[str, tuple[str, ...]] = {
    "--architecture": ("--arch",),
    "--augment": ("--transforms", "--method"),
    "--batch": ("--batch-size", "--classifier-batch"),
    "--checkpoint-dir": ("--out",),
    "--cpu": ("--device cpu",),
    "--cuda": ("--device cuda",),
    "--dataset": ("--data",),
    "--epoch": ("--epochs", "--classifier-epochs"),
    "--f1": ("--score-by balanced",),
    "--gpu": ("--device cuda",),
    "--gpus": ("--device cuda",),
    "--img-size": ("--image-size",),
    "--input": ("--data",),
    "--iterations": ("--steps", "--classifier-steps"),
    "--learning-rate": ("--lr", "--classifier-lr"),
    "--metric": ("--metrics", "--score-by"),
    "--model": ("--arch", "--classifier"),
    "--models": ("--arch", "--classifier"),
    "--n": ("--per-class",),
    "--num": ("--per-class",),
    "--num-images": ("--per-class",),
    "--num-samples": ("--per-class",),
    "--num-workers": ("--jobs", "--threads"),
    "--oversample": ("--balance", "--class-sampling balanced"),
    "--output": ("--out",),
    "--output-dir": ("--out",),
    "--repeats": ("--seeds", "--repeats"),
    "--runs": ("--seeds", "--repeats"),
    "--size": ("--image-size",),
    "--time": ("--minutes",),
    "--val": ("--validation",),
    "--workers": ("--jobs", "--threads"),
}
# The argument of a command that takes one without a flag -> its name in the help, and flags that it is looked for by.
PLACES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "run": ("RUN", ("--run", "--model")),
    "set_path": ("SET", ("--data", "--set", "--samples", "--train")),
    "samples": ("SAMPLES", ("--samples", "--set")),
}
# What people call a thing -> names of which one may be known where it was typed.
NAMES: Mapping[str, tuple[str, ...]] = {
    "accuracy": ("cas", "accuracy"),
    "augmentation": ("traditional",),
    "augmented": ("generated",),
    "balanced-accuracy": ("balanced",),
    "baseline": ("real",),
    "benchmark": ("compare",),
    "cnn": ("lenet",),
    "ddpm": ("edm",),
    "diffusion": ("edm",),
    "evaluate": ("score",),
    "f1": ("balanced", "cas"),
    "fit": ("train",),
    "gan": ("generated", "cdcgan"),
    "generate": ("sample",),
    "gpu": ("cuda",),
    "inception": ("is",),
    "macro-f1": ("balanced", "cas"),
    "mixup": ("balanced+trivial+mixup",),
    "none": ("real",),
    "recall": ("precision_recall",),
    "resnet18": ("resnet",),
    "resnet50": ("resnet",),
    "synthetic": ("generated",),
    "test": ("classify",),
    "weighted": ("class-weights",),
}


def suggestion(name: str, known: Iterable[str], prefix: str = "") -> str:
    """ "did you mean 'NAME'? " for the known name that is meant or nearest; empty where none is near.

    `prefix`: what all names begin with; it makes none of them nearer.
    """
    names = [one.removeprefix(prefix) for one in known]
    meant = [other for other in NAMES.get(name.lower(), ()) if other in names]
    near = meant or difflib.get_close_matches(name.removeprefix(prefix), names, n=1)
    return f"did you mean '{prefix}{near[0]}'? " if near else ""


def of_flag(flag: str, command: str, known: Mapping[str, Collection[str]]) -> str:
    """What to say of a flag that `command` does not have; `known` are the flags of every command, by name.

    In this order: an argument without a flag, what other programs call so, the commands that have it, the nearest.
    """
    own, meant = known[command], FLAGS.get(flag, (flag,))
    for argument, (name, flags) in PLACES.items():
        if argument in own and flag in flags:
            return f"gangda {command} has no {flag}: did you mean gangda {command} {name}, without it?"
    there = [words for words in meant if words.partition(" ")[0] in own]
    if there:
        return f"gangda {command} has no {flag}: did you mean {there[0]}?"
    elsewhere = {
        words: [name for name, flags in known.items() if words.partition(" ")[0] in flags] for words in meant
    }
    if found := next(((names, words) for words, names in elsewhere.items() if names), None):
        names, words = found
        verb = "has" if len(names) == 1 else "have"
        return f"gangda {command} has no {flag}: gangda {', '.join(names)} {verb} {words}"
    return f"gangda {command} has no {flag}: {suggestion(flag, own)}see 'gangda {command} --help'"


def of_word(word: str, command: str, known: Mapping[str, Collection[str]], flags: Collection[str]) -> str:
    """What to say of a word too many; `known`: the names that flags take, the last flag of which takes any word.

    A number is meant for --fill: the flag before it, such as --balance, takes none.
    """
    meant = [flag for flag, names in known.items() if flag in flags and (word in names or not names)]
    if word.replace(".", "", 1).isdigit():
        meant = [flag for flag in ("--fill",) if flag in flags]
    asked = f": did you mean {meant[0]} {word}?" if meant else f" (see 'gangda {command} --help')"
    return f"gangda {command} does not know what to do with '{word}'{asked}"
