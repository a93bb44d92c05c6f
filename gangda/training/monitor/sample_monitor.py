"""Evaluating a generator's samples while it trains: metrics, alarms, and the best step so far."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from gangda.config.schema import TrainConfig
from gangda.data.images import LabelledImages
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import Reporter
from gangda.training.metrics_logger import MetricsLogger
from gangda.training.monitor import alarms
from gangda.training.monitor.alarms import AT_THE_END, COLLAPSE, FROM_STEP, Alarm
from gangda.training.monitor.checks import Check, check_samples, mean
from gangda.training.monitor.reference import Reference, make_reference
from gangda.zoo.base import Generator

FIRST = 500  # steps before the first evaluation, and between two at least
# Distances (shares of the real spread) that differ by less are equal, and of equals the later step is the better. On
# Fashion-MNIST step 6,000 of 8,693 was the nearest by 0.002, and its CAS was 0.65 points below the last one's.
TIE = 0.01
# The same for validation losses, as shares; and from where on one is clearly above another.
LOSS_TIE, LOSS_RISEN = 0.002, 0.05
ValidationLoss = Callable[[Generator, LabelledImages], float | None]
BY_LOSS, BY_DISTANCE = "the validation loss", "the distance to validation images"
SAVED = ("best_step", "best_distance", "best", "chosen_by", "seconds", "evaluated", "looks")


def no_loss(generator: Generator, images: LabelledImages) -> None:
    """Of methods without a validation loss."""


@dataclass(eq=False)
class SampleMonitor:
    """Evaluates samples against the run's own images, during training and at its end.

    What it finds depends on the weights and the log alone, so that a resumed run finds the same.
    """

    config: TrainConfig
    train: LabelledImages
    validation: LabelledImages  # held-out images of the subset of `train`; may be none
    context: DeviceContext
    cache: Path  # the folder that keeps the reference's classifier
    reporter: Reporter
    logger: MetricsLogger  # its training curve is checked too
    alarms: tuple[Alarm, ...] = ()  # those of the last evaluation
    best_step: int | None = None
    best_distance: float = float(
        "inf"
    )  # the smallest distance to validation images, or validation loss, so far
    best: dict[str, Tensor] = field(default_factory=dict)  # weights of the best step
    chosen_by: str = (
        ""  # what the best step is chosen by, in words, or why none is; "" before the first evaluation
    )
    seconds: float = 0.0  # spent here, in all processes that worked on the run
    evaluated: int | None = None  # the step of the last evaluation
    looks: int = 0  # evaluations that saw validation images
    rising: bool = False  # the last validation loss is clearly above the smallest
    _reference: Reference | None = None
    _last_check: tuple[int, Check] | None = None

    def __post_init__(self) -> None:
        # Steps over which the run becomes class-conditional. Until they are over labels are not checked and no step is
        # the best: the class has less effect in these samples than in those of the finished model.
        self.conditioning_warmup: int = getattr(self.config.method, "conditioning_warmup", 0)

    @property
    def collapsed(self) -> bool:
        """Whether the last evaluation found mode collapse."""
        return any(alarm.kind == COLLAPSE for alarm in self.alarms)

    def is_due(self, step: int, every: int) -> bool:
        """Whether to evaluate after this step: at checkpoints (every so many steps) at least `FIRST` steps apart."""
        spaced = step > 0 and step % every == 0 and step // FIRST > (step - every) // FIRST
        return spaced and self.config.method.monitored

    def evaluate(self, generator: Generator, step: int, loss_of: ValidationLoss = no_loss) -> None:
        """Measure samples, raise alarms (from step `FROM_STEP` on), and keep the weights if they are the best.

        `loss_of`: the loss on validation images, where the method has one. The best step is then that of the smallest.
        """
        with self._timed():
            check, line = self._check(generator, step, loss_of)
            self._conclude(step, self._alarms(check, step) if step >= FROM_STEP else (), check, line)

    def finish(self, generator: Generator, step: int, loss_of: ValidationLoss = no_loss) -> None:
        """The last evaluation of a run: its alarms begin at step `AT_THE_END`. No step is measured twice."""
        if not self.config.method.monitored:
            return
        with self._timed():
            found: tuple[Alarm, ...] = ()
            check: Check | None = None
            line: dict[str, Any] = {}
            if step >= AT_THE_END:
                check, line = self._check(generator, step, loss_of)
                found = self._alarms(check, step)
            if not step:
                found = (*found, alarms.NEVER_TRAINED)
            elif self.conditioning_warmup and step <= self.conditioning_warmup:
                found = (*found, alarms.never_conditional(step, self.conditioning_warmup))
            if line or found != self.alarms:
                self._conclude(step, found, check, line)

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds += time.monotonic() - began

    def _check(
        self, generator: Generator, step: int, loss_of: ValidationLoss
    ) -> tuple[Check, dict[str, Any]]:
        """A check and its line of the log, empty if that is written; keeps the weights if they are the best.

        They are chosen on validation images alone; where these are too few, no step is, and the last one is used.
        """
        if self._last_check is not None and self._last_check[0] == step:
            return self._last_check[1], {}
        logged = self.evaluated == step  # by a process that ended at this step
        seed, context = self.config.runtime.seed, self.context
        if self._reference is None:
            self._reference = make_reference(
                self.train,
                self.validation,
                conditional=generator.conditional,
                seed=seed,
                context=context,
                cache=self.cache,
            )
            if self._reference.skipped:
                self.reporter.line(f"evaluation of samples: {self._reference.skipped}")
            if self._reference.too_few and loss_of(generator, self.validation) is None:
                few = f"{self._reference.too_few}, so no best step is chosen: the last one is used"
                self.reporter.line(f"{few}; alarms compare with training images too")
        check = check_samples(generator, self._reference, seed=seed, context=context)
        self._last_check, self.evaluated = (step, check), step
        # The class has its full effect only after the step numbered `conditioning_warmup`.
        loss = loss_of(generator, self.validation)
        value, tie = (check.validation_distance, TIE) if loss is None else (loss, LOSS_TIE * loss)
        best = value <= self.best_distance + tie and step > self.conditioning_warmup
        self.rising = loss is not None and loss > (1 + LOSS_RISEN) * self.best_distance
        if loss is None and self._reference.too_few:
            self.chosen_by = self._reference.too_few
        if best:
            self.chosen_by = BY_DISTANCE if loss is None else BY_LOSS
            self.best_step, self.best_distance = step, min(value, self.best_distance)
            # Copies on the CPU: the generator goes on changing.
            self.best = {name: value.detach().cpu().clone() for name, value in generator.state_dict().items()}
        if logged:
            return check, {}
        self.looks += bool(len(self.validation))
        figures = check.as_dict() if loss is None else {**check.as_dict(), "validation_loss": round(loss, 6)}
        return check, {"evaluation": figures, "best": best}

    def _alarms(self, check: Check, step: int) -> tuple[Alarm, ...]:
        method, names = self.config.method, self.train.class_names
        warming_up = step <= self.conditioning_warmup
        found = alarms.find_alarms(check, names, method.against_collapse, warming_up=warming_up)
        rising = (alarms.memorising(step, self.best_step),) if self.rising else ()
        return (*found, *rising, *self.logger.curve.alarms(method.against_divergence))

    def _conclude(
        self, step: int, found: tuple[Alarm, ...], check: Check | None, line: Mapping[str, Any]
    ) -> None:
        """Log and report the check, unless its line is written, all alarms, and the end of the last one."""
        if line and check is not None:
            accuracy, diversity = "", mean(check.diversity)
            if check.gan_test >= 0:
                accuracy = f"GAN-test {check.gan_test:.1%} (real {check.gan_test_real:.1%}), "
            spread = f"diversity {diversity:.2f} of real, " if diversity >= 0 else ""
            # Of a failing run the best step is no good news.
            best = ", the best so far" if line["best"] and not found else ""
            self.reporter.line(
                f"step {step:,}: {accuracy}{spread}distance to real {check.distance:.3f}{best}"
            )
        self.logger.event(step, {**line, "alarms": [alarm.text for alarm in found]})
        before = {(alarm.kind, alarm.classes) for alarm in self.alarms}
        for alarm in found:
            if (alarm.kind, alarm.classes) not in before:
                self.reporter.line(str(alarm))
        if before and not found:
            self.reporter.line("no alarm any more")
        self.alarms = found

    def dump(self) -> dict[str, Any]:
        """Plain values and tensors for a checkpoint."""
        alarms = [[alarm.kind, list(alarm.classes), alarm.text] for alarm in self.alarms]
        return {"alarms": alarms, **{name: getattr(self, name) for name in SAVED}}

    def load(self, values: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.alarms = tuple(Alarm(kind, tuple(classes), text) for kind, classes, text in values["alarms"])
        for name in SAVED:
            setattr(self, name, values.get(name, getattr(self, name)))
