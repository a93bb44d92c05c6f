"""Options that were renamed: the old name of a flag, an environment variable or a YAML key leads to the new one."""

from collections.abc import Collection, Mapping

from gangda.config.fields import variable_of

FLAGS: Mapping[str, str] = {
    "--anneal": "--anneal-synthetic-weight",
    "--fresh": "--synthetic-passes",
    "--identity": "--generator-id-weight",
    "--lr-hold": "--lr-constant-steps",
    "--procedure": "--multiplicity",
    "--transition": "--conditioning-warmup",
}


def flag_message(flag: str, known: Collection[str]) -> str:
    """What to say of a flag that no command has, where one of the `known` flags had that name; empty otherwise."""
    no = "--no-" if flag.startswith("--no-") else "--"
    new = FLAGS.get("--" + flag.removeprefix(no), "")
    return f"{flag} is now called {no}{new[2:]}" if new in known else ""


def key_message(key: str, known: Collection[str]) -> str:
    """The same of a YAML key."""
    new = FLAGS.get("--" + key.replace("_", "-"), "")[2:].replace("-", "_")
    return f"{key} is now called {new}" if new in known else ""


def variable_message(environ: Mapping[str, str], known: Collection[str]) -> str:
    """The same of the first environment variable that is set under an old name; `known` are flags."""
    for old, new in FLAGS.items():
        if environ.get(variable_of(old)) and new in known:
            return f"{variable_of(old)} is now called {variable_of(new)}"
    return ""
