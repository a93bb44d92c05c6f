"""Pages in headless Chromium: every state, narrow and wide, light and dark; nothing is cut or runs off the page."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from page_states import COMPARISONS, EXPERIMENTS, PAGES
from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(CHROMIUM is None, reason="pages are looked at in Chromium, which is not installed"),
]
DRAWS_FIGURES = True
LIGHT, DARK = 1, 0  # of Chromium's preferred colour scheme
WIDTHS = (400, 1000, 1200)
# Writes into the title of the page around it: how wide it is, the figures whose drawing leaves their own frame, the
# heads of tables that run into the next one, and the smallest text of figures.
MEASURE = """<script>window.onload = () => {
  const outside = (box, frame) => box.left < frame.left - 2 || box.right > frame.right + 2
    || box.top < frame.top - 2 || box.bottom > frame.bottom + 2;
  const cut = [...document.querySelectorAll("svg")].filter(svg => {
    const frame = svg.getBoundingClientRect();
    return [...svg.querySelectorAll("text, path")].some(one =>
      !one.closest("defs, clipPath") && outside(one.getBoundingClientRect(), frame));
  }).length;
  const overrun = [...document.querySelectorAll("th")].filter(one => one.scrollWidth > one.clientWidth + 2).length;
  const sizes = [...document.querySelectorAll("svg")].flatMap(svg => [...svg.querySelectorAll("text")].map(one =>
    parseFloat(getComputedStyle(one).fontSize) * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width));
  const wide = document.documentElement.scrollWidth, least = Math.min(99, ...sizes);
  parent.document.title += JSON.stringify({wide, inner: window.innerWidth, cut, overrun, least});
}</script>"""


def chromium(page: Path, width: int, scheme: int, *more: str) -> str:
    """What Chromium prints about a page in a window of this width."""
    how = (
        "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=3000",
        "--allow-file-access-from-files", f"--user-data-dir={page.parent / 'profile'}",
        f"--blink-settings=preferredColorScheme={scheme}", f"--window-size={width},1400", *more, page.as_uri(),
    )  # fmt: skip
    done = subprocess.run([str(CHROMIUM), *how], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("state", PAGES)
def test_nothing_is_cut_in_any_state(state, tmp_path):
    """In frames: Chromium makes no window narrower than 500 pixels."""
    page = PAGES[state](tmp_path / "page")
    text = page.read_text()
    (page.parent / "measured.html").write_text(text.replace("</body>", MEASURE + "</body>"))
    frames = [f'<iframe src="measured.html" width="{width}" height="1400"></iframe>' for width in WIDTHS]
    (page.parent / "frames.html").write_text(
        f"<title></title><style>iframe {{border: 0}}</style>{''.join(frames)}"
    )
    shown = chromium(page.parent / "frames.html", 1300, LIGHT, "--dump-dom")
    found = [json.loads(one.replace("&quot;", '"')) for one in re.findall(r"\{[^{}]*?inner[^{}]*?\}", shown)]
    assert sorted(one["inner"] for one in found) == list(WIDTHS), "the page's script has not run"
    for one in found:
        assert one["wide"] <= one["inner"], one
        assert (one["cut"], one["overrun"]) == (0, 0), one
        assert one["least"] > 7, one
    if state in (*COMPARISONS, *EXPERIMENTS):  # the first screen says what to do, when and where it ran
        head = text[text.index("<header>") : text.index("<nav")]
        assert "What to do now." in head
        assert re.search(r"20\d\d-\d\d-\d\d, \S+, cpu; ", head)


def test_pages_follow_light_and_dark(tmp_path):
    page = PAGES["worse"](tmp_path / "page")
    grounds = []
    for scheme in (LIGHT, DARK):
        picture = tmp_path / f"{scheme}.png"
        chromium(page, 1200, scheme, f"--screenshot={picture}")
        grounds.append(int(np.median(np.asarray(Image.open(picture).convert("L")))))
    assert grounds[0] > 200
    assert grounds[1] < 60
