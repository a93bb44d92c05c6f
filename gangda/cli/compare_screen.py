"""What `gangda compare` prints: tables of arms, differences, cells and variants."""

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gangda.cli.output import Screen, duration, interval, number, percent, points
from gangda.cli.sample import draw_filters
from gangda.metrics.names import readable
from gangda.runtime.part import PLAN
from gangda.runtime.progress import counted, size_text

if TYPE_CHECKING:
    from gangda.comparing import CompareResult
    from gangda.comparing.comparison import FilterRow


def show_list(out: Screen, values: Mapping[str, Any]) -> None:
    """Experiments and arms."""
    shown = values["experiments"]
    rows = [(one["name"], one["question"], len(one["variants"]), one["measure"]) for one in shown]
    out.draw("Experiments (--experiment)", ("name", "question", "variants", "measure"), rows, left=2)
    names = [tuple(arm.values()) for arm in values["arms"]]
    out.draw("Arms (--arms)", ("name", "what it trains on"), names, left=2)
    out.say(
        "ARM@ARCHITECTURE takes another generator: generated+traditional@wgan-gp.",
        "ARM:RATIO adds so many images per real one, whatever --ratios says: held-back:0.5.",
        "ARM:fillSHARE fills every class up to this share of the largest: generated+traditional:fill50%.",
        "An experiment of your own is a YAML file like the shipped ones: --experiment FILE.",
    )


def show_comparison(out: Screen, _: Mapping[str, Any], result: "CompareResult") -> None:
    """Arms, differences, the verdict and what to do; without a verdict the cells."""
    from gangda.comparing.analyses import load_analyses

    comparison: Any = result.comparison
    if comparison is None:
        _show_cells(out, result)
        return
    judged, found = comparison.judgement, comparison.analyses
    arms_trained = [
        (arm.name, percent(arm.mean, 2), percent(arm.sd, 2), number(round(row.n_train)))
        for arm, row in zip(judged.arms, comparison.arms, strict=True)
    ]
    title = f"Test {judged.score}, {counted(judged.n, 'paired seed')}"
    out.draw(title, ("arm", "mean", "sd", "images trained on"), arms_trained)
    differences = []
    for one in judged.contrasts:
        seen = (points(one.mean), interval(one.interval, points), percent(one.margin, 2).rstrip("%"))
        differences.append((one.name, one.verdict, *seen, number(one.p), number(one.adjusted_p)))
    title = f"Differences in points (verdicts at {judged.alpha:g})"
    head = ("contrast", "verdict", "difference", "interval", "margin", "p", "adjusted p")
    out.draw(title, head, differences, left=2)
    for name, analysis in load_analyses().items():
        for table in analysis.tables(found[name]) if name in found else ():
            out.draw(table.title, table.head, table.rows)
    show_filters(out, comparison.filters)
    sentences = [sentence for one in found.values() for sentence in one.sentences]
    exact = comparison.headline.removeprefix(comparison.plain).lstrip()
    out.say(comparison.plain, exact, *sentences, *comparison.notes)
    show_advice(out, comparison.advice.text, comparison.advice.command)
    out.say(f"report: {result.report}")


def show_advice(out: Screen, text: str, command: str) -> None:
    """What to do now, with the command in one piece."""
    out.say("", f"What to do now: {text}", *([f"  {command}"] if command else []), "")


def _show_cells(out: Screen, result: "CompareResult") -> None:
    """How many cells are finished, where there is no verdict yet; in a dry run, what so many seeds can find."""
    seeds = len(result.plan.cells)
    if result.dry_run:
        names = ", ".join(result.plan.config.compare.arms)
        out.say(f"would compare {names} over {counted(seeds, 'paired seed')}, one cell each")
        rows = [
            (f"{row['spread']:g} points", *(percent(row[key]) for key in ("one point", "two points")))
            for row in result.plan.power
        ]
        rows = [tuple(text.replace("-", "never") for text in row) for row in rows]
        head = ("if differences spread by", "1 point is found", "2 points are found")
        out.draw(f"Power of {counted(seeds, 'seed')}", head, rows)
    out.say(*(f"FAILED: {failure}" for failure in result.failed))
    if result.cost is not None:
        rows = [
            ("one cell", duration(result.cost.cell_seconds)),
            (
                f"what is left ({seeds - result.finished} of {counted(seeds, 'cell')})",
                duration(result.cost.left_seconds),
            ),
            ("memory, for images and training", size_text(result.cost.memory_bytes)),
            ("disk, at the end", size_text(result.cost.disk_bytes)),
        ]
        title = f"Would take on this machine, {counted(result.cost.at_once, 'cell')} at a time"
        out.draw(title, ("", ""), rows)
        out.say(*result.cost.choices)
    show_counts(out, {"finished": result.finished, "planned": seeds, "out": result.out})
    if result.part.only == PLAN:
        out.say(f"as an array: --array=0-{seeds - 1}")


