"""What a score says in three lines: are the labels right, is it varied, is it copied."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gangda.metrics.names import readable
from gangda.metrics.result import MetricResult

PASS, ALARM, NOT_MEASURED = "pass", "ALARM", "not measured"


@dataclass(frozen=True)
class Answer:
    """A question about the samples; `answer` is one of the words above, `because` names what it is based on."""

    question: str
    answer: str
    because: str


@dataclass(frozen=True)
class Question:
    """A question, how the names of the metrics begin that answer it, and what to measure where none does."""

    words: str
    metrics: tuple[str, ...]
    needs: str
    without: str = ""  # an alarm with this in it is about something else


SPREAD = ("diversity_ratio_randconv", "diversity_ratio_pca", "coverage", "cas")
QUESTIONS = (
    Question("are the labels right?", ("gan_test",), "--metrics gan_test, and labels", " above "),
    Question("is it varied?", SPREAD, "--metrics diversity"),
    Question("is it copied?", ("memorisation_near",), "--metrics memorisation, and 100 images of each kind"),
)
UNSURE = ("circular", "n below", "too few")  # how notes begin of values that decide nothing
COPIES = "exact copies"  # in an alarm about the samples as a whole


def answers(metrics: Sequence[MetricResult], notes: Sequence[str]) -> tuple[Answer, ...]:
    """The three answers, an alarm where any metric of a question has one; `notes` are about the samples as a whole."""
    found = [_answer(question, metrics) for question in QUESTIONS]
    copied = [note.removeprefix("ALARM: ") for note in notes if note.startswith("ALARM") and COPIES in note]
    if copied:
        found[-1] = Answer(QUESTIONS[-1].words, ALARM, "; ".join(copied))
    return tuple(found)


def _answer(question: Question, metrics: Sequence[MetricResult]) -> Answer:
    mine = [one for begins in question.metrics for one in metrics if one.name.startswith(begins)]
    alarms = [
        part.removeprefix("ALARM").strip()
        for one in mine
        for part in re.split("; (?=ALARM)", one.note)
        if part.startswith("ALARM") and not (question.without and question.without in part)
    ]
    sure = [one for one in mine if not math.isnan(one.value) and not one.note.startswith(UNSURE)]
    if alarms:
        return Answer(question.words, ALARM, alarms[0])
    if not sure:
        reason = mine[0].note if mine else f"needs {question.needs}"
        return Answer(question.words, NOT_MEASURED, reason)
    return Answer(question.words, PASS, ", ".join(dict.fromkeys(readable(one.name) for one in sure)))
