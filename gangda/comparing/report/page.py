"""The HTML report of a comparison: one file that loads nothing from a network."""

from gangda.comparing.analyses import load_analyses, rendered
from gangda.comparing.comparison import Comparison
from gangda.comparing.plan import ComparisonPlan
from gangda.comparing.report.dot_plots import Dots, dots_figure
from gangda.comparing.report.images import nearest_images
from gangda.comparing.report.tables import (
    added_table,
    confusion_tables,
    generator_row,
    recall_table,
)
from gangda.comparing.report.training_figures import ratio_figure, trainings
from gangda.config import resolve
from gangda.config.schema import CompareConfig
from gangda.report.grids import sheet
from gangda.statistics.values import Contrast
from gangda.statistics.wording import bounds_text

DECIDED = ("better", "worse")


def render(comparison: Comparison, plan: ComparisonPlan) -> str:
    """The page."""
    judged, cells, config = comparison.judgement, comparison.cells, plan.config
    names = [arm.name for arm in judged.arms]
    main = next((contrast for contrast in judged.contrasts if contrast.primary), None)
    known = load_analyses()
    parts = [known[name].section(result, comparison) for name, result in comparison.analyses.items()]
    limits = [analysis.limit(comparison.analyses.get(name)) for name, analysis in known.items()]
    grids = [(cell.seed, cell.pictures) for cell in cells if cell.pictures is not None]
    ratios = ratio_figure(cells, names, judged.score)
    return rendered(
        "comparison.html",
        contents=[],
        comparison=comparison,
        plan=plan,
        notes=comparison.notes,
        judged=judged,
        main=main,
        word=word_of(main, comparison),
        bounds=bounds_text(judged.n, judged.n_test, judged.test_se, judged.resolution, judged.score),
        arms=list(zip(judged.arms, comparison.arms, strict=True)),
        arms_figure=dots_figure(
            "arms",
            [Dots(arm.name, arm.scores, arm.mean, arm.interval) for arm in judged.arms],
            f"{judged.score} on the test set, per cent",
            f"{judged.score.capitalize()} of each arm",
        ),
        contrasts_figure=dots_figure(
            "contrasts",
            [
                Dots(one.name, one.deltas, one.mean, one.interval, one.verdict.startswith(DECIDED))
                for one in judged.contrasts
            ],
            f"difference in {judged.score}, points; the band is the equivalence margin",
            "Differences between arms",
            margin=judged.margin,
        ),
        counts=cells[0].rows,
        shape=cells[0].image_shape,
        seeds=[cell.seed for cell in cells],
        sections=[part for part in parts if part is not None],
        limits=[limit for limit in limits if limit],
        ratios=ratios or any(len(set(arm.ratios or ())) > 1 for arm in comparison.arms),
        ratio_figure=ratios,
        ratio_words=_ratio_words(config.compare),
        added=added_table(comparison.arms, cells[0].class_names, cells[0].rows["train"].per_class),
        filters=comparison.filters,
        recall=recall_table(cells, names),
        confusion=confusion_tables(cells),
        grids=grids,
        generator=generator_row(cells, config.arch),
        trainings=trainings(cells),
        nearest=[
            (seed, nearest_images(key, found, seed))
            for seed, pictures in grids
            for key, found in pictures.nearest.items()
        ],
        sheet=sheet,
        config_yaml=resolve.dump(config),
    )


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
