"""`gangda score --ratings`: mean rating of each set, and its rank correlation with the automatic scores."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gangda.errors import DataError
from gangda.runtime.hashed_file import read_hashed_json
from gangda.scoring.rating.key import REAL_NAME, Key

MARK = "# gangda ratings "
HEAD = ["image", "question", "answer"]
QUALITY, LABEL = "quality", "label"
ANSWERS: Mapping[str, Mapping[str, float]] = {
    QUALITY: {str(score): float(score) for score in range(11)},
    LABEL: {"yes": 1.0, "no": 0.0},
}
FEW_SETS, LEAST_SETS = 4, 3  # a rank correlation of fewer means little; of fewer, it is not computed


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
    """The table of ratings; see `as_dict` for its columns."""

    values: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Plain values: `sets` (mean, sd, n, right, labels), `classes` (right, labels), `agreement`, `notes`."""
        return self.values


def summarise_ratings(files: Sequence[Path], scores: Path = Path("scores")) -> RatingResult:
    """Read the files that raters downloaded, and the sets' automatic scores from the folders of `scores`.

    Raises:
        DataError: a file that no rating page made, damaged, or without answers.
    """
    _refuse_twice(files)
    answers = [answer for file in files for answer in read_answers(file)]
    sets = list(dict.fromkeys(answer.set for answer in answers))
    rows = [_set_row(one, [answer for answer in answers if answer.set == one]) for one in sets]
    made = [row for row in rows if row["name"] != REAL_NAME]
    found, passed_over = _automatic(made, scores)
    agreement = _agreement(made, found)
    return RatingResult(
        {
            "files": [str(file) for file in files],
            "answers": len(answers),
            "sets": rows,
            "classes": _classes([answer for answer in answers if answer.set[0] != REAL_NAME]),
            "agreement": agreement,
            "notes": [*_notes(answers, made, found), *passed_over],
        }
    )


def _refuse_twice(files: Sequence[Path]) -> None:
    """Refuse a file that is given twice (two raters may give the same answers, in two files)."""
    seen: set[Path] = set()
    for file in files:
        if file.resolve() in seen:
            raise DataError(f"--ratings {file}: is given twice, and would count as two raters; leave one out")
        seen.add(file.resolve())


