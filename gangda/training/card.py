"""`README.md` of a run folder: a model card with the fields that Hugging Face reads."""

import contextlib
import json
from pathlib import Path

import yaml

from gangda.data.images import size_words
from gangda.runtime.files import write_bytes
from gangda.training.result import TrainResult
from gangda.training.saved_model import load_model

# Of the monitor.
SCORES = ("gan_test", "gan_test_real", "diversity", "validation_distance", "validation_loss")
TEXT = """\
# {arch} on {source}

A generator of {shape} images of {classes} classes ({kind}), trained by gangda.

## Intended use

Synthetic training images for classifiers of the same classes (`gangda augment`), and their study. Whether
they help is what `gangda compare` measures; a generator alone does not say so. Not for images of persons or
for decisions about them.

```
gangda sample {run} --per-class 100
```

## Training data

{source} (content {fingerprint}), {images:,} images drawn by seed {seed}: {names}.

## Training and scores

- {steps:,} steps, {precision}; {described}.
- Chosen by: {chosen_by}.
- Scores against validation images: {scores}.
- Alarms at the end: {alarms}.

Curves and samples at fixed noise are in this folder; `gangda score` compares samples with held-out images.

## Limits

Samples show what the training images show, their bias too, and may copy some of them. The licence of the
training data holds for what was made from them.
"""


def save_card(run: Path, result: TrainResult) -> None:
    """Write the card of a finished run."""
    model = load_model(run)
    card = model.card
    source = Path(str(card.data.get("source", "unknown data"))).name
    fields = {
        "library_name": "gangda",
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["gangda", card.arch, "data-augmentation"],
        "datasets": [source],
    }
    text = TEXT.format(
        arch=card.arch,
        source=source,
        shape=size_words(card.image_shape),
        classes=len(card.class_names),
        kind="class-conditional" if model.conditional else "labelled by a classifier",
        run=card.run,
        fingerprint=card.fingerprint,
        images=len(model.row_ids),
        seed=card.seed,
        names=", ".join(card.class_names[:20]) + (", ..." if len(card.class_names) > 20 else ""),
        steps=card.steps,
        precision=card.precision,
        described=model.described(),
        chosen_by=result.chosen_by or "nothing was chosen",
        scores=_last_scores(run / "metrics.jsonl"),
        alarms="; ".join(result.alarms) or "none",
    )
    write_bytes(run / "README.md", f"---\n{yaml.safe_dump(fields, sort_keys=False)}---\n\n{text}".encode())


def _last_scores(log: Path) -> str:
    """The figures of the last evaluation of samples in a run's log, in words."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    for text in reversed(lines):
        with contextlib.suppress(ValueError, TypeError, KeyError):
            line = json.loads(text)
            known = {name: value for name in SCORES if (value := line["evaluation"].get(name)) is not None}
            figures = ", ".join(f"{name} {value:.4g}" for name, value in known.items())
            return f"step {line['step']:,}: {figures}" if figures else "none"
    return "none"
