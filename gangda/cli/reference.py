"""Tables of names and options as Markdown, made from the catalog: `python -m gangda.cli.reference FILE...` renews them.

A table stands between `<!-- table: NAME -->` and `<!-- end -->` of a document. NAME is a key of `TABLES`, or `flags
COMMAND`.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from gangda import experiments
from gangda.cli.main import COMMANDS, command
from gangda.config import architectures, arms, catalog
from gangda.config.fields import names_of
from gangda.errors import UsageError

Rows = Iterable[Sequence[str]]
MARKED = re.compile(r"(<!-- table: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)
PENALTIES = (
    "--r1", "--r2", "--r1-every", "--gp", "--clip", "--ct", "--cr", "--bcr", "--cr-flip", "--lecam",
    "--label-smoothing", "--aux-weight", "--diffaugment",
)  # fmt: skip


def renewed(text: str) -> str:
    """A document with its marked tables as they are now.

    Raises:
        UsageError: no such table.
    """
    return MARKED.sub(lambda found: f"{found[1]}{table(found[2])}{found[3]}", text)


def table(name: str) -> str:
    """The Markdown of a table, with a newline at the end.

    Raises:
        UsageError: no such table.
    """
    kind, _, of_command = name.partition(" ")
    if kind == "flags" and of_command in COMMANDS:
        return _markdown(("option", "what it does"), _flags(of_command))
    if name not in TABLES:
        known = [*TABLES, *(f"flags {listed}" for listed in COMMANDS)]
        raise UsageError(f"no table is called '{name}'; choose from {', '.join(known)}")
    return TABLES[name]()


def _markdown(columns: Sequence[str], rows: Rows) -> str:
    lines = (columns, ["---"] * len(columns), *rows)
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _entries(heading: str, entries: Mapping[str, catalog.Entry]) -> Callable[[], str]:
    """A table of the catalog, with a column of papers where it knows some."""

    def made() -> str:
        papers = any(entry.source for entry in entries.values())
        columns = (heading, "what it is", *(("paper",) if papers else ()))
        return _markdown(
            columns,
            [(f"`{name}`", entry.summary, entry.source)[: len(columns)] for name, entry in entries.items()],
        )

    return made


def _architectures() -> str:
    rows = []
    for name, entry in catalog.ARCHITECTURES.items():
        spec = architectures.spec_class(name)
        either = "conditional" in names_of(spec)
        labels = "either" if either else "yes" if spec.conditional else "no"
        least, largest = spec.size_range
        rows.append((f"`{name}`", entry.summary, entry.source, labels, f"{least} to {largest}"))
    return _markdown(("`--arch`", "what it is", "paper", "class-conditional", "pixels"), rows)


def _arms() -> str:
    return _markdown(
        ("`--arms`", "what it trains on"), [(f"`{name}`", arm.summary) for name, arm in arms.ARMS.items()]
    )


def _experiments() -> str:
    shipped = {name: experiments.read(name) for name in experiments.names()}
    return _markdown(
        ("`--experiment`", "question", "variants"),
        [(f"`{name}`", one.question, str(len(one.variants))) for name, one in shipped.items()],
    )


def _flags(name: str, only: Sequence[str] = ()) -> Rows:
    """Options of a command under their headings; or only some of them, without."""
    built = command(name)
    with built.make_context(name, [], resilient_parsing=True) as context:
        panels = built.help_rows(context)
    for heading, rows in panels.items():
        if not only:
            yield f"**{heading}**", ""
        yield from ((f"`{typed}`", help) for typed, help in rows if not only or typed.split()[0] in only)


TABLES: Mapping[str, Callable[[], str]] = {
    "architectures": _architectures,
    "losses": _entries("`--loss`", catalog.LOSSES),
    "penalties": lambda: _markdown(("option", "what it does"), _flags("train", PENALTIES)),
    "diffaugment": _entries("`--diffaugment`", catalog.POLICIES),
    "sources": _entries("`--data`", catalog.SOURCES),
    "classifiers": _entries("`--classifier`", catalog.CLASSIFIERS),
    "transforms": _entries("transform", catalog.TRANSFORMS),
    "filters": _entries("`--filter`", catalog.FILTERS),
    "metrics": _entries("`--metrics`", catalog.METRICS),
    "arms": _arms,
    "experiments": _experiments,
}


def main(files: Sequence[str]) -> None:
    """Renew the tables of these documents, and name those that have changed."""
    for path in map(Path, files):
        before = path.read_text(encoding="utf-8")
        after = renewed(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
