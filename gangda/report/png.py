"""Matplotlib figures as PNG, without pyplot's global state."""

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(width: float, height: float) -> "Figure":
    """A white figure of this size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def to_png(figure: "Figure", dpi: int = 110) -> bytes:
    """The bytes of a PNG without metadata."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", metadata={"Software": ""})
    return buffer.getvalue()


def data_uri(png: bytes) -> str:
    """A PNG as the source of an image in a page."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def shorten(name: str, most: int = 18) -> str:
    """A name of at most so many characters."""
    return name if len(name) <= most else name[: most - 1] + "…"
