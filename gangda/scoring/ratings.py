"""`gangda score --ratings`: mean rating of each set, and its rank correlation with the automatic scores."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gangda.errors import DataError
from gangda.runtime.hashed_file import read_hashed_json
from gangda.scoring.rating_page import REAL_NAME, Key

MARK = "# gangda ratings "
HEAD = ["image", "question", "answer"]
QUALITY, LABEL = "quality", "label"
ANSWERS: Mapping[str, Mapping[str, float]] = {
    QUALITY: {str(score): float(score) for score in range(11)},
    LABEL: {"yes": 1.0, "no": 0.0},
}
FEW_SETS, LEAST_SETS = 4, 3  # a rank correlation of fewer means little; of fewer, it is not computed

Scores = Mapping[str, Mapping[str, Mapping[str, Any]]]  # content of a set -> name -> metric


@dataclass(frozen=True)
class Answer:
    """One answer: of which file, about which set and label, to which question; yes is 1, no is 0."""

    file: str
    set: tuple[str, str, str]  # name, path, content
    label: str
    question: str
    value: float


@dataclass(frozen=True)
class RatingResult:
    """Rows of plain values."""

    files: tuple[str, ...]  # what was read
    answers: int  # how many there are
    sets: tuple[dict[str, Any], ...]  # name, path, content, mean, sd, n, raters, right and labels of each set
    classes: tuple[dict[str, Any], ...]  # name, right (share) and labels of each, without real images
    agreement: tuple[dict[str, Any], ...]  # metric, spearman, n, better (direction)
    notes: tuple[str, ...]  # reasons to trust the ratings less


def summarise_ratings(files: Sequence[Path], scores: Path = Path("scores")) -> RatingResult:
    """Read the raters' files, and the sets' automatic scores below `scores`; a DataError for an unusable file."""
    for number, file in enumerate(files):
        if file.resolve() in [other.resolve() for other in files[:number]]:
            raise DataError(f"--ratings {file}: is given twice, and would count as two raters; leave one out")
    answers = [answer for file in files for answer in read_answers(file)]
    sets = dict.fromkeys(answer.set for answer in answers)
    rows = [_set_row([answer for answer in answers if answer.set == one]) for one in sets]
    made = [row for row in rows if row["name"] != REAL_NAME]
    asked = [one for one in answers if one.question == LABEL and one.set[0] != REAL_NAME]
    labels = sorted({one.label for one in asked})
    classes = [(label, [one.value for one in asked if one.label == label]) for label in labels]
    found, unusable = _automatic({row["content"] for row in made}, scores)
    inattentive = [_inattentive([answer for answer in answers if answer.file == str(file)]) for file in files]
    return RatingResult(
        files=tuple(map(str, files)),
        answers=len(answers),
        sets=tuple(rows),
        classes=tuple({"name": name, "right": _mean(right), "labels": len(right)} for name, right in classes),
        agreement=tuple(_agreement(made, found)),
        notes=(*filter(None, inattentive), *_few_scores(made, found), *unusable),
    )


def read_answers(path: Path) -> list[Answer]:
    """The answers of one file; a DataError, with the line, for what a rating page does not write."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        first = lines[0].strip().strip('",') if lines else ""
        if not first.startswith(MARK):
            raise DataError("not the answers of a rating page; download them from the page again")
        key = Key.decoded(first.removeprefix(MARK).strip())
        rows = list(csv.reader(lines[1:]))
        if not rows or rows[0][:3] != HEAD:
            raise DataError(f"line 2 must be {','.join(HEAD)}; download the answers again")
        answers = list(_answers(str(path), key, rows[1:]))
        if not answers:
            raise DataError("holds no answers yet")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"--ratings {path}: cannot be read ({error}); give a CSV of a rating page") from None
    except DataError as error:
        raise DataError(f"--ratings {path}: {error}") from None
    return answers


