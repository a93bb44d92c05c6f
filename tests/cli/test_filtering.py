import io

from rich.console import Console

from gangda.cli.compare_screen import show_filters
from gangda.cli.output import Screen
from gangda.cli.sample import show_filtering
from gangda.comparing.cell_result import FilterShares
from gangda.comparing.comparison import FilterRow


def shown(**values):
    out = Console(file=io.StringIO(), width=120)
    show_filtering(Screen(out), {"provenance": {}, "contact_sheet": "set-filters.png", **values})
    return out.file.getvalue()


def test_a_table_of_what_was_kept_and_why_not():
    filtering = {
        "cat": {"acceptance": 0.25, "rejected": {"agreement": 0.5, "duplicates": 0.25}},
        "dog": {"acceptance": None, "rejected": {"agreement": None, "duplicates": None}},
    }
    text = shown(filtering=filtering)
    assert "rejected by agreement" in text
    assert ["cat", "25.0%", "50.0%", "25.0%"] in [line.split() for line in text.splitlines()]
    assert ["dog", "-", "-", "-"] in [line.split() for line in text.splitlines()]
    assert "kept and rejected: set-filters.png" in text
    assert "truncated at 1.5" in shown(filtering=filtering, provenance={"sampler": {"truncation": 1.5}})


def test_nothing_without_filters():
    assert shown(filtering={}) == ""
    assert shown(filtering={}, provenance={"sampler": {"truncation": 0.7}}).startswith(
        "truncated: noise beyond 0.7"
    )


def test_a_table_for_each_generator_of_a_comparison():
    out = Console(file=io.StringIO(), width=120)
    classes = {"cat": FilterShares(0.5, {"duplicates": 0.5})}
    show_filters(
        Screen(out),
        [
            FilterRow("pca", "duplicates", classes),
            FilterRow("pca", "agreement", {}, "0.1% pass"),
        ],
    )
    text = out.file.getvalue()
    assert "Samples of pca after filter duplicates" in text
    assert "Samples of pca after filter agreement: none. 0.1% pass" in text
    assert ["cat", "50.0%", "50.0%"] in [line.split() for line in text.splitlines()]
