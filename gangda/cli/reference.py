"""Tables of names and options as Markdown, made from the catalog: `python -m gangda.cli.reference` renews them.

A table stands between `<!-- table: NAME -->` and `<!-- end -->` of a document. NAME is a key of `TABLES`.
"""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gangda import experiments
from gangda.cli.main import command
from gangda.config import architectures, arms, catalog, policies
from gangda.config.commands import COMMANDS
from gangda.config.fields import fields_by_name
from gangda.errors import UsageError

MARKED = re.compile(r"(<!-- table: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)
PENALTIES = (
    "--r1", "--r2", "--r1-every", "--gp", "--clip", "--ct", "--cr", "--bcr", "--cr-flip", "--lecam",
    "--label-smoothing", "--aux-weight", "--diffaugment",
)  # fmt: skip


def renewed(text: str) -> str:
    """A document with its marked tables as they are now."""
    return MARKED.sub(lambda found: f"{found[1]}{table(found[2])}{found[3]}", text)


def table(name: str) -> str:
    """The Markdown of a table, with a newline at the end; a UsageError for no such table."""
    if name not in TABLES:
        raise UsageError(f"no table is called '{name}'; choose from {', '.join(TABLES)}")
    return TABLES[name]()


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = (columns, ["---"] * len(columns), *rows)
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _entries(heading: str, entries: Mapping[str, catalog.Entry | arms.Arm]) -> str:
    """A table of the catalog, with a column of papers where there are any."""
    rows = [
        [f"`{name}`", entry.summary, entry.source if isinstance(entry, catalog.Entry) else ""]
        for name, entry in entries.items()
    ]
    if any(source for _, _, source in rows):
        return _markdown((heading, "what it is", "paper"), rows)
    return _markdown((heading, "what it is"), [row[:2] for row in rows])


def _architectures() -> str:
    rows = []
    for name, entry in catalog.ARCHITECTURES.items():
        spec = architectures.spec_class(name)
        labels = "either" if "conditional" in fields_by_name(spec) else "yes" if spec.conditional else "no"
        least, largest = spec.size_range
        rows.append((f"`{name}`", entry.summary, entry.source, labels, f"{least} to {largest}"))
    return _markdown(("`--arch`", "what it is", "paper", "class-conditional", "pixels"), rows)


def _experiments() -> str:
    shipped = {name: experiments.read(name) for name in experiments.names()}
    rows = [(f"`{name}`", one.question, str(len(one.variants))) for name, one in shipped.items()]
    return _markdown(("`--experiment`", "question", "variants"), rows)


def _flags(name: str, only: Sequence[str] = ()) -> str:
    """Options of a command under their headings; or only some of them, without."""
    built = command(name)
    with built.make_context(name, [], resilient_parsing=True) as context:
        panels = built.help_rows(context)
    rows = []
    for heading, options in panels.items():
        rows += [] if only else [(f"**{heading}**", "")]
        rows += [(f"`{typed}`", help) for typed, help in options if not only or typed.split()[0] in only]
    return _markdown(("option", "what it does"), rows)


TABLES: Mapping[str, Callable[[], str]] = {
    "architectures": _architectures,
    "losses": lambda: _entries("`--loss`", catalog.LOSSES),
    "penalties": lambda: _flags("train", PENALTIES),
    "diffaugment": lambda: _entries("`--diffaugment`", catalog.POLICIES),
    "sources": lambda: _entries("`--data`", catalog.SOURCES),
    "formats": lambda: _entries("`--format`", catalog.FORMATS),
    "classifiers": lambda: _entries("`--classifier`", catalog.CLASSIFIERS),
    "transforms": lambda: _entries("transform", catalog.TRANSFORMS),
    "filters": lambda: _entries("`--filter`", catalog.FILTERS),
    "metrics": lambda: _entries("`--metrics`", catalog.METRICS),
    "policies": lambda: _markdown(
        ("`--policy`", "what it is"), [(f"`{name}`", one.summary) for name, one in policies.POLICIES.items()]
    ),
    "arms": lambda: _entries("`--arms`", arms.ARMS),
    "experiments": _experiments,
    **{f"flags {name}": functools.partial(_flags, name) for name in COMMANDS},
}


def main(root: Path = Path(__file__).parents[2]) -> None:
    """Renew the tables of all documents of a checkout, and name those that have changed."""
    for path in sorted([*root.glob("*.md"), *root.glob("gangda/**/*.md"), *root.glob("tests/**/*.md")]):
        before = path.read_text(encoding="utf-8")
        after = renewed(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(path.relative_to(root))


if __name__ == "__main__":
    main()