def show_counts(out: Screen, values: Mapping[str, Any]) -> None:
    """How many cells are finished."""
    out.say(f"cells finished: {values['finished']} of {values['planned']}", f"comparison: {values['out']}")


def show_filters(out: Screen, rows: Sequence["FilterRow"]) -> None:
    """What filters kept and rejected, mean over the seeds: a table for each generator and its filters."""
    for row in rows:
        title = f"Samples of {row.generator} after filter {row.filters}"
        if row.reason:
            out.say(f"{title}: none. {row.reason}")
        else:
            draw_filters(out, title, {name: vars(shares) for name, shares in row.classes.items()})


def _show_variants(out: Screen, variants: Sequence[str], costs: Mapping[str, Any]) -> None:
    """Names of variants, and what they take, where that was timed."""
    if not costs:
        out.draw("", ("variants",), [(name,) for name in variants])
        return
    each = [costs[name] for name in variants]
    rows = [
        (
            name,
            duration(cost["cell_seconds"]),
            duration(cost["left_seconds"]),
            size_text(cost["memory_bytes"]),
        )
        for name, cost in zip(variants, each, strict=True)
    ]
    title = f"Would take on this machine, {counted(each[0]['at_once'], 'cell')} at a time"
    out.draw(title, ("variant", "one cell", "its cells that are left", "memory"), rows)
    total, disk = (sum(cost[key] for cost in each) for key in ("left_seconds", "disk_bytes"))
    out.say(f"all variants, one after the other: about {duration(total)}; disk at the end: {size_text(disk)}")


def show_experiment(out: Screen, values: Mapping[str, Any]) -> None:
    """Variants, differences, the answer; the variants alone where there is none yet."""
    if "rows" not in values:
        out.say(f"{values['title']}: {values['question']}")
        _show_variants(out, values["variants"], values.get("costs") or {})
        finished = f"cells finished: {values['finished']} of {values['cells']}"
        out.say(finished, f"experiment: {values['out']}")
        return
    variants, show = values["rows"], percent if values["share"] else number
    others = [name for name in variants[0]["figures"] if name != values["figure"]]
    chosen = ("on validation images",) if values["by_validation"] else ()
    rows = [
        (row["name"], show(row["mean"]), interval(row["interval"], show),
         *(show(row["validation"]) for _ in chosen), *(number(row["figures"][name]) for name in others),
         duration(row["seconds"]))
        for row in variants
    ]  # fmt: skip
    named = (readable(values["figure"]), "interval", *chosen, *map(readable, others))
    out.draw(values["title"], ("variant", *named, "time"), rows)
    means = {row["name"]: {arm["name"]: arm["mean"] for arm in row.get("arms", ())} for row in variants}
    names = dict.fromkeys(name for each in means.values() for name in each)
    rows = [(name, *(percent(each.get(name), 2) for each in means.values())) for name in names]
    out.draw("Test score of every arm", ("arm", *means), rows)
    rows = []
    for row in variants:
        if of_cas := row.get("spread"):
            shares = (percent(of_cas[key], 2) for key in ("mean", "between", "within", "error"))
            rows.append((row["name"], of_cas["groups"], of_cas["repeats"], *shares))
    sds = ("sd between generators", "between classifiers", "error")
    out.draw("Spread of CAS", ("variant", "generators", "classifiers", "mean", *sds), rows)
    rows = [
        (d["name"], show(d["mean"]), interval(d["interval"], show), number(d["adjusted_p"]), d["verdict"])
        for d in values["differences"]
    ]
    head = ("variant", "difference", "interval", "adjusted p", "verdict")
    out.draw(f"Against {variants[0]['name']}", head, rows)
    worth = [f"{row['name']}: {sentence}" for row in variants for sentence in row.get("worth", ())]
    out.say(values["headline"], *worth, *values["notes"])
    show_advice(out, **values["advice"])
    out.say(f"report: {values['report']}")


def show_status(out: Screen, values: Mapping[str, Any]) -> None:
    """A row for each cell, and which are to be submitted."""
    cells = values["cells"]
    rows = [
        (one["index"], one["variant"] or "-", one["seed"], one["state"], one["host"] or "-", one["job"] or "-",
         number(one["step"]), "-" if one["age"] is None else f"{duration(one['age'])} ago")
        for one in cells
    ]  # fmt: skip
    head = ("cell", "variant", "seed", "state", "host", "job", "step", "last written")
    out.draw("", head, rows, left=2)
    finished = sum(one["state"] == "finished" for one in cells)
    # The folder of a comparison says all; that of an experiment does not name its file.
    alone = shlex.join(["gangda", "compare", "--out", values["out"]])
    command = "the command that planned them again" if any(one["variant"] for one in cells) else alone
    to_do = f"to go on: {command}; as a job array: --array={values['open']}"
    again = (to_do,) if values["open"] else ()
    out.say(f"cells finished: {finished} of {len(cells)}", *again)
