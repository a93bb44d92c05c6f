"""`gangda score`: compare samples with held-out real images."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from gangda import api
from gangda.cli.options import Call
from gangda.cli.output import Screen, interval, number, percent
from gangda.errors import UsageError
from gangda.metrics.names import DIRECTIONS, readable

TARGET = "as real vs real: the value of real images is the ideal; above it is as odd as below."


def score(
    call: Call,
    samples: Annotated[
        list[Path] | None, Argument(metavar="SAMPLES", help="sample set, augmented set or class folders")
    ] = None,
    rating_page: Annotated[Path | None, Option(help="write a web page for blind rating of SAMPLES")] = None,
    ratings: Annotated[
        list[Path] | None, Option(help="evaluate the CSV file of a rating page; repeatable")
    ] = None,
    out: Annotated[Path | None, Option(help="folder of the result \\[default: scores/SAMPLES-HASH]")] = None,
) -> None:
    """Compare samples with held-out real images; each metric is shown beside its value for real images.

    Without --data, the samples are compared with the images that their set was made from; --image-size and the other
    options of the data apply to those too. To rate samples by eye: --rating-page, then --ratings.
    """
    sets = samples or []
    if ratings and (sets or rating_page or out):
        raise UsageError(
            "--ratings only evaluates the files of raters: leave out SAMPLES, --out and --rating-page"
        )
    if rating_page and out:
        raise UsageError("--rating-page names the file itself; leave out --out")
    if not sets and not ratings:
        raise UsageError("SAMPLES is missing: name a sample set, an augmented set or class folders")
    if len(sets) > 1 and not rating_page:
        raise UsageError(f"{sets[1]}: one set is scored at a time (a --rating-page takes several)")
    if ratings:
        from gangda.scoring.ratings import summarise_ratings

        call.result(asdict(summarise_ratings(ratings)), _show_ratings)
    elif rating_page:
        from gangda.scoring.rating_page import make_page

        settings = call.settings
        page = make_page(
            sets,
            settings.given_data,
            settings.runtime,
            rating_page,
            images=settings.score.rating_images,
            changed=settings.changed("data"),
            dry_run=call.dry_run,
        )
        call.result(asdict(page), _show_page)
    else:
        call.run(api.score, _show_result, sets[0], out=out)


def _show_result(out: Screen, values: Mapping[str, Any]) -> None:
    sizes = ", ".join(f"{number(count)} {name}" for name, count in values["n"].items())
    if values["dry_run"]:
        what = f"would compare {values['samples']} with held-out real images ({sizes})"
        out.say(what, f"would write: {values['out']}")
        return
    rows = [
        (readable(row["name"]), number(row["value"]), number(row["floor"]), interval(row["interval"]),
         DIRECTIONS[row["direction"]])
        for row in values["metrics"]
    ]  # fmt: skip
    out.draw(f"Scores ({sizes})", ("metric", "value", "real vs real", "95% interval", "better"), rows)
    if any(row["direction"] == "target" for row in values["metrics"]):
        out.say(TARGET)
    notes = [f"{readable(row['name'])}: {row['note']}" for row in values["metrics"] if row["note"]]
    out.say(*notes, *values["notes"], f"scores: {values['out']}")
    answers = [(one["question"], one["answer"], one["because"]) for one in values["answers"]]
    out.draw("", ("", "", ""), answers, left=3)


def _show_page(out: Screen, values: Mapping[str, Any]) -> None:
    out.draw("Images to rate", ("set", "images"), [(one["name"], one["images"]) for one in values["sets"]])
    if values["dry_run"]:
        out.say(f"would write: {values['page']}")
        return
    page = f"page: {values['page']} (open it in a browser; no network is needed)"
    out.say(page, "then: gangda score --ratings FILE, with the CSV that it downloads")


def _show_ratings(out: Screen, values: Mapping[str, Any]) -> None:
    files = len(values["files"])
    rows = []
    for row in values["sets"]:
        mean, sd = (number(row[name], 2) for name in ("mean", "sd"))
        rows.append((row["name"], mean, sd, row["n"], percent(row["right"]), row["labels"]))
    columns = ("set", "mean of 10", "sd", "n", "label right", "labels")
    out.draw(f"Ratings of {files} rater{'s' if files != 1 else ''}", columns, rows)
    classes = [(row["name"], percent(row["right"]), row["labels"]) for row in values["classes"]]
    out.draw("Labels judged right, without real images", ("class", "right", "labels"), classes)
    ranks = [
        (one["metric"], number(one["spearman"], 2), one["better"], one["n"]) for one in values["agreement"]
    ]
    head = ("metric", "Spearman with the mean rating", "better", "sets")
    out.draw("Agreement with automatic scores", head, ranks)
    out.say(*values["notes"])
