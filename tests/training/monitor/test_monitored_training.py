"""Training with its sample monitor: evaluations, the best step, rollbacks, stopping."""

import dataclasses
import signal
from itertools import chain, repeat

import pytest
import torch
from safetensors.torch import load_file
from test_training import Stopping, config, lines, untimed, weights

from gangda.config.schema import Budget, ClassifierConfig, DataConfig, SampleConfig
from gangda.data.loading import load_splits
from gangda.errors import RunError, StoppedError
from gangda.runtime.runs import RunFolder
from gangda.sampling import sample
from gangda.training import fit_generator, metrics_logger, train
from gangda.training import run as training_run
from gangda.training.monitor import reference, sample_monitor
from gangda.training.monitor.alarms import COLLAPSE, Alarm
from gangda.training.saved_model import load_model

COLLAPSED = Alarm(COLLAPSE, ("3",), "mode collapse (3): planted")


@pytest.fixture(autouse=True)
def early(monkeypatch):
    """Evaluate from the second step on, with a classifier of few steps; log every second step."""
    monkeypatch.setattr(sample_monitor, "FIRST", 2)
    monkeypatch.setattr(sample_monitor, "AT_THE_END", 2)
    monkeypatch.setattr(metrics_logger, "LOG_EVERY", 2)
    monkeypatch.setattr(reference, "MIN_HELD_OUT", 1)
    monkeypatch.setattr(reference, "CLASSIFIER", ClassifierConfig(classifier_steps=10))


def budget(**values):
    made = config()
    return dataclasses.replace(made, budget=dataclasses.replace(made.budget, **values))


def test_evaluations_are_logged_and_the_best_step_is_kept(tmp_path):
    result = train(config(), tmp_path / "run")
    evaluations = {line["step"]: line for line in lines(tmp_path / "run") if "evaluation" in line}
    assert list(evaluations) == [2, 4, 6]
    assert result.looks == 3
    assert result.best_step == max(step for step in evaluations if evaluations[step]["best"])
    assert evaluations[2]["best"]
    assert set(evaluations[2]["evaluation"]) >= {
        "gan_test",
        "gan_test_real",
        "diversity",
        "distance",
        "diversity_per_class",
    }
    steps = [line for line in lines(tmp_path / "run") if "d_loss" in line]
    assert all(line["discriminator_gradient"] > 0 and line["generator_gradient"] > 0 for line in steps)
    assert all(0 <= line["d_accuracy"] <= 1 for line in steps)


def planted_distances(monkeypatch, distances):
    """Of the evaluations, one after the other."""
    honest, values = sample_monitor.check_samples, iter(distances)
    monkeypatch.setattr(
        sample_monitor,
        "check_samples",
        lambda *a, **k: dataclasses.replace(honest(*a, **k), validation_distance=next(values)),
    )


def test_best_and_last_are_kept_apart(tmp_path, monkeypatch):
    planted_distances(monkeypatch, [0.5, 0.1, 0.9])
    run = tmp_path / "run"
    train(config(), run)
    best, last = load_model(run), load_model(run, "last")
    assert (best.steps, best.checkpoint) == (4, "best")
    assert (last.steps, last.checkpoint) == (6, "last")
    kept = load_file(run / "model" / "best.safetensors")
    assert not torch.equal(
        kept["linear.weight"], load_file(run / "model" / "generator.safetensors")["linear.weight"]
    )
    assert torch.equal(best.generator.state_dict()["linear.weight"], kept["linear.weight"])
    weights_of = set()
    for name in ("best", "last"):
        options = SampleConfig(per_class=2, format="npz", checkpoint=name)
        made = sample(run, options, config().runtime, tmp_path / name)
        assert (made.index.provenance["checkpoint"], made.index.provenance["steps"]) == (
            name,
            {"best": 4, "last": 6}[name],
        )
        weights_of.add(made.index.provenance["weights"])
    assert len(weights_of) == 2


@pytest.mark.parametrize(
    ("distances", "best"), [((0.5, 0.1, 0.105), 6), ((0.1, 0.105, 0.112), 4), ((0.1, 0.5, 0.11), 6)], ids=str
)
def test_of_steps_as_good_the_later_is_the_best(distances, best, tmp_path, monkeypatch):
    planted_distances(monkeypatch, distances)
    assert train(config(), tmp_path / "run").best_step == best


def test_a_stopped_run_finds_the_same(tmp_path):
    train(config(), tmp_path / "whole")
    with pytest.raises(StoppedError):
        train(config(), tmp_path / "stopped", reporter=Stopping(signal.SIGTERM))
    train(config(), tmp_path / "stopped")
    assert untimed(tmp_path / "whole") == untimed(tmp_path / "stopped")
    assert [RunFolder(tmp_path / name).state()["looks"] for name in ("whole", "stopped")] == [3, 3]
    best = [tmp_path / name / "model" / "best.safetensors" for name in ("whole", "stopped")]
    assert best[0].read_bytes() == best[1].read_bytes()


def test_a_longer_run_is_the_same_run_whatever_its_stops(tmp_path):
    train(budget(steps=9), tmp_path / "longer")
    train(budget(steps=5), tmp_path / "run")  # its last evaluation is at a step where the longer run has none
    train(budget(steps=9), tmp_path / "run", resume=True)
    best = [tmp_path / name / "model" / "best.safetensors" for name in ("longer", "run")]
    assert best[0].read_bytes() == best[1].read_bytes()


