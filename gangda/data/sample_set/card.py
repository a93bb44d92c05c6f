"""`README.md` of a set: a data card with the fields that Hugging Face reads, from what the set's header says."""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from gangda.data.sample_set.index import SetHeader

SCORES = "\n## Scores\n"
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))

TEXT = """\
# {title}

{total:,} images of {classes} classes, {shape}, written by gangda ({format} format).

## Intended use

Training material for image classifiers, and the study of generated images. Not for testing: whether such
images help is what `gangda compare` measures on held-out real ones.

## Where the images come from

- Real data: {source} (content {fingerprint}, seed of the subset {seed}).
- Made by: {made_by}.
- Labels: {labels}.

## Limits

A generator repeats what its training images have, their faults and their lack of balance too, and can copy
single ones; `gangda score` looks for copies, wrong labels and lost variety, and writes what it finds into a
folder of its own. The licence of the real data holds for what was made from them.

## Images of each class

{table}
"""


def data_card(header: SetHeader) -> str:
    """The card; the same for every shard of a set."""
    total, made = sum(header.total), header.provenance
    size = next((words for most, words in SIZES if total < most), "n>1M")
    fields = {
        "pretty_name": f"{header.kind} of {_source(header.data)}",
        "task_categories": ["image-classification"],
        "size_categories": [size],
        "tags": ["gangda", "synthetic", "image"],
    }
    channels, height, width = header.image_shape
    labels = made.get("labels")
    rows = zip(header.class_names, header.total, strict=True)
    table = "\n".join(
        ["| class | images |", "| --- | --- |", *(f"| {_cell(n)} | {count:,} |" for n, count in rows)]
    )
    body = TEXT.format(
        title=f"{'Augmented set' if header.kind == 'augmented' else 'Samples'} of {_source(header.data)}",
        total=total,
        classes=len(header.class_names),
        shape=f"{height}x{width} {'grey' if channels == 1 else 'RGB'}",
        format=header.format,
        source=_source(header.data),
        fingerprint=header.data.get("fingerprint", "unknown"),
        seed=header.data.get("seed", "unknown"),
        made_by=_maker(made),
        labels=labels.get("made", "unknown") if isinstance(labels, Mapping) else "those of the real images",
        table=table,
    )
    return f"---\n{yaml.safe_dump(fields, sort_keys=False)}---\n\n{body}"


def with_scores(card: str, about: str, rows: Iterable[tuple[str, ...]]) -> str:
    """The card with what `gangda score` has found, in place of what it found before; cells of rows in order."""
    table = "\n".join(
        f"| {' | '.join(row)} |" for row in (("metric", "samples", "real images"), ("---",) * 3, *rows)
    )
    return f"{card.partition(SCORES)[0].rstrip()}\n{SCORES}\n{about}\n\n{table}\n"


def _source(data: Mapping[str, Any]) -> str:
    config = data.get("config")
    name = str(config.get("source", "unknown data")) if isinstance(config, Mapping) else "unknown data"
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2]


def _maker(made: Mapping[str, Any]) -> str:
    if made.get("arch") is None:
        return "traditional transforms, or a set that was there" if "augment" in made else "unknown"
    return (
        f"{made['arch']}, {made.get('steps')} steps, run {made.get('run')}, sampling seed {made.get('seed')}"
    )


def _cell(name: str) -> str:
    return name.replace("|", "\\|")
