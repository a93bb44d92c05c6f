"""`gangda sample`: draw images from a trained generator."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from gangda import api
from gangda.cli.options import Call, run_folders
from gangda.cli.output import Screen, number, percent
from gangda.errors import UsageError


def sample(
    call: Call,
    run: Annotated[
        Path, Argument(metavar="RUN", help="run folder that `gangda train` wrote", autocompletion=run_folders)
    ],
    export: Annotated[
        Path | None,
        Option(help="write the generator with its sampler as a file, .pt2 or .onnx, and no samples"),
    ] = None,
    out: Annotated[Path | None, Option(help="folder of the sample set \\[default: samples/RUN-HASH]")] = None,
) -> None:
    """Draw class-labelled samples from a trained generator; writes a sample set."""
    if export is not None:
        if out is not None or call.dry_run:
            raise UsageError("--export names the file itself; leave out --out and --dry-run")
        from gangda.sampling import export as exporting

        done = exporting.export(run, call.settings.sample, call.settings.sampler, export)
        call.result(done.as_dict(), _show_export)
        return
    call.run(api.sample, _show_result, run, out=out)


def _show_export(out: Screen, values: Mapping[str, Any]) -> None:
    worst = values["largest_difference"]
    out.say(
        f"inputs: noise float32 (N, {', '.join(map(str, values['noise_shape']))}), standard normal; y int64 (N,)",
        f"checked: pixels differ from the generator's by {worst} of 255 levels at most",
        f"exported: {values['export']}",
    )


def _show_result(out: Screen, values: Mapping[str, Any]) -> None:
    counts, sorting = values["counts"], values["sorting"]
    # Shares of the drawn images that the labeler accepted as a class, and that the verifier agreed on.
    shares = ("acceptance", "agreement") if sorting else ()
    found = [(name, number(count), sorting.get(name)) for name, count in counts.items()]
    rows = [(*row, *(percent(of_class[share]) for share in shares if of_class)) for *row, of_class in found]
    part, parts = values["shard"]
    title = "Would draw" if values["dry_run"] else "Samples"
    out.draw(title if parts == 1 else f"{title}, part {part} of {parts}", ("class", "images", *shares), rows)
    verb = "would write" if values["dry_run"] else "sample set"
    show_filtering(out, values)
    out.say(f"{verb}: {values['out']} ({number(sum(counts.values()))} images, {values['format']})")


def show_filtering(out: Screen, values: Mapping[str, Any]) -> None:
    """What filters kept and rejected of each class, if there were any. Truncation rejects noise, not images."""
    filtering, limit = values["filtering"], values["provenance"].get("sampler", {}).get("truncation")
    if filtering:
        beside = "" if limit is None else f" of samples truncated at {limit:g}"
        draw_filters(out, f"Filters{beside}", filtering)
        if values["contact_sheet"]:
            out.say(f"kept and rejected: {values['contact_sheet']}")
    elif limit is not None:
        out.say(f"truncated: noise beyond {limit:g} is drawn again, for all classes alike")


def draw_filters(out: Screen, title: str, classes: Mapping[str, Mapping[str, Any]]) -> None:
    """The share of each class that was kept, and that each filter rejected; the first that rejects an image counts."""
    filters = list(next(iter(classes.values()))["rejected"])
    rows = [
        (name, percent(shares["acceptance"]), *(percent(shares["rejected"][each]) for each in filters))
        for name, shares in classes.items()
    ]
    out.draw(title, ("class", "kept", *(f"rejected by {name}" for name in filters)), rows)
