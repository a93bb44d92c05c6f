"""Tables in documents are made from the catalog, and are what it holds now."""

from pathlib import Path

import pytest

from gangda.cli import reference
from gangda.config import arms, catalog
from gangda.errors import UsageError

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *(ROOT / "gangda").rglob("*.md"), *(ROOT / "tests").rglob("*.md")]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_marked_tables_are_up_to_date(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("<!-- table:") == len(reference.MARKED.findall(text)), "a table without <!-- end -->"
    again = reference.renewed(text)
    assert again == text, f"{path.relative_to(ROOT)}: run python -m gangda.cli.reference"


@pytest.mark.parametrize("name", reference.TABLES)
def test_every_table_has_rows_of_one_length(name):
    lines = reference.table(name).splitlines()
    assert len(lines) > 2
    assert len({line.replace(r"\|", "").count("|") for line in lines}) == 1


def test_what_the_tables_hold():
    architectures = reference.table("architectures")
    assert all(f"| `{name}` |" in architectures for name in catalog.ARCHITECTURES)
    assert "| `madgan` |" in architectures
    assert "| either | 8 to 64 |" in architectures
    assert all(f"| `{name}` |" in reference.table("arms") for name in arms.ARMS)
    assert "Do generated images help rare classes more" in reference.table("experiments")
    assert reference.table("penalties").count("\n") == len(reference.PENALTIES) + 2
    assert r"`--format png\|npz\|idx\|" in reference.table("flags sample")
    assert "[default: 0.1]" in reference.table("flags train")


def test_a_file_is_renewed_in_place(tmp_path, capsys):
    path = tmp_path / "a.md"
    path.write_text("before\n<!-- table: losses -->\nold\n<!-- end -->\nafter\n")
    reference.main(tmp_path)
    assert path.read_text().startswith(
        "before\n<!-- table: losses -->\n| `--loss` | what it is | paper |\n| --- |"
    )
    assert path.read_text().endswith("|\n<!-- end -->\nafter\n")
    assert capsys.readouterr().out == "a.md\n"
    reference.main(tmp_path)
    assert capsys.readouterr().out == "", "nothing has changed"


@pytest.mark.parametrize("name", ["nothing", "flags nothing", "flags"])
def test_other_names_are_refused(name):
    with pytest.raises(
        UsageError, match=f"no table is called '{name}'; choose from architectures, .*flags train"
    ):
        reference.table(name)