def read_answers(path: Path) -> list[Answer]:
    """The answers of one file.

    Raises:
        DataError: not a file of a rating page, or an answer that the page cannot give; the line is named.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"--ratings {path}: cannot be read ({error}); give a CSV of a rating page") from None
    first = lines[0].strip().strip('"').rstrip(",") if lines else ""
    if not first.startswith(MARK) or len(lines) < 2:
        raise DataError(
            f"--ratings {path}: not the answers of a rating page; download them from the page again"
        )
    try:
        key = Key.decoded(first.removeprefix(MARK).strip())
    except DataError as error:
        raise DataError(f"--ratings {path}: {error}") from None
    try:
        rows = list(csv.reader(lines[1:]))
    except csv.Error as error:
        raise DataError(
            f"--ratings {path}: not readable as CSV ({error}); download the answers again"
        ) from None
    if rows[0][:3] != HEAD:
        raise DataError(f"--ratings {path}: line 2 must be {','.join(HEAD)}; download the answers again")
    return list(_answers(path, key, rows[1:]))


def _answers(path: Path, key: Key, rows: Sequence[Sequence[str]]) -> Iterable[Answer]:
    seen: set[tuple[str, str]] = set()
    for number, row in enumerate(rows, start=3):
        if not any(row):
            continue
        image, question, answer = (*(part.strip() for part in row), "", "", "")[:3]
        value = ANSWERS.get(question, {}).get(answer)
        where = f"--ratings {path}: line {number}"
        if image not in key.images:
            raise DataError(
                f"{where}: '{image}' is no image of this page; do not mix the answers of two pages"
            )
        if value is None:
            raise DataError(
                f"{where}: '{question},{answer}' is no answer; quality is 0 to 10, label yes or no"
            )
        if (image, question) in seen:
            raise DataError(f"{where}: '{image}' is answered twice; keep one of the lines")
        seen.add((image, question))
        which, label = key.images[image]
        one = key.sets[which]
        yield Answer(
            str(path), (one["name"], one["path"], one["content"]), key.class_names[label], question, value
        )
    if not seen:
        raise DataError(f"--ratings {path}: holds no answers yet")


def _set_row(one: tuple[str, str, str], answers: Sequence[Answer]) -> dict[str, Any]:
    scores = _values(answers, QUALITY)
    right = _values(answers, LABEL)
    return {
        "name": one[0],
        "path": one[1],
        "content": one[2],
        "mean": _mean(scores),
        "sd": float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
        "n": len(scores),
        "raters": len({answer.file for answer in answers}),
        "right": _mean(right),
        "labels": len(right),
    }


def _classes(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """For each class, the share of labels that were rated right; the real images are left out."""
    asked = [answer for answer in answers if answer.question == LABEL]
    names = sorted({answer.label for answer in asked})
    values = {name: [answer.value for answer in asked if answer.label == name] for name in names}
    return [{"name": name, "right": _mean(values[name]), "labels": len(values[name])} for name in names]


def _values(answers: Iterable[Answer], question: str) -> list[float]:
    return [answer.value for answer in answers if answer.question == question]


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _automatic(
    rows: Sequence[Mapping[str, Any]], scores: Path
) -> tuple[dict[str, dict[str, dict[str, Any]]], list[str]]:
    """Content of a set -> its metrics by name, where a `scores.json` of these very images lies in `scores`.

    And a note on each such file that cannot be used.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    passed_over: list[str] = []
    wanted = {row["content"] for row in rows}
    for path in sorted(scores.glob("*/scores.json")):
        try:
            values = read_hashed_json(path)
            content = values["hashes"]["samples"]
            metrics = {metric["name"]: metric for metric in values["metrics"]}
        except DataError as error:
            passed_over.append(f"passed over: {error}")
        except (KeyError, TypeError):
            passed_over.append(f"passed over: {path}: not a score of gangda's; remove it from {scores}")
        else:
            if content in wanted:
                found.setdefault(content, {}).update(metrics)
    return found, passed_over


def _agreement(
    rows: Sequence[Mapping[str, Any]], found: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> list[dict[str, Any]]:
    """Spearman's correlation of the sets' mean ratings with each metric that all scored sets have."""
    from scipy.stats import spearmanr

    scored = [row for row in rows if row["mean"] is not None and row["content"] in found]
    if len(scored) < LEAST_SETS:
        return []
    common = set.intersection(*(set(found[row["content"]]) for row in scored))
    means = [row["mean"] for row in scored]
    table = []
    for name in (name for name in found[scored[0]["content"]] if name in common):
        metrics = [found[row["content"]][name] for row in scored]
        values = [metric["value"] for metric in metrics]
        if None in values or len(set(values)) < 2 or len(set(means)) < 2:
            continue
        rank = float(spearmanr(means, values).statistic)
        table.append({"metric": name, "spearman": rank, "n": len(scored), "better": metrics[0]["direction"]})
    return table


def _notes(
    answers: Sequence[Answer],
    rows: Sequence[Mapping[str, Any]],
    found: Mapping[str, Any],
) -> list[str]:
    """Reasons to trust the ratings less."""
    notes = [note for file in dict.fromkeys(a.file for a in answers) if (note := _inattentive(file, answers))]
    scored = sum(row["content"] in found for row in rows)
    if scored < LEAST_SETS:
        notes.append(
            f"{scored} of {len(rows)} sets have automatic scores here (gangda score SAMPLES): too few to tell whether "
            "they agree with the ratings"
        )
    elif scored < FEW_SETS:
        notes.append(f"a rank correlation over {scored} sets means little")
    return notes


def _inattentive(file: str, answers: Sequence[Answer]) -> str | None:
    """A rater to whom real images look no better than made ones."""
    mine = [answer for answer in answers if answer.file == file and answer.question == QUALITY]
    real = _mean([answer.value for answer in mine if answer.set[0] == REAL_NAME])
    made = _mean([answer.value for answer in mine if answer.set[0] != REAL_NAME])
    if real is None or made is None or real > made:
        return None
    return (
        f"{file}: real images were rated no better than made ones ({real:.1f} against {made:.1f}): "
        "perfect samples, or a rater who was not looking"
    )
