"""When samples are evaluated and alarms raised, with the real thresholds: tiny networks, no training."""

import pytest

from gangda.config import architectures
from gangda.config.methods import AdversarialOptions
from gangda.config.schema import TrainConfig
from gangda.runtime.progress import SILENT, Reporter
from gangda.training import metrics_logger
from gangda.training.monitor import reference, sample_monitor
from gangda.training.monitor.alarms import COLLAPSE, DEAD, MEMORISING, UNTRAINED, Alarm, TrainingCurve
from gangda.zoo.networks import build_networks

COLLAPSED = Alarm(COLLAPSE, ("3",), "mode collapse (3): planted")


class Logger:
    """Keeps the events in memory."""

    def __init__(self):
        self.events, self.curve = [], TrainingCurve()

    def event(self, step, what):
        self.events.append((step, what))


class Monitored:
    """A monitor on the blobs and its log, without a classifier; `wrong` is what every check finds."""

    def __init__(self, blobs, context, tmp_path, monkeypatch, conditioning_warmup=0, wrong=(), held_out=True):
        monkeypatch.setattr(reference, "MIN_TRAINED", len(blobs))
        monkeypatch.setattr(reference, "MIN_HELD_OUT", 1)
        self.log, self.warming_up = Logger(), []

        def find(check, names, advice, warming_up):
            self.warming_up.append(warming_up)
            return wrong

        monkeypatch.setattr(sample_monitor.alarms, "find_alarms", find)
        self.monitor = sample_monitor.SampleMonitor(
            TrainConfig(method=AdversarialOptions(conditioning_warmup=conditioning_warmup)),
            blobs,
            blobs if held_out else blobs.take([]),
            context,
            cache=tmp_path,
            reporter=SILENT,
            logger=self.log,
        )
        spec = architectures.spec_class("cdcgan")(width=4, d_width=4).resolved(max(blobs.image_shape[1:]))
        networks = build_networks("cdcgan", spec, blobs.image_shape, blobs.num_classes)
        self.generator = networks.generator

    def evaluate(self, step, loss=None):
        self.monitor.evaluate(self.generator, step, lambda *_: loss)

    def finish(self, step, loss=None):
        self.monitor.finish(self.generator, step, lambda *_: loss)


@pytest.fixture
def monitored(blobs, context, tmp_path, monkeypatch):
    return lambda **options: Monitored(blobs, context, tmp_path, monkeypatch, **options)


@pytest.mark.parametrize(
    ("evaluations", "end", "alarmed"),
    [([500], 593, True), ([500], 500, True), ([], 200, True), ([], 199, False), ([1000], 1000, True)],
)
def test_a_short_run_is_evaluated_at_its_end(evaluations, end, alarmed, monitored):
    made = monitored(wrong=(COLLAPSED,))
    for step in evaluations:
        made.evaluate(step)
    assert made.monitor.collapsed == (evaluations == [1000])  # on the way, alarms wait
    made.finish(end)
    assert made.monitor.collapsed == alarmed
    measured = [step for step, what in made.log.events if "evaluation" in what]
    assert measured == sorted({*evaluations, *([end] if alarmed else [])})  # no check is made twice


def test_a_run_that_dies_early_is_reported_at_its_end(monitored):
    made = monitored()
    terms = {"d_loss": 1.0, "d_accuracy": 0.5, "generator_gradient": 1.0}
    for step in range(0, 500, metrics_logger.LOG_EVERY):
        made.log.curve.add({**terms, "discriminator_gradient": 1.0 if step < 200 else 0.0})
    made.finish(500)
    assert [alarm.kind for alarm in made.monitor.alarms] == [DEAD]


def test_evaluations_are_due_at_the_checkpoints_from_step_500_on(monitored):
    monitor = monitored().monitor
    assert [step for step in range(3001) if monitor.is_due(step, 1000)] == [1000, 2000, 3000]
    assert [step for step in range(1501) if monitor.is_due(step, 200)] == [600, 1000]


def test_a_fit_in_closed_form_is_never_evaluated(monitored):
    made = monitored()
    made.monitor.config = TrainConfig(arch="pca", spec=architectures.PcaSpec())
    assert not any(made.monitor.is_due(step, 500) for step in range(2001))
    made.finish(1000)
    assert made.log.events == []


def test_until_the_warmup_is_over_no_step_is_best_and_labels_are_not_checked(monitored):
    made = monitored(conditioning_warmup=2000)
    made.evaluate(1000)
    made.evaluate(2000)  # this step was trained with a little less than the whole class
    assert made.monitor.best_step is None
    assert made.warming_up == [True, True]
    made.evaluate(3000)
    assert made.monitor.best_step == 3000
    assert made.warming_up == [True, True, False]
    made.finish(3000)
    assert made.monitor.alarms == ()


def test_where_there_is_a_validation_loss_the_best_step_is_that_of_the_smallest(monitored):
    made = monitored()
    for step, loss in [(1000, 0.30), (2000, 0.20), (3000, 0.2003), (4000, 0.205)]:
        made.evaluate(step, loss)
    assert made.monitor.best_step == 3000  # of equals the later
    assert made.monitor.alarms == ()
    logged = [what["evaluation"]["validation_loss"] for _, what in made.log.events]
    assert logged == [0.30, 0.20, 0.2003, 0.205]


def test_a_risen_validation_loss_is_an_alarm_until_it_falls_again(monitored):
    made = monitored()
    for step, loss, kinds in [(1000, 0.20, []), (2000, 0.211, [MEMORISING]), (3000, 0.209, [])]:
        made.evaluate(step, loss)
        assert [alarm.kind for alarm in made.monitor.alarms] == kinds
    made.finish(4000, 0.3)
    [alarm] = made.monitor.alarms
    assert "validation loss is more than 5% above that of step 1,000" in alarm.text


def test_without_validation_images_no_step_is_chosen_and_the_log_says_so(monitored):
    made = monitored(held_out=False)
    made.monitor.reporter = reporter = Recording()
    made.evaluate(1000)
    made.evaluate(2000)
    assert (made.monitor.best_step, made.monitor.best) == (None, {})
    assert made.monitor.chosen_by == "fewer than 1 validation images per class"
    [line] = [text for text in reporter.lines if made.monitor.chosen_by in text]
    assert "the last one is used" in line
    assert [what["best"] for _, what in made.log.events] == [False, False]


class Recording(Reporter):
    def __init__(self):
        self.lines = []

    def line(self, text):
        self.lines.append(text)


@pytest.mark.parametrize(("wrong", "praised"), [((), True), ((COLLAPSED,), False)])
def test_the_best_step_of_a_run_that_fails_is_not_praised(wrong, praised, monitored):
    made = monitored(wrong=wrong)
    made.monitor.reporter = reporter = Recording()
    made.evaluate(1000)
    assert made.monitor.best_step == 1000  # something must be there to sample from
    (line,) = [text for text in reporter.lines if text.startswith("step 1,000: ")]
    assert line.endswith(", the best so far") is praised


def test_a_run_that_ended_before_the_generators_first_step_raises_an_alarm(monitored):
    made = monitored(conditioning_warmup=2000)
    made.finish(0)
    (alarm,) = made.monitor.alarms
    assert alarm.kind == UNTRAINED
    assert "--d-pretrain" in alarm.text
    assert made.log.events == [(0, {"alarms": [alarm.text]})]
