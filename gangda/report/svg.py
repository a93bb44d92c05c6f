"""Matplotlib pictures as inline SVG that follows the page: its text colour, its font, light or dark."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#010203"  # stands for the page's own text colour until the SVG is written
ACCENT = "#d55e00"  # legible on white and on near-black (Okabe and Ito 2008)
CALM = "#5b8fb9"
# Lines that can be told apart, by most colour-blind readers too, on either ground (after Okabe and Ito 2008).
PALETTE = (ACCENT, CALM, "#1f9e77", "#c56ba0", "#a68a00", "#8a8f98")
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


@contextmanager
def drawing(name: str) -> Iterator[None]:
    """Style for one figure; `name` keeps its ids apart from those of other figures on the page."""
    import matplotlib

    style: Any = {**STYLE, "svg.hashsalt": name}  # the stubs want each key to be a literal
    with matplotlib.rc_context(style):
        yield


def figure(width: float, height: float) -> "tuple[Figure, Any]":
    """A figure of inches with one pair of axes, without pyplot's global state."""
    from matplotlib.figure import Figure

    fig = Figure(figsize=(width, height), layout="constrained")
    return fig, fig.subplots()


def panels(width: float, height: float, rows: int, columns: int) -> "tuple[Figure, Any]":
    """The same with several pairs of axes, an array (rows, columns) of them."""
    from matplotlib.figure import Figure

    fig = Figure(figsize=(width, height), layout="constrained")
    return fig, fig.subplots(rows, columns, squeeze=False)


def to_svg(fig: "Figure", description: str) -> str:
    """An `<svg>` element whose ink is `currentColor`; `description` is read out where it cannot be seen."""
    buffer = io.StringIO()
    fig.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<g) id="[^"]*"', r"\1", text)  # the same in every figure, and nothing refers to them
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    label = re.sub(r'["<>&]', "", description)
    return re.sub(r'<svg ([^>]*?)(width="[^"]*"|height="[^"]*") ', r"<svg \1", text, count=1).replace(
        "<svg ", f'<svg role="img" aria-label="{label}" ', 1
    )
