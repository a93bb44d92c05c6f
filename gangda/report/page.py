"""Pages from templates: one Jinja2 environment, how numbers are written, and figures as inline SVG."""

import functools
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from gangda.report.grids import data_uri
from gangda.statistics.words import interval_text, p_text, points

if TYPE_CHECKING:
    import jinja2
    import markupsafe
    from matplotlib.figure import Figure

INK = "#010203"  # stands for the page's own text colour until the SVG is written
ACCENT = "#d55e00"  # legible on white and on near-black (Okabe and Ito 2008)
CALM = "#5b8fb9"
# Lines that can be told apart, by most colour-blind readers too, on either ground (after Okabe and Ito 2008).
PALETTE = (ACCENT, CALM, "#1f9e77", "#c56ba0", "#a68a00", "#8a8f98")
MARKS = ("o", "s", "^", "D", "v", "P")
WIDTH = 5.2  # inches: at 400 pixels its text is still readable
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.facecolor": "none",
}


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
    found.filters.update(breakable=breakable, flags=flags, data_uri=data_uri)
    return found


def breakable(name: str) -> "markupsafe.Markup":
    """A name that may be broken after +, @, :, . and _, so that a column of a table stays narrow."""
    import markupsafe

    return markupsafe.Markup(re.sub(r"([+@:._])", r"\1<wbr>", str(markupsafe.escape(name))))


def flags(text: str) -> "markupsafe.Markup":
    """A sentence whose options, such as --seeds, are not broken at their hyphens."""
    import markupsafe

    found = re.sub(r"--[a-z][a-z-]*", r"<span class=flag>\g<0></span>", str(markupsafe.escape(text)))
    return markupsafe.Markup(found)


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


@contextmanager
def drawing(key: str, height: float, *panels: int, width: float = WIDTH) -> "Iterator[tuple[Figure, Any]]":
    """A figure of inches with its axes, `panels` (rows, columns) of them; `key` keeps its ids apart from others'."""
    import matplotlib
    from matplotlib.figure import Figure

    style: Any = {**STYLE, "svg.hashsalt": key}  # the stubs want each key to be a literal
    with matplotlib.rc_context(style):
        fig = Figure(figsize=(width, height), layout="constrained")
        yield fig, fig.subplots(*panels, squeeze=not panels)


def to_svg(fig: "Figure", description: str) -> str:
    """An `<svg>` element whose ink is `currentColor`; `description` is read out where it cannot be seen.

    It stands in a region that scrolls where the page is too narrow for its text to be readable.
    """
    buffer = io.StringIO()
    fig.savefig(buffer, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<g) id="[^"]*"', r"\1", text)  # the same in every figure, and nothing refers to them
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    label = re.sub(r'["<>&]', "", description)
    text = re.sub(r'<svg ([^>]*?)(width="[^"]*"|height="[^"]*") ', r"<svg \1", text, count=1)
    size = re.search(r'viewBox="0 0 ([\d.]+)', text)
    style = f"--units: {size[1] if size else 0}"
    drawn = text.replace("<svg ", f'<svg role="img" aria-label="{label}" style="{style}" ', 1)
    return f'<div class="wide" tabindex="0" role="region" aria-label="Figure: {label}">{drawn}</div>'