def spoil(monkeypatch, step, times):
    """Make a loss term NaN at this step, so many times."""
    honest, left = training_run.training_steps, [times]

    def steps(*arguments):
        for record in honest(*arguments):
            if record.step == step and left[0]:
                left[0] -= 1
                record = dataclasses.replace(
                    record, losses={**record.losses, "g_loss": torch.tensor(float("nan"))}
                )
            yield record

    monkeypatch.setattr(training_run, "training_steps", steps)


def test_nan_goes_back_to_the_last_good_checkpoint_and_on_with_other_numbers(tmp_path, monkeypatch):
    train(config(), tmp_path / "straight")
    spoil(monkeypatch, 6, 1)
    run = tmp_path / "run"
    assert train(config(), run).finished
    (back,) = [line for line in lines(run) if "rollback" in line]
    assert back == {"step": 4, "rollback": 1, "reason": "g_loss is NaN or infinite at step 6"}
    assert weights(run) != weights(tmp_path / "straight")


def test_going_back_is_the_same_wherever_the_run_stops(tmp_path, monkeypatch):
    spoil(monkeypatch, 6, 1)
    train(config(), tmp_path / "whole")
    spoil(monkeypatch, 6, 1)

    class StopAtFive(Stopping):
        def step(self, task, done, total, info=""):
            if done == 5:
                super().step(task, done, total, info)

    monkeypatch.setattr(metrics_logger, "LOG_EVERY", 1)  # so that step 5 is reported
    with pytest.raises(StoppedError, match="step 5"):
        train(config(), tmp_path / "stopped", reporter=StopAtFive(signal.SIGTERM))
    monkeypatch.setattr(metrics_logger, "LOG_EVERY", 2)
    train(config(), tmp_path / "stopped")
    assert weights(tmp_path / "whole") == weights(tmp_path / "stopped")


def test_nan_again_stops_with_advice(tmp_path, monkeypatch):
    spoil(monkeypatch, 6, 2)
    with pytest.raises(RunError, match=r"g_loss is NaN or infinite at step 6.*lower --lr"):
        train(config(), tmp_path / "run")
    assert [path.name for path in sorted((tmp_path / "run" / "checkpoints").glob("*.pt"))][
        -1
    ] == "step-00000004.pt"


def test_lost_weights_are_never_saved():
    broken = torch.nn.Linear(2, 2)
    metrics_logger.refuse_lost_weights({"generator": broken}, 3)
    broken.bias.data[0] = float("inf")
    with pytest.raises(metrics_logger.NotFiniteError, match="the generator is NaN or infinite at step 3"):
        metrics_logger.refuse_lost_weights({"generator": broken}, 3)


def test_stop_when_collapsed_saves_all_and_goes_on_only_on_request(tmp_path, monkeypatch):
    monkeypatch.setattr(sample_monitor, "FROM_STEP", 2)
    monkeypatch.setattr(sample_monitor.alarms, "find_alarms", lambda *_, **__: [COLLAPSED])
    run, watched = tmp_path / "run", budget(stop_when_collapsed=True)
    for _ in range(2):  # the same command again reports the same
        with pytest.raises(RunError, match="stopped at step 2: mode collapse"):
            train(watched, run)
    assert load_model(run).steps == 2
    assert lines(run)[-1]["alarms"] == [COLLAPSED.text]
    result = train(budget(stop_when_collapsed=False), run, resume=True)
    assert (result.steps, result.alarms) == (6, (f"ALARM: {COLLAPSED.text}",))


def test_an_alarm_is_reported_once_and_so_is_its_end(tmp_path, monkeypatch):
    class Recording(Stopping):
        def __init__(self):
            self.texts = []

        def line(self, text):
            self.texts.append(text)

        def step(self, task, done, total, info=""):
            pass

    found = chain([[COLLAPSED], [COLLAPSED]], repeat([]))
    monkeypatch.setattr(sample_monitor, "FROM_STEP", 2)
    monkeypatch.setattr(sample_monitor.alarms, "find_alarms", lambda *_, **__: next(found))
    reporter = Recording()
    result = train(config(), tmp_path / "run", reporter=reporter)
    assert reporter.texts.count(f"ALARM: {COLLAPSED.text}") == 1
    assert reporter.texts.count("no alarm any more") == 1
    assert result.alarms == ()


def test_tiny_sets_and_no_validation_go_on(tmp_path, blobs):
    tiny = dataclasses.replace(config(), data=DataConfig(per_class=2))
    result = train(tiny, tmp_path / "tiny")
    assert (result.best_step, result.chosen_by) == (None, "fewer than 1 validation images per class")
    assert (result.looks, len(load_splits(tiny.data, 0).validation)) == (0, 0)
    model = fit_generator(config("dcgan"), blobs, tmp_path / "blobs", fingerprint="x")
    assert (model.checkpoint, model.steps) == ("last", 6)
    assert model.described().endswith("no best one was chosen: fewer than 1 validation images per class)")
    assert not (tmp_path / "blobs/model/best.safetensors").exists()


def test_a_run_that_ends_within_its_warmup_raises_an_alarm(tmp_path):
    timed = config(budget=Budget(minutes=0.005), recipe={"conditioning_warmup": 100_000})
    result = train(timed, tmp_path / "run")
    (alarm,) = [text for text in result.alarms if "never conditional" in text]
    assert "--conditioning-warmup 100000" in alarm
    assert result.best_step is None
    assert any("never conditional" in text for text in lines(tmp_path / "run")[-1]["alarms"])


def test_checkpoints_of_an_older_version_are_called_that(tmp_path):
    train(config(), tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    saved, _ = folder.load_checkpoint()
    del saved["monitor"]
    folder.save_checkpoint(6, saved)
    with pytest.raises(RunError, match="made by another version of gangda; start again in another --out"):
        train(budget(steps=9), tmp_path / "run", resume=True)
