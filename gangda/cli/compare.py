"""`gangda compare`: does generated data help a classifier? Paired seeds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from gangda import api, experiments
from gangda.cli import experiment as experiment_command
from gangda.cli.options import Call
from gangda.cli.output import draw, interval, number, percent, say
from gangda.cli.sample import draw_filters
from gangda.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from gangda.comparing import CompareResult
    from gangda.comparing.comparison import Comparison, FilterRow
    from gangda.statistics.values import Judgement


def _experiments(incomplete: str) -> list[str]:
    return [name for name in experiments.names() if name.startswith(incomplete)]


def compare(
    call: Call,
    jobs: Annotated[
        int | None, Option(min=0, help="parallel cells, at most cores / threads; 0: only judge")
    ] = None,
    cell: Annotated[int | None, Option(min=0, help="run only this cell (replicate), for clusters")] = None,
    run: Annotated[Path | None, Option(help="use this run's generator in every cell")] = None,
    experiment: Annotated[
        str | None, Option(help="shipped experiment or YAML file; see --list", autocompletion=_experiments)
    ] = None,
    quick: Annotated[
        bool, Option("--quick", help="with --experiment: a trial run whose numbers mean nothing")
    ] = False,
    list_all: Annotated[bool, Option("--list", help="list experiments and arms, and stop")] = False,
    calibrate: Annotated[
        bool, Option("--calibrate", help="add arms with a known outcome, such as shuffled labels")
    ] = False,
    out: Annotated[Path | None, Option(help="folder \\[default: experiments/DATA-ARCH-HASH]")] = None,
) -> None:
    """Does generated data help, and how much? Paired seeds, a verdict and an HTML report."""
    if list_all:
        call.terminal.result(experiment_command.listed(), experiment_command.show_list)
        return
    if experiment is not None:
        if run is not None or calibrate:
            raise UsageError(
                f"{'--run' if run else '--calibrate'} does not go with --experiment; leave one out"
            )
        experiment_command.run(call, experiment, quick, out, jobs, cell)
        return
    if quick:
        raise UsageError("--quick is for --experiment; here give fewer --seeds and --steps")
    with call.terminal.reporter() as reporter:
        result = api.compare(
            out=out,
            run=run,
            jobs=jobs,
            cell=cell,
            calibrate=calibrate,
            settings=call.settings,
            dry_run=call.dry_run,
            reporter=reporter,
        )
    call.terminal.result(result.as_dict(), lambda out, _: show_result(out, result))


def show_result(out: "Console", result: "CompareResult") -> None:
    """Arms, differences, the verdict, and what limits it."""
    from gangda.comparing.analyses import load_analyses

    comparison = result.comparison
    if comparison is None:
        show_cells(out, result)
        return
    show_arms(out, comparison)
    show_contrasts(out, comparison.judgement)
    for name, analysis in load_analyses().items():
        if name in comparison.analyses:
            for table in analysis.tables(comparison.analyses[name]):
                draw(out, table.title, table.head, table.rows)
    show_filters(out, comparison.filters)
    say(out, comparison.headline)
    for found in comparison.analyses.values():
        for sentence in found.sentences:
            say(out, sentence)
    for note in comparison.notes:
        say(out, note)
    say(out, f"report: {result.report}")


def show_cells(out: "Console", result: "CompareResult") -> None:
    """How many cells are finished, where there is no verdict yet."""
    seeds = len(result.plan.cells)
    if result.dry_run:
        arms = ", ".join(result.plan.config.compare.arms)
        say(out, f"would compare {arms} over {seeds} paired seeds, one cell each")
        show_power(out, result.plan.power, seeds)
    elif result.cell is not None:
        failed = {failure.index: failure.reason for failure in result.failed}
        reason = failed.get(result.cell)
        say(out, f"cell {result.cell} {'is finished' if reason is None else f'failed: {reason}'}")
    say(out, f"cells finished: {result.finished} of {seeds}")
    say(out, f"comparison: {result.out}")


def show_power(out: "Console", stated: Sequence[Mapping[str, Any]], seeds: int) -> None:
    """What these seeds can find, printed before anything has run."""
    rows = [
        (f"{row['spread']:g} points", percent(row["one point"]), percent(row["two points"])) for row in stated
    ]
    head = ("if differences spread by", "1 point is found", "2 points are found")
    draw(out, f"Power of {seeds} seeds", head, [[text.replace("-", "never") for text in row] for row in rows])


def show_arms(out: "Console", comparison: "Comparison") -> None:
    """Test score of each arm over the seeds."""
    judged = comparison.judgement
    rows = [
        (arm.name, percent(arm.mean, 2), percent(arm.sd, 2), number(round(row.n_train)))
        for arm, row in zip(judged.arms, comparison.arms, strict=True)
    ]
    title = f"Test {judged.score}, {judged.n} paired seed" + ("" if judged.n == 1 else "s")
    draw(out, title, ("arm", "mean", "sd", "images trained on"), rows)


def show_contrasts(out: "Console", judged: "Judgement") -> None:
    """Differences in points, with their verdicts and tests."""
    rows = [
        (
            contrast.name,
            contrast.verdict,
            points(contrast.mean),
            interval(contrast.interval, points),
            number(contrast.p),
            number(contrast.adjusted_p),
        )
        for contrast in judged.contrasts
    ]
    title = f"Differences in points (verdicts at {judged.alpha:g}; margin {100 * judged.margin:.2f})"
    draw(out, title, ("contrast", "verdict", "difference", "interval", "p", "adjusted p"), rows, left=2)


def show_filters(out: "Console", rows: Sequence["FilterRow"]) -> None:
    """What filters kept and rejected, mean over the seeds: a table for each generator and its filters."""
    for row in rows:
        title = f"Samples of {row.generator} after filter {row.filters}"
        if row.reason:
            say(out, f"{title}: none. {row.reason}")
        else:
            draw_filters(out, title, {name: vars(shares) for name, shares in row.classes.items()})


def points(difference: float) -> str:
    """A difference of scores in points, with its sign."""
    return f"{100 * difference:+.2f}"
