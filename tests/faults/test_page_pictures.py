"""Pages in headless Chromium: every state, narrow and wide, light and dark; nothing is cut or runs off the page."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from fake_experiment import ACCURACY, finish, plan_for
from PIL import Image

from gangda.comparing.cell_result import FailedCell
from gangda.comparing.results import collect
from gangda.comparing.storage import cell_path, write_cell

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(CHROMIUM is None, reason="pages are looked at in Chromium, which is not installed"),
]
DRAWS_FIGURES = True
LIGHT, DARK = 1, 0  # of Chromium's preferred colour scheme
WORSE = {**ACCURACY, "generated": 0.75, "generated+traditional": 0.78}
CLOSE = {**ACCURACY, "generated+traditional": 0.823}
SAME = dict.fromkeys(ACCURACY, 0.8)
STATES = {  # options of the plan, and of what its cells found
    "better": ({"ratios": (0.5, 1.0)}, {}),
    "worse": ({}, {"accuracy": WORSE}),
    "equivalent": ({"margin": 5.0}, {"accuracy": SAME}),
    "inconclusive": ({}, {"accuracy": CLOSE, "sd": 0.02}),
    "underpowered": ({"seeds": 2}, {}),
    "alarms": ({}, {"accuracy": WORSE, "recognised": 0.3}),
    "failed cells": ({}, {}),
    "second classifier": ({"second_classifier": "resnet", "tune_steps": (1000, 2000)}, {}),
}
# Writes into the title: how wide the page is, and the figures whose drawing leaves their own frame.
MEASURE = """<script>window.onload = () => {
  const cut = [...document.querySelectorAll("svg")].filter(svg => {
    const outer = svg.getBoundingClientRect();
    return [...svg.querySelectorAll("text, path")].some(one => {
      const box = one.closest("defs, clipPath") ? outer : one.getBoundingClientRect();
      return box.left < outer.left - 2 || box.right > outer.right + 2
        || box.top < outer.top - 2 || box.bottom > outer.bottom + 2;
    });
  }).length;
  const wide = document.documentElement.scrollWidth;
  document.title = "MEASURED" + JSON.stringify({wide, inner: window.innerWidth, cut});
}</script>"""


def chromium(page: Path, width: int, scheme: int, *more: str) -> str:
    """What Chromium prints about a page in a window of this width."""
    how = (
        "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=3000",
        f"--user-data-dir={page.parent / 'profile'}", f"--blink-settings=preferredColorScheme={scheme}",
        f"--window-size={width},1400", *more, page.as_uri(),
    )  # fmt: skip
    done = subprocess.run([str(CHROMIUM), *how], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def page_of(state: str, out: Path) -> Path:
    asked, found = STATES[state]
    plan = plan_for(out, **asked)
    finish(plan, out, **found)
    if state == "failed cells":
        cell = plan.cells[3]
        cell_path(out, cell).unlink()
        write_cell(out, cell, FailedCell(cell.index, cell.seed, cell.id, "mode collapse"))
    collect(plan, out)
    return out / "report.html"


@pytest.mark.parametrize("state", STATES)
def test_nothing_is_cut_in_any_state(state, tmp_path):
    page = page_of(state, tmp_path / "page")
    measured = tmp_path / "page" / "measured.html"
    measured.write_text(page.read_text().replace("</body>", MEASURE + "</body>"))
    for width in (500, 1200):
        found = re.search(r"MEASURED(\{.*?\})", chromium(measured, width, LIGHT, "--dump-dom"))
        assert found, "the page's script has not run"
        values = json.loads(found[1].replace("&quot;", '"'))
        assert values["wide"] <= values["inner"], f"{state} at {width} pixels: {values}"
        assert values["cut"] == 0, f"{state} at {width} pixels: {values}"


def test_pages_follow_light_and_dark(tmp_path):
    page = page_of("worse", tmp_path / "page")
    grounds = []
    for scheme in (LIGHT, DARK):
        picture = tmp_path / f"{scheme}.png"
        chromium(page, 1200, scheme, f"--screenshot={picture}")
        grounds.append(int(np.median(np.asarray(Image.open(picture).convert("L")))))
    assert grounds[0] > 200
    assert grounds[1] < 60


def test_a_narrow_page_fits_four_hundred_pixels(tmp_path):
    """In a frame of 400 pixels: Chromium makes no narrower window than 500."""
    page = page_of("alarms", tmp_path / "page")
    (tmp_path / "page" / "measured.html").write_text(
        page.read_text().replace(
            "</body>", MEASURE.replace("document.title =", "parent.document.title =") + "</body>"
        )
    )
    frame = tmp_path / "page" / "frame.html"
    frame.write_text(
        '<title></title><iframe src="measured.html" width="400" height="1400" style="border: 0"></iframe>'
    )
    found = re.search(
        r"MEASURED(\{.*?\})",
        chromium(frame, 600, LIGHT, "--allow-file-access-from-files", "--dump-dom"),
    )
    assert found
    values = json.loads(found[1].replace("&quot;", '"'))
    assert (values["inner"], values["cut"]) == (400, 0)
    assert values["wide"] <= 400
