"""When samples are judged, at the thresholds that users meet: tiny networks, no training."""

import pytest

from gangda.config import architectures
from gangda.runtime.progress import SILENT, Reporter
from gangda.training import metrics_logger
from gangda.training.monitor import reference, sample_monitor
from gangda.training.monitor.alarms import COLLAPSE, DEAD, UNTRAINED, Alarm
from gangda.training.monitor.dynamics import Course
from gangda.training.saved_model import build_networks

COLLAPSED = Alarm(COLLAPSE, ("3",), "mode collapse (3): planted")


class Watched:
    """A lookout on the blobs with what it told, without a classifier; `wrong` is what every check finds."""

    def __init__(self, blobs, context, tmp_path, monkeypatch, conditioning_warmup=0, wrong=()):
        monkeypatch.setattr(reference, "LEAST_TRAINED", len(blobs))
        self.told, self.asked = [], []

        def find(check, names, turning):
            self.asked.append(turning)
            return wrong

        monkeypatch.setattr(sample_monitor, "find_alarms", find)
        self.course = Course()
        self.lookout = sample_monitor.SampleMonitor(
            blobs,
            blobs.take([]),
            seed=0,
            context=context,
            cache=tmp_path,
            reporter=SILENT,
            tell=lambda step, what: self.told.append((step, what)),
            conditioning_warmup=conditioning_warmup,
        )
        spec = architectures.spec_class("cdcgan")(width=4, d_width=4).resolved(max(blobs.image_shape[1:]))
        networks = build_networks("cdcgan", spec, blobs.image_shape, blobs.num_classes)
        self.generator = networks.generator

    def look(self, step):
        self.lookout.look(self.generator, step, self.course)

    def finish(self, step):
        self.lookout.finish(self.generator, step, self.course)


@pytest.fixture
def watched(blobs, context, tmp_path, monkeypatch):
    return lambda **options: Watched(blobs, context, tmp_path, monkeypatch, **options)


@pytest.mark.parametrize(
    ("looks", "end", "alarmed"),
    [([500], 593, True), ([500], 500, True), ([], 200, True), ([], 199, False), ([1000], 1000, True)],
)
def test_the_end_of_a_short_run_is_judged(looks, end, alarmed, watched):
    made = watched(wrong=(COLLAPSED,))
    for step in looks:
        made.look(step)
    assert made.lookout.collapsed == (looks == [1000])  # on the way, alarms wait
    made.finish(end)
    assert made.lookout.collapsed == alarmed
    measured = [step for step, what in made.told if "look" in what]
    assert measured == sorted({*looks, *([end] if alarmed else [])})  # no check is made twice


def test_a_run_that_dies_early_is_told_at_its_end(watched):
    made = watched()
    terms = {"d_loss": 1.0, "d_accuracy": 0.5, "g_gradient": 1.0}
    for step in range(0, 500, metrics_logger.LOG_EVERY):
        made.course.add({**terms, "d_gradient": 1.0 if step < 200 else 0.0})
    made.finish(500)
    assert [alarm.kind for alarm in made.lookout.alarms] == [DEAD]


def test_looks_are_due_at_the_checkpoints_from_step_500_on():
    assert [step for step in range(1, 3001) if sample_monitor.due(step, 1000)] == [1000, 2000, 3000]
    assert [step for step in range(1, 1501) if sample_monitor.due(step, 200)] == [600, 1000]


def test_until_the_transition_is_over_no_step_is_best_and_labels_are_not_judged(watched):
    made = watched(conditioning_warmup=2000)
    made.look(1000)
    made.look(2000)  # this step was trained with a little less than the whole class
    assert made.lookout.best_step is None
    assert made.asked == [True, True]
    made.look(3000)
    assert made.lookout.best_step == 3000
    assert made.asked == [True, True, False]
    made.finish(3000)
    assert made.lookout.alarms == ()


class Listening(Reporter):
    def __init__(self):
        self.said = []

    def line(self, text):
        self.said.append(text)


@pytest.mark.parametrize(("wrong", "praised"), [((), True), ((COLLAPSED,), False)])
def test_the_best_step_of_a_run_that_fails_is_not_praised(wrong, praised, watched):
    made = watched(wrong=wrong)
    made.lookout.reporter = reporter = Listening()
    made.look(1000)
    assert made.lookout.best_step == 1000  # something must be there to sample from
    (line,) = [text for text in reporter.said if text.startswith("step 1,000: ")]
    assert line.endswith(", the best so far") is praised


def test_a_run_that_ended_before_the_generators_first_step_says_so(watched):
    made = watched(conditioning_warmup=2000)
    made.finish(0)
    (alarm,) = made.lookout.alarms
    assert alarm.kind == UNTRAINED
    assert "--d-pretrain" in alarm.text
    assert made.told == [(0, {"alarms": [alarm.text]})]
