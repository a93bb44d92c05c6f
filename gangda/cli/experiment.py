"""`gangda compare --experiment`, and what there is to compare."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gangda import experiments
from gangda.cli.options import Call
from gangda.cli.output import draw, duration, interval, number, percent, say
from gangda.config import arms
from gangda.config.schema import ComparisonConfig
from gangda.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console


def run(call: Call, name: str, quick: bool, out: Path | None, jobs: int | None, cell: int | None) -> None:
    """Run an experiment by its name or file; flags hold for all its variants."""
    from gangda.comparing.sweeps import sweep

    asked = experiments.read(name, quick)
    configs = resolved(call, asked)
    with call.terminal.reporter() as reporter:
        result = sweep(asked, configs, out, jobs=jobs, cell=cell, dry_run=call.dry_run, reporter=reporter)
    call.terminal.result(result.as_dict(), show_result)


def resolved(call: Call, asked: experiments.Experiment) -> dict[str, ComparisonConfig]:
    """Each variant's configuration under the flags and the environment.

    Raises:
        UsageError: a flag for what the experiment varies, or a variant whose configuration is wrong.
    """
    options = any(key.startswith("arch.") for key in call.typed)  # of an architecture
    for key in asked.varied:
        other_arch = key.startswith("arch.") and "arch.name" in call.typed
        if key in call.typed or other_arch or (key == "arch.name" and options):
            raise UsageError(f"--experiment {asked.name} varies {key} itself; leave that flag out")
    layers = {one.name: (f"{asked.source}: {one.name}", one.sections) for one in asked.variants}
    return {name: call.resolve(layer).pick(ComparisonConfig) for name, layer in layers.items()}


def listed() -> dict[str, Any]:
    """Arms and shipped experiments."""
    keys = ("name", "title", "question", "origin", "measure")
    shipped = [
        {**{key: getattr(one, key) for key in keys}, "variants": [variant.name for variant in one.variants]}
        for one in map(experiments.read, experiments.names())
    ]
    return {
        "experiments": shipped,
        "arms": [{"name": name, "summary": arm.summary} for name, arm in arms.ARMS.items()],
    }


def show_list(out: "Console", values: Mapping[str, Any]) -> None:
    """Both as tables."""
    shown = values["experiments"]
    rows = [(one["name"], one["question"], len(one["variants"]), one["measure"]) for one in shown]
    draw(out, "Experiments (--experiment)", ("name", "question", "variants", "measure"), rows, left=2)
    names = [tuple(arm.values()) for arm in values["arms"]]
    draw(out, "Arms (--arms)", ("name", "what it trains on"), names, left=2)
    say(out, "ARM@ARCHITECTURE takes another generator: generated+traditional@wgan-gp.")
    say(out, "ARM:RATIO adds so many images per real one, whatever --ratios says: held-back:0.5.")
    say(out, "An experiment of your own is a YAML file like the shipped ones: --experiment FILE.")


def show_arms(out: "Console", rows: Sequence[Mapping[str, Any]]) -> None:
    """Mean test score of every arm under every variant, where arms were compared."""
    found = {row["name"]: {arm["name"]: arm["mean"] for arm in row.get("arms", ())} for row in rows}
    names = dict.fromkeys(name for means in found.values() for name in means)
    shown = [(name, *(percent(means.get(name), 2) for means in found.values())) for name in names]
    if shown:
        draw(out, "Test score of every arm", ("arm", *found), shown)


def show_spread(out: "Console", rows: Sequence[Mapping[str, Any]]) -> None:
    """Standard deviations of CAS between generators and between classifiers, where there are several of both."""
    shown = [
        (
            row["name"],
            *(number(row["spread"][key]) for key in ("groups", "repeats")),
            *(percent(row["spread"][key], 2) for key in ("mean", "between", "within", "error")),
        )
        for row in rows
        if row.get("spread")
    ]
    if shown:
        sds = ("sd between generators", "between classifiers", "error")
        draw(out, "Spread of CAS", ("variant", "generators", "classifiers", "mean", *sds), shown)


def show_result(out: "Console", values: Mapping[str, Any]) -> None:
    """Variants, differences, the answer."""
    if "rows" not in values:
        say(out, f"{values['title']}: {values['question']}")
        draw(out, "", ("variants",), [(name,) for name in values["variants"]])
        say(out, f"cells finished: {values['finished']} of {values['cells']}")
        say(out, f"experiment: {values['out']}")
        return
    show = percent if values["share"] else number
    others = [name for name in values["rows"][0]["figures"] if name != values["figure"]]
    rows = [
        (row["name"], show(row["mean"]), interval(row["interval"], show),
         *(number(row["figures"][name]) for name in others), duration(row["seconds"]))
        for row in values["rows"]
    ]  # fmt: skip
    draw(out, values["title"], ("variant", values["figure"], "interval", *others, "time"), rows)
    show_arms(out, values["rows"])
    show_spread(out, values["rows"])
    if values["differences"]:
        rows = [
            (d["name"], show(d["mean"]), interval(d["interval"], show), number(d["adjusted_p"]), d["verdict"])
            for d in values["differences"]
        ]
        head = ("variant", "difference", "interval", "adjusted p", "verdict")
        draw(out, f"Against {values['rows'][0]['name']}", head, rows)
    say(out, values["headline"])
    for row in values["rows"]:
        for sentence in row.get("worth", ()):
            say(out, f"{row['name']}: {sentence}")
    for note in values["notes"]:
        say(out, note)
    say(out, f"report: {values['report']}")