def _answers(file: str, key: Key, rows: Sequence[Sequence[str]]) -> Iterator[Answer]:
    seen: set[tuple[str, str]] = set()
    for number, row in enumerate(rows, start=3):
        if not any(row):
            continue
        image, question, answer = (*(part.strip() for part in row), "", "", "")[:3]
        value = ANSWERS.get(question, {}).get(answer)
        if image not in key.images:
            raise DataError(
                f"line {number}: '{image}' is no image of this page; do not mix the answers of two pages"
            )
        if value is None:
            raise DataError(
                f"line {number}: '{question},{answer}' is no answer; quality is 0 to 10, label yes or no"
            )
        if (image, question) in seen:
            raise DataError(f"line {number}: '{image}' is answered twice; keep one of the lines")
        seen.add((image, question))
        which, label = key.images[image]
        one = key.sets[which]
        yield Answer(file, (one["name"], one["path"], one["content"]), key.classes[label], question, value)


def _set_row(answers: Sequence[Answer]) -> dict[str, Any]:
    name, path, content = answers[0].set
    scores = [answer.value for answer in answers if answer.question == QUALITY]
    right = [answer.value for answer in answers if answer.question == LABEL]
    return {
        "name": name,
        "path": path,
        "content": content,
        "mean": _mean(scores),
        "sd": float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
        "n": len(scores),
        "raters": len({answer.file for answer in answers}),
        "right": _mean(right),
        "labels": len(right),
    }


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _automatic(wanted: set[str], scores: Path) -> tuple[Scores, list[str]]:
    """The metrics of the wanted sets in the `scores.json` files below `scores`, and a note on each unusable file."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    unusable: list[str] = []
    for path in sorted(scores.glob("*/scores.json")):
        try:
            values = read_hashed_json(path)
            content = values["hashes"]["samples"]
            metrics = {metric["name"]: metric for metric in values["metrics"]}
        except DataError as error:
            unusable.append(f"passed over: {error}")
        except (KeyError, TypeError):
            unusable.append(f"passed over: {path}: not a score of gangda's; remove it from {scores}")
        else:
            if content in wanted:
                found.setdefault(content, {}).update(metrics)
    return found, unusable


def _agreement(rows: Sequence[Mapping[str, Any]], found: Scores) -> Iterator[dict[str, Any]]:
    """Spearman's correlation of the sets' mean ratings with each metric that all scored sets have."""
    from scipy.stats import spearmanr

    scored = [row for row in rows if row["mean"] is not None and row["content"] in found]
    if len(scored) < LEAST_SETS:
        return
    means = [row["mean"] for row in scored]
    for name, first in found[scored[0]["content"]].items():
        values = [found[row["content"]].get(name, {}).get("value") for row in scored]
        if None not in values and len(set(values)) > 1 and len(set(means)) > 1:
            rank = float(spearmanr(means, values).statistic)
            yield {"metric": name, "spearman": rank, "n": len(scored), "better": first["direction"]}


def _few_scores(rows: Sequence[Mapping[str, Any]], found: Scores) -> Iterator[str]:
    scored = sum(row["content"] in found for row in rows)
    if scored < LEAST_SETS:
        yield (
            f"{scored} of {len(rows)} sets have automatic scores here (gangda score SAMPLES): too few to tell whether "
            "they agree with the ratings"
        )
    elif scored < FEW_SETS:
        yield f"a rank correlation over {scored} sets means little"


def _inattentive(answers: Sequence[Answer]) -> str | None:
    """A note on a rater, of all answers of one file, to whom real images look no better than made ones."""
    scores = [(one.set[0] == REAL_NAME, one.value) for one in answers if one.question == QUALITY]
    real, made = (_mean([value for real, value in scores if real is which]) for which in (True, False))
    if real is None or made is None or real > made:
        return None
    return (
        f"{answers[0].file}: real images were rated no better than made ones ({real:.1f} against {made:.1f}): "
        "perfect samples, or a rater who was not looking"
    )
