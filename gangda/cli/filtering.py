"""What filters kept and rejected, as a table."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gangda.cli.output import draw, percent, say

if TYPE_CHECKING:
    from rich.console import Console

    from gangda.comparing.comparison import FilterRow


def show_filtering(out: "Console", values: Mapping[str, Any]) -> None:
    """Of each class, the share kept of what was drawn and the share that each filter rejected; nothing without filters.

    An image counts for the first filter that rejects it. Truncation rejects no image, but noise.
    """
    filtering, limit = values["filtering"], values["provenance"].get("sampler", {}).get("truncation")
    if not filtering:
        if limit is not None:
            say(out, f"truncated: noise beyond {limit:g} is drawn again, for all classes alike")
        return
    filters = list(next(iter(filtering.values()))["rejected"])
    rows = [
        (name, percent(shares["acceptance"]), *(percent(shares["rejected"][each]) for each in filters))
        for name, shares in filtering.items()
    ]
    beside = "" if limit is None else f" of samples truncated at {limit:g}"
    draw(out, f"Filters{beside}", ("class", "kept", *(f"rejected by {name}" for name in filters)), rows)
    if values["contact_sheet"]:
        say(out, f"kept and rejected: {values['contact_sheet']}")


def show_compared_filters(out: "Console", rows: Sequence["FilterRow"]) -> None:
    """The same of a comparison, mean over the seeds: a table for each generator and its filters."""
    for row in rows:
        if row.reason:
            say(out, f"Samples of {row.generator} behind {row.filters}: none. {row.reason}")
            continue
        filters = list(next(iter(row.classes.values())).rejected)
        shown = [
            (name, percent(shares.acceptance), *(percent(shares.rejected[each]) for each in filters))
            for name, shares in row.classes.items()
        ]
        columns = ("class", "kept", *(f"rejected by {name}" for name in filters))
        draw(out, f"Samples of {row.generator} behind {row.filters}", columns, shown)
