"""`gangda score`: compare samples with held-out real images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gangda.cli import rating
from gangda.cli.options import Call
from gangda.cli.output import draw, interval, number, say
from gangda.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console


def score(
    call: Call,
    samples: Annotated[
        list[Path] | None,
        typer.Argument(metavar="SAMPLES", help="sample set, augmented set or class folders"),
    ] = None,
    rating_page: Annotated[
        Path | None,
        typer.Option(
            "--rating-page", help="write a web page for rating the SAMPLES (one set or several) by eye, blind"
        ),
    ] = None,
    ratings: Annotated[
        list[Path] | None,
        typer.Option("--ratings", help="evaluate a CSV file that a rating page has saved; repeatable"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="folder of the result \\[default: scores/SAMPLES-HASH]")
    ] = None,
) -> None:
    """Compare samples with held-out real images; each metric is shown beside its value for real images.

    Without --data, the samples are compared with the images that their set was made from; --image-size and the other
    options of the data apply to those too. To rate samples by eye: --rating-page, then --ratings.
    """
    sets = samples or []
    _check(sets, out, rating_page, ratings or [])
    if ratings:
        rating.evaluate(call, ratings)
    elif rating_page:
        rating.write_page(call, sets, rating_page)
    else:
        _score(call, sets[0], out)


def _check(sets: Sequence[Path], out: Path | None, page: Path | None, ratings: Sequence[Path]) -> None:
    """Refuse arguments that do not go together.

    Raises:
        UsageError: too few or too many sets, or two tasks at once.
    """
    if ratings and (sets or page or out):
        raise UsageError(
            "--ratings only evaluates the files of raters: leave out SAMPLES, --out and --rating-page"
        )
    if page and out:
        raise UsageError("--rating-page names the file itself; leave out --out")
    if not sets and not ratings:
        raise UsageError("SAMPLES is missing: name a sample set, an augmented set or class folders")
    if len(sets) > 1 and not page:
        raise UsageError(f"{sets[1]}: one set is scored at a time (a --rating-page takes several)")


def _score(call: Call, samples: Path, out: Path | None) -> None:
    from gangda import scoring

    settings = call.settings
    with call.terminal.reporter() as reporter:
        result = scoring.score(
            samples,
            settings.given_data,
            settings.classifier,
            settings.runtime,
            out,
            metrics=settings.score.metrics,
            changed=settings.changed("data"),
            dry_run=call.dry_run,
            reporter=reporter,
        )
    call.terminal.result(result.as_dict(), show_result)


def show_result(out: "Console", values: Mapping[str, Any]) -> None:
    """One line for each metric, beside its value for real images; then the notes."""
    sizes = ", ".join(f"{number(count)} {name}" for name, count in values["n"].items())
    if values["dry_run"]:
        say(out, f"would compare {values['samples']} with held-out real images ({sizes})")
        say(out, f"would write: {values['out']}")
        return
    rows = [
        (row["name"], number(row["value"]), number(row["floor"]), interval(row["interval"]), row["direction"])
        for row in values["metrics"]
    ]
    draw(out, f"Scores ({sizes})", ("metric", "value", "real vs real", "95% interval", "better"), rows)
    for row in values["metrics"]:
        if row["note"]:
            say(out, f"{row['name']}: {row['note']}")
    for note in values["notes"]:
        say(out, note)
    say(out, f"scores: {values['out']}")
