"""Looking at the samples of a run now and then: figures, alarms, and which step was best so far."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from gangda.data.images import LabelledImages
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import Reporter
from gangda.training.monitor.alarms import (
    AT_THE_END,
    COLLAPSE,
    FROM_STEP,
    Alarm,
    find_alarms,
    never_conditional,
    never_trained,
)
from gangda.training.monitor.checks import Check, look, mean
from gangda.training.monitor.dynamics import Course
from gangda.training.monitor.reference import Reference, make_reference
from gangda.zoo.base import Generator

FIRST = 500  # steps before which there is nothing to see, and between two looks at least
# Distances (shares of the real spread) that differ by less are equal, and of equals the later step is the better. On
# Fashion-MNIST step 6,000 of 8,693 was the nearest by 0.002, and its CAS was 0.65 points below the last one's.
TIE = 0.01

Tell = Callable[[int, Mapping[str, Any]], None]


@dataclass(eq=False)
class SampleMonitor:
    """Looks at samples against the run's own images, on the way and at the end.

    What it finds depends on the weights alone, so that a resumed run finds the same.

    Attributes:
        train, validation: the run's training images, and held-out ones of the same subset (may be none).
        seed, machine, cache: of the reference; `cache` is the folder that keeps its classifier.
        conditioning_warmup: steps over which the run turns class-conditional. Until they are over, labels are
            not judged and no step is the best: the class has less effect in what is looked at than in the model's
            samples.
        reporter, tell: where remarks and lines of the log go.
        alarms: those of the last look.
        best_step, best: the best step so far and its weights; None before the first look.
        best_distance: the least distance so far.
        seconds: time spent here, in this sitting and those before.
        looked: the step of the last look; None before the first.
    """

    train: LabelledImages
    validation: LabelledImages
    seed: int
    context: DeviceContext
    cache: Path
    reporter: Reporter
    tell: Tell
    conditioning_warmup: int = 0
    alarms: tuple[Alarm, ...] = ()
    best_step: int | None = None
    best_distance: float = float("inf")
    best: dict[str, Tensor] = field(default_factory=dict)
    seconds: float = 0.0
    looked: int | None = None
    _reference: Reference | None = None
    _seen: tuple[int, Check] | None = None

    @property
    def collapsed(self) -> bool:
        """Whether the last look saw a collapse."""
        return any(alarm.kind == COLLAPSE for alarm in self.alarms)

    def look(self, generator: Generator, step: int, course: Course) -> None:
        """Measure a sample, raise alarms (from step `FROM_STEP` on), and keep the weights if they are the best."""
        began = time.monotonic()
        check, figures = self._measured(generator, step)
        found = self._found(check, step, course) if step >= FROM_STEP else ()
        self._describe(step, check, figures, found)
        self._raise(step, found, figures)
        self.seconds += time.monotonic() - began

    def finish(self, generator: Generator, step: int, course: Course) -> None:
        """The last look of a run: its alarms begin at step `AT_THE_END`. A check of the same step is not made again."""
        began = time.monotonic()
        found: tuple[Alarm, ...] = ()
        figures: dict[str, Any] = {}
        if step >= AT_THE_END:
            if self._seen is not None and self._seen[0] == step:
                check = self._seen[1]
            else:
                told = self.looked == step  # in the log, by a sitting that ended here
                check, figures = self._measured(generator, step)
                figures = {} if told else figures
            found = self._found(check, step, course)
            if figures:
                self._describe(step, check, figures, found)
        if not step:
            found = (*found, never_trained())
        elif self.conditioning_warmup and step <= self.conditioning_warmup:
            found = (*found, never_conditional(step, self.conditioning_warmup))
        if figures or found != self.alarms:
            self._raise(step, found, figures)
        self.seconds += time.monotonic() - began

    def _measured(self, generator: Generator, step: int) -> tuple[Check, dict[str, Any]]:
        """A check, its line of the log; keeps the weights if they are the best."""
        check = look(generator, self._prepared(generator), seed=self.seed, context=self.context)
        self._seen, self.looked = (step, check), step
        # The class counts in full only after the step numbered `conditioning_warmup`.
        best = check.distance <= self.best_distance + TIE and step > self.conditioning_warmup
        if best:
            self.best_step, self.best_distance = step, min(check.distance, self.best_distance)
            # Copies on the CPU: the generator goes on changing.
            self.best = {name: value.detach().cpu().clone() for name, value in generator.state_dict().items()}
        return check, {"look": check.as_dict(), "best": best}

    def _describe(
        self, step: int, check: Check, figures: Mapping[str, Any], found: tuple[Alarm, ...]
    ) -> None:
        """The look in a line. What is the best of a run that fails is no good news, and not called so."""
        best = ", the best so far" if figures["best"] and not found else ""
        self.reporter.line(f"step {step:,}: {summary(check)}{best}")

    def _found(self, check: Check, step: int, course: Course) -> tuple[Alarm, ...]:
        turning = step <= self.conditioning_warmup
        return (*find_alarms(check, self.train.class_names, turning), *course.alarms())

    def _raise(self, step: int, found: tuple[Alarm, ...], figures: Mapping[str, Any]) -> None:
        self.tell(step, {**figures, "alarms": [alarm.text for alarm in found]})
        self._report(found)

    def dump(self) -> dict[str, Any]:
        """Plain values and tensors for a checkpoint."""
        alarms = [[alarm.kind, list(alarm.classes), alarm.text] for alarm in self.alarms]
        best = {"best_step": self.best_step, "best_distance": self.best_distance, "best": self.best}
        return {"alarms": alarms, **best, "seconds": self.seconds, "looked": self.looked}

    def load(self, values: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.alarms = tuple(Alarm(kind, tuple(classes), text) for kind, classes, text in values["alarms"])
        self.best_step, self.best_distance = values["best_step"], float(values["best_distance"])
        self.best, self.seconds = dict(values["best"]), float(values["seconds"])
        self.looked = values.get("looked")  # older checkpoints have none

    def _prepared(self, generator: Generator) -> Reference:
        if self._reference is None:
            self._reference = make_reference(
                self.train,
                self.validation,
                conditional=generator.conditional,
                seed=self.seed,
                context=self.context,
                cache=self.cache,
            )
            if self._reference.skipped:
                self.reporter.line(f"looking at samples: {self._reference.skipped}")
        return self._reference

    def _report(self, found: tuple[Alarm, ...]) -> None:
        """Say what is new, and when all is well again."""
        before = {(alarm.kind, alarm.classes) for alarm in self.alarms}
        for alarm in found:
            if (alarm.kind, alarm.classes) not in before:
                self.reporter.line(str(alarm))
        if before and not found:
            self.reporter.line("no alarm any more")
        self.alarms = found


def due(step: int, every: int) -> bool:
    """Whether to look after this step: at a checkpoint, from step `FIRST` on, and not sooner than that again."""
    return step % every == 0 and step // FIRST > (step - every) // FIRST


def summary(check: Check) -> str:
    """A look in a few words."""
    accuracy = (
        f"GAN-test {check.gan_test:.1%} (real {check.gan_test_real:.1%}), " if check.gan_test >= 0 else ""
    )
    diversity = mean(check.diversity)
    spread = f"diversity {diversity:.2f} of real, " if diversity >= 0 else ""
    return f"{accuracy}{spread}distance to real {check.distance:.3f}"
