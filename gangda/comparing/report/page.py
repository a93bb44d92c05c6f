"""The HTML report of a comparison: one file that loads nothing from a network."""

from typing import Any

from gangda.comparing.analyses import Section, load_analyses
from gangda.comparing.comparison import Comparison
from gangda.comparing.plan import ComparisonPlan
from gangda.comparing.report.dot_plots import DECIDED, arms_figure, contrasts_figure
from gangda.comparing.report.images import image_grids
from gangda.comparing.report.tables import (
    added_table,
    confusion_tables,
    cost_rows,
    generator_row,
    recall_table,
)
from gangda.comparing.report.training_figures import ratio_figure, trainings
from gangda.config import resolve
from gangda.config.schema import CompareConfig
from gangda.report.page import environment
from gangda.statistics.values import Contrast
from gangda.statistics.wording import bounds_text

# Sections in their order: anchor, title, and the value of the page without which there is none.
SECTIONS = (
    ("arms", "Arms", "arms"),
    ("differences", "Differences", "arms"),
)
# ... those of the analyses, and then:
MORE_SECTIONS = (
    ("ratios", "Ratios", "ratios"),
    ("filters", "Filters", "filters"),
    ("recall", "Recall per class", "recall"),
    ("confusion", "Confusion", "confusion"),
    ("images", "Real and generated images", "grids"),
    ("training", "How the generators were trained", "trainings"),
    ("memory", "Nearest training images", "nearest"),
    ("cost", "What it cost", "arms"),
    ("method", "How it was done", "arms"),
    ("again", "Make it again", "arms"),
    ("limits", "Limits and intended use", "arms"),
)


def render(comparison: Comparison, plan: ComparisonPlan) -> str:
    """The page."""
    template = environment("gangda.comparing").get_template("comparison.html")
    return template.render(**page_of(comparison, plan))


def page_of(comparison: Comparison, plan: ComparisonPlan) -> dict[str, Any]:
    """Everything that the template names."""
    judged, cells, config = comparison.judgement, comparison.cells, plan.config
    names = [arm.name for arm in judged.arms]
    main = next((contrast for contrast in judged.contrasts if contrast.primary), None)
    sections = analysis_sections(comparison)
    grids = image_grids(cells)
    ratios = ratio_figure(cells, names, judged.score)
    page = {
        "comparison": comparison,
        "plan": plan,
        "notes": comparison.notes,
        "judged": judged,
        "main": main,
        "word": word_of(main, comparison),
        "bounds": bounds_text(judged.n, judged.n_test, judged.test_se, judged.resolution, judged.score),
        "arms": list(zip(judged.arms, comparison.arms, strict=True)),
        "arms_figure": arms_figure(judged.arms, judged.score),
        "contrasts_figure": contrasts_figure(judged.contrasts, judged.margin, judged.score),
        "counts": cells[0].rows,
        "shape": cells[0].image_shape,
        "seeds": [cell.seed for cell in cells],
        "sections": sections,
        "ratios": ratios or any(len(set(arm.ratios or ())) > 1 for arm in comparison.arms),
        "ratio_figure": ratios,
        "ratio_words": _ratio_words(config.compare),
        "added": added_table(comparison.arms, cells[0].class_names, cells[0].rows["train"].per_class),
        "filters": comparison.filters,
        "recall": recall_table(cells, names),
        "confusion": confusion_tables(cells),
        "grids": grids,
        "generator": generator_row(cells, config.arch),
        "trainings": trainings(cells),
        "nearest": any(grid["nearest"] for grid in grids),
        "costs": cost_rows(comparison.arms, config.classifier.classifier_batch),
        "config_yaml": resolve.dump(config),
    }
    contents = [
        *((anchor, title) for anchor, title, needs in SECTIONS if page[needs]),
        *((section.anchor, section.title) for section in sections),
        *((anchor, title) for anchor, title, needs in MORE_SECTIONS if page[needs]),
    ]
    return {**page, "contents": contents}


def analysis_sections(comparison: Comparison) -> list[Section]:
    """What each analysis has to show."""
    known = load_analyses()
    found = [known[name].section(result, comparison) for name, result in comparison.analyses.items()]
    return [section for section in found if section is not None]


def word_of(main: Contrast | None, comparison: Comparison) -> str:
    """The verdict in a few words; an analysis may take a decided one back."""
    if main is None:
        return "no verdict"
    objections = [result.objection for result in comparison.analyses.values() if result.objection]
    if not objections or not main.verdict.startswith(DECIDED):
        return main.verdict
    return f"{main.verdict}, but {' and '.join(objections)}"


def _ratio_words(compare: CompareConfig) -> str:
    """What a ratio is."""
    if compare.replace:
        return "share of each class that is generated in place of real"
    added = ", spent on the smallest classes first" if compare.balance else " added"
    return f"generated images per real one{added}"
