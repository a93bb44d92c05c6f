"""Pages from templates: one Jinja2 environment, and how numbers are written."""

import functools
import re
from typing import TYPE_CHECKING

import numpy as np

from gangda.report.grids import data_uri
from gangda.statistics.wording import interval_text, p_text, points

if TYPE_CHECKING:
    import jinja2
    import markupsafe


@functools.cache
def environment(package: str = "gangda") -> "jinja2.Environment":
    """Templates of a package's folder `report`, and of this one: values are escaped, a missing name is an error."""
    import jinja2

    loaders = [jinja2.PackageLoader(name, "report") for name in dict.fromkeys((package, "gangda"))]
    found = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    found.filters.update(points=points, p=p_text, interval=interval_text, percent=percent, duration=duration)
    found.filters.update(breakable=breakable, data_uri=data_uri)
    return found


def breakable(name: str) -> "markupsafe.Markup":
    """A name that may be broken after +, @ and :, so that a column of a table stays narrow."""
    import markupsafe

    return markupsafe.Markup(re.sub(r"([+@:])", r"\1<wbr>", str(markupsafe.escape(name))))


def percent(fraction: float | None, digits: int = 2) -> str:
    """0.9512 -> "95.12"; a dash for nothing."""
    return "-" if fraction is None or np.isnan(fraction) else f"{100 * fraction:.{digits}f}"


def duration(seconds: float | None) -> str:
    """Seconds with one decimal below ten, whole above, minutes above two; a dash for nothing."""
    if seconds is None:
        return "-"
    if seconds >= 120:
        return f"{seconds / 60:.1f} min"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
