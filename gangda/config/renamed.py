"""Options that were renamed: the old name of a flag, an environment variable or a YAML key leads to the new one."""

from collections.abc import Callable, Collection, Mapping

from gangda.config.fields import variable_of

FLAGS: Mapping[str, tuple[str, ...]] = {
    "--anneal": ("--anneal-synthetic-weight",),
    "--fresh": ("--synthetic-passes",),
    "--identity": ("--generator-id-weight",),
    "--lr-hold": ("--lr-constant-steps",),
    "--mode": ("--balance", "--replace"),
    "--procedure": ("--multiplicity",),
    "--transition": ("--conditioning-warmup",),
}


def flag_message(flag: str, known: Collection[str]) -> str:
    """What to say of a flag that no command has, where one of the `known` flags had that name; empty otherwise."""
    no = "--no-" if flag.startswith("--no-") else "--"
    return _message(flag, "--" + flag.removeprefix(no), known, lambda new: no + new[2:])


def key_message(key: str, known: Collection[str]) -> str:
    """The same of a YAML key."""
    flags = ["--" + name.replace("_", "-") for name in known]
    return _message(key, "--" + key.replace("_", "-"), flags, lambda new: new[2:].replace("-", "_"))


def variable_message(environ: Mapping[str, str], known: Collection[str]) -> str:
    """The same of the first environment variable that is set under an old name; `known` are flags."""
    for old in FLAGS:
        if environ.get(variable_of(old)) and (message := _message(variable_of(old), old, known, variable_of)):
            return message
    return ""


def _message(name: str, old: str, known: Collection[str], spelt: Callable[[str], str]) -> str:
    new = [flag for flag in FLAGS.get(old, ()) if flag in known]
    return f"{name} is now called {' or '.join(map(spelt, new))}" if new else ""
