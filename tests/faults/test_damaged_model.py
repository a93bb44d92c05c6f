"""A damaged or missing model beside whole checkpoints: the message says how to repair it; the run stays as it was."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from processes import contents
from test_fuzz import tiny as smallest

from gangda.config.resolve import resolve
from gangda.config.schema import Budget, DataConfig, Runtime, SampleConfig, TrainConfig
from gangda.errors import RunError, UsageError
from gangda.sampling import sample
from gangda.training import metrics_logger, train
from gangda.training import run as training_run
from gangda.training.monitor import reference, sample_monitor
from gangda.training.saved_model import load_model, load_network


def tiny(steps):
    """With validation images, by which the best step is chosen."""
    return replace(smallest(steps), data=DataConfig(per_class=6, validation=0.5))


@pytest.fixture(autouse=True, scope="module")
def watched():
    """Evaluations as in longer runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample_monitor, "FIRST", 2)
        patch.setattr(sample_monitor, "AT_THE_END", 1)
        patch.setattr(metrics_logger, "LOG_EVERY", 1)
        patch.setattr(reference, "MIN_HELD_OUT", 1)
        yield


@pytest.fixture(scope="module")
def finished(watched, tmp_path_factory):
    """A run of three steps; evaluated after the second and, as it is the last, the third."""
    run = tmp_path_factory.mktemp("damaged") / "run"
    train(tiny(3), run)
    return run


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def flip(path):
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)


def follow_advice(error):
    """Do what the message says; the folder and options are read from it."""
    config, out = re.search(r"gangda train --config (\S+) --out (\S+)\)", error).groups()
    return train(resolve({}, {}, Path(config)).pick(TrainConfig), Path(out))


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("generator.safetensors", flip),
        ("best.safetensors", flip),
        ("rows.txt", lambda path: path.write_text("1\n")),
        ("model.json", lambda path: path.write_text(path.read_text()[:-30])),
        ("generator.safetensors", lambda path: path.unlink()),
        ("model.json", lambda path: path.unlink()),
    ],
)
def test_the_message_about_a_damaged_model_helps(run, finished, name, spoil):
    spoil(run / "model" / name)
    which = "last" if name == "generator.safetensors" else "best"
    words = r"(damaged model \(|its model is missing; ).*goes on from its last whole checkpoint"
    with pytest.raises(RunError, match=words) as caught:
        load_model(run, which)
    assert "\n" not in str(caught.value)
    follow_advice(str(caught.value))
    assert contents(run) == contents(finished)


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ('{"format_version": 2, "finished": true}', "its model is missing"),
        ('{"format_version": 2, "finished": false}', "its training is not finished"),
        ('{"format_version": 2, "fin', "its training is not finished"),
    ],
)
def test_a_run_without_a_model_is_finished_or_not(run, state, says):
    shutil.rmtree(run / "model")
    (run / "run.json").write_text(state)
    with pytest.raises(RunError, match=f"^{run}: {says}; the command that made it"):
        load_model(run)


def test_the_message_about_a_damaged_discriminator_helps(run, finished):
    flip(run / "model" / "discriminator.safetensors")
    with pytest.raises(RunError, match="its hash does not match") as caught:
        load_network(load_model(run), "discriminator")
    follow_advice(str(caught.value))
    (run / "model" / "discriminator.safetensors").unlink()
    with pytest.raises(RunError, match=f"^{run}: keeps no discriminator") as caught:
        load_network(load_model(run), "discriminator")
    follow_advice(str(caught.value))
    assert contents(run) == contents(finished)


def test_without_checkpoints_it_is_trained_again_and_reported(run, finished):
    shutil.rmtree(run / "checkpoints")
    flip(run / "model" / "generator.safetensors")
    with pytest.raises(RunError, match="trains it from the start") as caught:
        load_model(run, "last")
    follow_advice(str(caught.value))
    assert contents(run) == contents(finished)


def test_a_finished_run_without_checkpoints_is_not_trained_again(run):
    shutil.rmtree(run / "checkpoints")
    before = contents(run)
    again = train(tiny(3), run)
    assert (again.steps, again.finished) == (3, True)
    with pytest.raises(RunError, match="is finished and cannot go on, as its checkpoints are gone"):
        train(tiny(4), run, resume=True)
    after = contents(run)
    assert {name: after[name] for name in after if name != "config.yaml"} == {
        name: before[name] for name in before if name != "config.yaml"
    }


def test_a_kill_while_the_model_is_written_leaves_no_line_twice(finished, tmp_path, monkeypatch):
    """The last evaluation is in the log already, and is made again."""
    here = tmp_path / "killed"

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(training_run.TrainingRun, "_save_model", killed)
    with pytest.raises(KeyboardInterrupt):
        train(tiny(3), here)
    monkeypatch.undo()
    train(tiny(3), here)
    assert contents(here)["metrics.jsonl"] == contents(finished)["metrics.jsonl"]


@pytest.mark.parametrize("first", [2, 3])
def test_a_longer_run_has_no_last_evaluation_of_the_shorter(tmp_path, first):
    """Whether or not there was an evaluation at the step where the shorter one ended."""
    train(tiny(first), tmp_path / "a")
    longer = replace(tiny(5), budget=Budget(steps=5, checkpoint_every="1"))
    train(longer, tmp_path / "a", resume=True)
    train(longer, tmp_path / "b")
    assert contents(tmp_path / "a")["metrics.jsonl"] == contents(tmp_path / "b")["metrics.jsonl"]


def test_a_forged_card_does_not_fill_the_memory(run):
    path = run / "model" / "model.json"
    card = json.loads(path.read_text())
    card["spec"]["width"] = 1_000_000
    path.write_text(json.dumps(card))
    with pytest.raises(RunError, match="not of the networks that model"):
        load_model(run)


def test_a_run_is_named_as_the_user_names_it(run, tmp_path):
    with pytest.raises(UsageError, match=f"^--generator 5: {run} has one generator, number 0$"):
        sample(run, SampleConfig(per_class=1, generator=5), Runtime(threads=1), tmp_path / "set")
