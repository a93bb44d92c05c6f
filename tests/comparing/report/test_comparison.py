import re
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from fake_experiment import change_cell, finish, plan_for

from gangda.comparing.analyses.second_classifier import SecondOpinion
from gangda.comparing.report.page import word_of
from gangda.comparing.results import collect

FIGURES = 8  # arms, differences, ratios, losses, samples, classes, and nearest images of two seeds
DRAWS_FIGURES = True
VOID = {"meta", "img", "br", "hr", "link", "input", "wbr"}


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
    comparison = collect(plan, out)
    return (out / "report.html").read_text(), comparison, plan


def test_one_file_that_needs_nothing_else(report):
    page = Page(report[0])
    inside = [reference[1:] for reference in page.references if reference.startswith("#")]
    assert set(inside) <= set(page.ids)
    assert all(ref.startswith(("data:image/png;base64,", "#")) for ref in page.references)
    assert not re.search(r"<script|@import|url\((?!#)", report[0])
    assert len(page.ids) == len(set(page.ids))


def test_the_verdict_stands_beside_what_bounds_it(report):
    text, result, _ = report
    head = Page(text[text.index("<header>") : text.index("</header>") + 9]).text
    assert result.judgement.contrasts[0].sentence in head
    assert "smallest attainable p is 0.00195" in head
    assert "one of the 400 test images weighs 0.25 points" in head


def test_words_of_the_differences_hold_on_a_page_without_intervals_too(report, tmp_path):
    plan = plan_for(tmp_path, seeds=2)
    finish(plan, tmp_path)
    collect(plan, tmp_path)
    for text in (report[0], (tmp_path / "report.html").read_text()):
        assert "the bar (where there are seeds enough) the 95% sign-flip interval" in text
        assert "allow for other test images of the same kind" in text


def test_every_part_is_there(report):
    text = Page(report[0]).text
    for part in (
        "Arms", "Differences", "Real and generated images", "Recall per class", "Confusion", "Cost",
        "How to reproduce it", "Configuration", "Limits and intended use", "gangda compare --config", "per_class: 50",
        "Ratio that each seed was evaluated with", "Nearest training images", "How the generators were trained",
        report[2].hash,
    ):  # fmt: skip
        assert part in text


def test_pictures_follow_light_and_dark_and_are_described(report):
    text = report[0]
    assert "prefers-color-scheme: dark" in text
    assert text.count("<svg") == FIGURES
    assert "#010203" not in text
    assert "currentColor" in text
    assert text.count('role="img" aria-label="') == FIGURES
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


def test_the_contents_lead_to_every_section(report):
    text = report[0]
    sections = re.findall(
        r'<section id="([^"]+)" aria-labelledby="([^"]+)">\s*<h2 id="([^"]+)">([^<]+)</h2>', text
    )
    assert len(sections) == text.count("<section")
    assert all(label == title for _, label, title, _ in sections)
    nav = text[text.index("<nav") : text.index("</nav>")]
    assert re.findall(r'<a href="#([^"]+)">([^<]+)</a>', nav) == [
        (name, title) for name, *_, title in sections
    ]
    assert 'class="skip" href="#arms"' in text


def test_every_table_says_what_it_is(report):
    tables = re.findall(r"<table.*?</table>", report[0], re.DOTALL)
    assert tables
    assert all("<caption>" in table for table in tables)
    assert all('scope="row"' in table for table in tables)


def test_alarms_of_training_and_of_memory_are_told(report):
    text = report[0]
    assert "Seed 3, step 500: mode collapse (1): &lt;b&gt;alike&lt;/b&gt;" in text
    assert "30.0% of the samples are nearer" in text
    assert "ALARM many samples nearly on training images" in Page(text).text


def test_what_arms_add_and_ensembles_are_shown(report):
    text = Page(report[0]).text
    assert "added by smote" in text
    assert "generator 2" in text


def test_ratios_of_classes_are_told_where_they_differ(report):
    table = re.search(
        r"<table>\s*<caption>Images added per real one, by class.*?</table>", report[0], re.DOTALL
    )[0]
    # 100, 100, 150 and 50 were added to 100 real images each.
    assert re.findall(r"<td>([\d.]+)</td><td>([\d.]+)</td></tr>", table) == [
        ("1.00", "1.00"), ("1.00", "1.00"), ("1.50", "1.50"), ("0.50", "0.50")
    ]  # fmt: skip


def test_a_page_without_generators_and_pictures(tmp_path):
    plan = plan_for(tmp_path, seeds=2)
    finish(plan, tmp_path)
    for cell in plan.cells:
        change_cell(tmp_path, cell, generators={}, recognised=None, pictures=None)
    collect(plan, tmp_path)
    text = (tmp_path / "report.html").read_text()
    Page(text)
    assert "How the generators were trained" not in text


@pytest.mark.parametrize(
    ("verdict", "agrees", "word"),
    [
        ("better", True, "better"),
        ("better", False, "better, but not with resnet"),
        ("inconclusive", False, "inconclusive"),
    ],
)
def test_a_second_classifier_can_take_the_headline_back(verdict, agrees, word):
    second = SecondOpinion(
        classifier="resnet",
        contrast="a - b",
        deltas=(),
        mean=None,
        interval=None,
        agrees=agrees,
        objection="" if agrees else "not with resnet",
    )
    found = SimpleNamespace(analyses={"second_classifier": second})
    assert word_of(SimpleNamespace(verdict=verdict), found) == word
