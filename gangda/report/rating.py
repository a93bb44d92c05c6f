"""The blind rating page: one HTML file, no network."""

import hashlib
import json
from collections.abc import Sequence

from gangda.data.images import UInt8Array
from gangda.report.grids import png
from gangda.report.page import environment
from gangda.report.png import data_uri

TEMPLATE = "rating.html"


def render(images: Sequence[tuple[str, str, UInt8Array]], key: str, *, labelled: bool) -> str:
    """The page.

    Args:
        images: id, intended class and pixels uint8 (H, W, C) of each, in the order they are shown.
        key: what the ids mean, encoded; it travels with the answers.
        labelled: whether the classes mean something, so that labels can be checked.
    """
    shown = [{"id": word, "name": name, "src": data_uri(png(pixels))} for word, name, pixels in images]
    values = {
        "images": shown,
        "key": key,
        "page": hashlib.sha256(key.encode()).hexdigest()[:12],
        "labelled": labelled,
    }
    text = json.dumps(values).replace("<", "\\u003c")  # no class name can end the script
    return str(environment().get_template(TEMPLATE).render(values=text, labelled=labelled, count=len(shown)))
