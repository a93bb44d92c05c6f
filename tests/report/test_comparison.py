import re
from html.parser import HTMLParser

import pytest
from fake_experiment import finish, plan_for

from gangda.engines.comparing.results import collect

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Checks nesting, and gathers ids, links and images."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.references, self.alts, self.text = [], [], [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []
        self.references += [values[key] for key in ("src", "href") if key in values]
        if tag == "img":
            self.alts.append(values.get("alt"))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.ids += [value for key, value in attrs if key == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    out = tmp_path_factory.mktemp("experiment")
    plan = plan_for(out, ratios=(0.5, 1.0))
    finish(plan, out)
    result = collect(plan, out)
    return (out / "report.html").read_text(), result


def test_one_file_that_needs_nothing_else(report):
    page = Page(report[0])
    assert all(reference.startswith("data:image/png;base64,") for reference in page.references)
    assert not re.search(r"<script|@import|url\((?!#)", report[0])
    assert len(page.ids) == len(set(page.ids))


def test_the_verdict_stands_beside_what_bounds_it(report):
    text, result = report
    head = Page(text[text.index("<header>") : text.index("</header>") + 9]).text
    assert result.comparison.contrasts[0].sentence in head
    assert "smallest attainable p is 0.00195" in head
    assert "one of the 400 test images weighs 0.25 points" in head


def test_every_part_is_there(report):
    text = Page(report[0]).text
    for part in (
        "Arms", "Differences", "Real and generated images", "Recall per class", "Confusion", "What it cost",
        "Make it again", "Configuration", "Limits and intended use", "gangda compare --config", "per_class: 50",
        "Ratios chosen on each seed", report[1].plan["hash"],
    ):  # fmt: skip
        assert part in text


def test_pictures_follow_light_and_dark_and_are_described(report):
    text = report[0]
    assert "prefers-color-scheme: dark" in text
    assert text.count("<svg") == 2
    assert "#010203" not in text
    assert "currentColor" in text
    assert text.count('role="img" aria-label="') == 2
    assert all(Page(text).alts)


def test_class_names_are_text_not_markup(report):
    assert "&lt;script&gt;" in report[0]


def test_scrollable_tables_can_be_reached_from_the_keyboard(report):
    scrollers = re.findall(r'<div class="scroll"[^>]*>', report[0])
    assert scrollers
    assert all('tabindex="0"' in tag and "aria-label=" in tag for tag in scrollers)


def test_the_same_experiment_gives_the_same_page(tmp_path):
    pages = []
    for _ in range(2):
        plan = plan_for(tmp_path)
        finish(plan, tmp_path)
        collect(plan, tmp_path)
        pages.append((tmp_path / "report.html").read_bytes())
    assert pages[0] == pages[1]


def test_fewer_arms_and_no_primary_contrast(tmp_path):
    plan = plan_for(tmp_path, arms=("real", "traditional"))
    finish(plan, tmp_path)
    collect(plan, tmp_path)
    assert "No primary contrast" in Page((tmp_path / "report.html").read_text()).text
