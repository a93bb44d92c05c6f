"""`gangda examples`: example shell scripts."""

from collections.abc import Mapping
from typing import Annotated, Any

from typer import Argument

from gangda import examples as scripts
from gangda.cli.options import Call
from gangda.cli.output import Screen


def examples(
    call: Call,
    name: Annotated[
        str | None, Argument(metavar="[NAME]", help="one of them", autocompletion=scripts.FILES.starting)
    ] = None,
) -> None:
    """List example shell scripts, or print one."""
    if name is not None:
        values = {"name": name, "script": scripts.text(name)}
        call.terminal.result(values, lambda out, values: out.say(values["script"].rstrip("\n")))
        return
    listed = [{"name": one, "summary": scripts.summary(one)} for one in scripts.names()]
    call.terminal.result({"examples": listed}, _show_list)


def _show_list(out: Screen, values: Mapping[str, Any]) -> None:
    rows = [(one["name"], one["summary"]) for one in values["examples"]]
    out.draw("Examples", ("name", "what it does"), rows, left=2)
    out.say("gangda examples NAME > script.sh")
