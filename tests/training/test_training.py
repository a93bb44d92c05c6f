"""The training engine on the embedded digits: folders, resuming, stopping, refusing."""

import dataclasses
import json
import os
import shutil
import signal
import time

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from gangda.config import architectures, resolve
from gangda.config.methods import default_options
from gangda.config.schema import Budget, DataConfig, Runtime, TrainConfig
from gangda.data.loading import load_splits
from gangda.errors import DataError, InterruptedByUserError, RunError, StoppedError, UsageError
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import Reporter
from gangda.training import fit_generator, needs_steps, train
from gangda.training import run as training_run
from gangda.training.closed_form import ClosedFormMethod
from gangda.training.result import Estimate
from gangda.training.saved_model import load_model
from gangda.zoo.networks import build_networks

SMALL = {"cdcgan": {"width": 4, "d_width": 4}, "madgan": {"width": 4, "d_width": 4}, "dcgan": {"width": 4}}


def config(arch="cdcgan", budget=None, recipe=None, **spec):
    made = architectures.spec_class(arch)(**{**SMALL.get(arch, {}), **spec})
    values, method = default_options({**made.recipe, "batch_size": 8, **(recipe or {})}, made.method)
    return TrainConfig(
        data=DataConfig(per_class=12),
        arch=arch,
        spec=made,
        recipe=values,
        method=method,
        budget=budget or Budget(steps=6, checkpoint_every="2"),
        runtime=Runtime(threads=1),
    )


class Lines(Reporter):
    """Keeps what it is told."""

    def __init__(self):
        self.said = []

    def line(self, text):
        self.said.append(text)


class Stopping(Reporter):
    """Sends a signal at the given step."""

    def __init__(self, number):
        self.number = number

    def step(self, task, done, total, info=""):
        os.kill(os.getpid(), self.number)


def test_what_a_run_folder_holds(tmp_path):
    run = tmp_path / "run"
    result = train(config(), run)
    assert result.finished
    assert result.steps == 6
    assert sorted(path.name for path in run.iterdir() if path.name != ".lock") == [
        "README.md",
        "checkpoints",
        "config.yaml",
        "curves.png",
        "metrics.jsonl",
        "model",
        "run.json",
        "samples",
    ]
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [1, 6]
    assert all({"d_loss", "d_r1", "g_loss", "seconds"} <= set(record) for record in records)
    discriminator = load_file(run / "model" / "discriminator.safetensors")
    assert sum(t.numel() for t in discriminator.values()) == result.parameters["discriminator"]
    gif = Image.open(run / "samples" / "training.gif")
    assert gif.n_frames >= 3
    again = resolve.resolve({}, {}, run / "config.yaml").pick(TrainConfig)
    assert again == config()


def test_same_command_again_reprints(tmp_path):
    first = train(config(), tmp_path / "run")
    stamp = (tmp_path / "run" / "model" / "model.json").stat().st_mtime_ns
    again = train(config(), tmp_path / "run")
    assert (again.steps, again.finished) == (first.steps, True)
    assert (tmp_path / "run" / "model" / "model.json").stat().st_mtime_ns == stamp


def lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def untimed(run):
    return [{k: v for k, v in line.items() if k not in ("seconds", "epoch_seconds")} for line in lines(run)]


def weights(run):
    return (run / "model" / "generator.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGTERM, StoppedError), (signal.SIGINT, InterruptedByUserError)]
)
def test_stopped_and_run_again_is_the_uninterrupted_run(number, error, tmp_path):
    train(config(), tmp_path / "whole")
    with pytest.raises(error, match="step 1, all saved"):
        train(config(), tmp_path / "stopped", reporter=Stopping(number))
    assert not (tmp_path / "stopped" / "model").exists()
    train(config(), tmp_path / "stopped")
    assert weights(tmp_path / "whole") == weights(tmp_path / "stopped")
    whole, stopped = (untimed(tmp_path / name) for name in ("whole", "stopped"))
    assert whole == stopped


def test_pretraining_is_stopped_at_once_and_resumed_exactly(tmp_path, monkeypatch):
    monkeypatch.setattr("gangda.training.metrics_logger.LOG_EVERY", 3)
    pretrained = config(recipe={"d_pretrain": 9})

    class AtStepThree(Stopping):
        def step(self, task, done, total, info=""):
            if done == 3:
                super().step(task, done, total, info)

    train(pretrained, tmp_path / "whole")
    with pytest.raises(StoppedError, match="step 3 of pre-training, all saved"):
        train(pretrained, tmp_path / "stopped", reporter=AtStepThree(signal.SIGTERM))
    saved = torch.load(tmp_path / "stopped" / "checkpoints" / "step-00000000.pt", weights_only=True)
    assert (saved["state"]["step"], saved["state"]["pretrained"]) == (0, 3)
    with (tmp_path / "stopped" / "metrics.jsonl").open("a") as log:
        log.write('{"step": 0, "pretraining_step": 6}\n')  # of work that was lost
    train(pretrained, tmp_path / "stopped")
    assert weights(tmp_path / "whole") == weights(tmp_path / "stopped")
    whole, stopped = (untimed(tmp_path / name) for name in ("whole", "stopped"))
    assert whole == stopped
    assert [(line["step"], line.get("pretraining_step")) for line in whole[:5]] == [
        (0, 1),
        (0, 3),
        (0, 6),
        (0, 9),
        (1, None),
    ]
    grids = [
        sorted(path.name for path in (tmp_path / name / "samples").iterdir()) for name in ("whole", "stopped")
    ]
    assert grids[0] == grids[1]


def test_the_clock_ends_pretraining_too(tmp_path):
    result = train(config(budget=Budget(minutes=0.002), recipe={"d_pretrain": 10**6}), tmp_path / "run")
    assert (result.finished, result.steps) == (True, 0)
    assert any("never trained" in alarm and "--d-pretrain" in alarm for alarm in result.alarms)


def test_a_run_that_pauses_on_the_way_is_the_uninterrupted_run(tmp_path):
    wanted = config(budget=Budget(steps=6, checkpoint_every="4"))
    splits = load_splits(wanted.data, 0)
    for name, pauses in (("paused", (3, 5, 5, None)), ("whole", (None,))):
        for until in pauses:
            how = {"fingerprint": splits.fingerprint, "validation": splits.validation, "until": until}
            model = fit_generator(wanted, splits.train, tmp_path / name, **how)
            assert model.card.steps == (until or 6)
            state = json.loads((tmp_path / name / "run.json").read_text())
            assert (state["steps"], state["finished"]) == (until or 6, until is None)
    for name in ("generator", "discriminator"):
        files = [tmp_path / place / f"model/{name}.safetensors" for place in ("paused", "whole")]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_resume_raises_the_budget_to_the_longer_run(tmp_path):
    longer = dataclasses.replace(config(), budget=Budget(steps=9, checkpoint_every="2"))
    train(longer, tmp_path / "longer")
    train(config(), tmp_path / "run")
    with pytest.raises(RunError, match=r"budget\.steps"):
        train(longer, tmp_path / "run")
    assert train(longer, tmp_path / "run", resume=True).steps == 9
    assert weights(tmp_path / "longer") == weights(tmp_path / "run")


def test_resume_refuses_fewer_steps_than_are_done(tmp_path):
    train(config(), tmp_path / "run")
    before = (tmp_path / "run" / "config.yaml").read_bytes()
    fewer = dataclasses.replace(config(), budget=Budget(steps=1, checkpoint_every="2"))
    with pytest.raises(RunError, match="more than the 1 asked for"):
        train(fewer, tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "config.yaml").read_bytes() == before
    assert train(config(), tmp_path / "run").steps > 1


def test_resume_refuses_other_options_and_begins_where_there_is_nothing(tmp_path):
    train(config(), tmp_path / "run")
    with pytest.raises(RunError, match=r"recipe\.lr"):
        train(config(recipe={"lr": 0.1}), tmp_path / "run", resume=True)
    said = []
    reporter = Reporter()
    reporter.line = said.append
    assert train(config(), tmp_path / "nothing", resume=True, reporter=reporter).finished
    assert f"{tmp_path / 'nothing'}: no run there to resume; it begins" in said


def test_minutes_end_with_a_complete_resumable_run(tmp_path):
    result = train(config(budget=Budget(minutes=0.005)), tmp_path / "run")
    assert result.finished
    assert result.steps >= 1
    assert (tmp_path / "run" / "model" / "model.json").is_file()
    more = config(budget=Budget(minutes=0.02))
    assert train(more, tmp_path / "run", resume=True).steps > result.steps


@pytest.mark.parametrize("budget", [Budget(epochs=1), Budget(epochs=1, checkpoint_every="1e")])
def test_epochs_and_checkpoints_by_epoch(budget, tmp_path):
    result = train(config(budget=budget), tmp_path / "run")
    assert result.steps == round(110 / 8)  # 12 per class, 1 of them held back


@pytest.mark.parametrize("arch", ["pca", "gan", "dcgan", "madgan"])
def test_every_architecture_trains(arch, tmp_path):
    assert train(config(arch), tmp_path / "run").finished


def test_a_fitted_generator_is_moved_to_the_device_after_the_fit(blobs):
    elsewhere = DeviceContext(torch.device("meta"), torch.float32, 1)  # a device that every machine has
    wanted = config("pca")
    networks = build_networks("pca", wanted.spec, blobs.image_shape, blobs.num_classes)
    method = ClosedFormMethod(wanted, networks, blobs, elsewhere)
    method.step([], [])  # the fit itself needs numbers, which "meta" has not
    assert {value.device.type for value in networks.generator.buffers()} == {"meta"}


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"arch": "madgan", "generators": 9}, UsageError, "--generators 9"),
    ],
)
def test_options_that_do_not_fit_are_refused(change, error, words, tmp_path):
    with pytest.raises(error, match=words):
        train(config(**change), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_one_class_only_is_refused_for_conditional_architectures(blobs, tmp_path):
    one = dataclasses.replace(blobs, labels=blobs.labels * 0, class_names=("all",))
    with pytest.raises(DataError, match="one class only"):
        fit_generator(config(), one, tmp_path / "run", fingerprint="x")
    assert fit_generator(config("dcgan"), one, tmp_path / "run", fingerprint="x").card.class_names == ("all",)


def test_divergence_stops_with_advice(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "gangda.training.adversarial.losses.gradient_norm_penalty",
        lambda score, real: torch.tensor(float("nan"), requires_grad=True),
    )
    with pytest.raises(RunError, match="d_r1 is NaN or infinite at step 1"):
        train(config(), tmp_path / "run")


def test_dry_run_writes_nothing(tmp_path):
    result = train(config(), tmp_path / "run", dry_run=True)
    assert result.parameters["generator"] > 0
    assert list(tmp_path.iterdir()) == []


def test_minutes_with_a_cosine_become_steps_that_a_later_call_keeps(tmp_path, monkeypatch):
    wanted = dataclasses.replace(config(recipe={"lr_schedule": "cosine"}), budget=Budget(minutes=0.1))
    fast = [0.0, 1.5, 1.5, 3.0, 3.0, 4.5]  # with the penalties of every step, then without
    seconds = iter([*fast, *fast, 0.0, 9.0, 9.0, 18.0, 18.0, 27.0])
    monkeypatch.setattr("gangda.training.estimate.time.perf_counter", lambda: next(seconds))
    first = train(wanted, tmp_path / "run")
    assert first.steps == 4  # 6 seconds of 1.5 a step
    again = train(wanted, tmp_path / "run")  # on a slower machine, say
    assert again.steps == 4
    assert next(seconds) == 0.0  # nothing was timed


@pytest.mark.parametrize(("seconds", "width"), [(0.5, 64), (1.5, 48), (4.0, 32)])
def test_minutes_choose_the_widest_flow_that_makes_its_usual_steps(seconds, width, tmp_path, monkeypatch):
    monkeypatch.setattr(architectures.FlowSpec, "steps_for", lambda self, images: 4)
    tried = []

    def timed(chosen, size, images, context):
        tried.append(chosen.spec.width)
        steps = round(60 * chosen.budget.minutes / (seconds * chosen.spec.width / 48))
        return Estimate(size, 0, 0.0, steps, 0.0)

    monkeypatch.setattr("gangda.training.estimate.estimated", timed)
    lines = Lines()
    wanted = dataclasses.replace(config("flow"), budget=Budget(minutes=0.1))
    train(wanted, tmp_path / "run", reporter=lines)
    assert tried == [size for size in (64, 48, 32) if size >= width]
    assert f"--minutes 0.1: --width {width}, " in "".join(lines.said)
    assert load_model(tmp_path / "run").card.spec["width"] == width
    train(wanted, tmp_path / "run")  # keeps size and steps: nothing is timed
    assert len(tried) == len([size for size in (64, 48, 32) if size >= width])
    given = dataclasses.replace(wanted, spec=dataclasses.replace(wanted.spec, width=8))
    train(given, tmp_path / "given")
    assert tried[-1] == 8


def test_only_a_time_with_a_cosine_needs_the_number_of_steps():
    wanted = dataclasses.replace(config(recipe={"lr_schedule": "cosine"}), budget=Budget(minutes=0.1))
    assert needs_steps(wanted)
    assert not needs_steps(config(recipe={"lr_schedule": "cosine"}))


def test_what_follows_from_the_images_is_written_down(tmp_path):
    open_config = dataclasses.replace(config(width=None, d_width=None), budget=Budget(epochs=1))
    train(open_config, tmp_path / "run")
    recorded = resolve.resolve({}, {}, tmp_path / "run" / "config.yaml").pick(TrainConfig)
    assert (recorded.spec.width, recorded.spec.d_width) == (16, 32)


def test_a_grid_lost_with_the_process_is_no_obstacle(tmp_path):
    train(config(), tmp_path / "run")
    (tmp_path / "run" / "samples" / "training.gif").unlink()
    shutil.rmtree(tmp_path / "run" / "model")
    for grid in (tmp_path / "run" / "samples").glob("*.png"):
        grid.unlink()
    state = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps({**state, "finished": False}))
    assert train(config(), tmp_path / "run").finished
    assert (tmp_path / "run" / "model" / "model.json").is_file()


def test_a_checkpoint_from_the_future_is_refused(tmp_path, monkeypatch):
    with pytest.raises(StoppedError):
        train(config(), tmp_path / "run", reporter=Stopping(signal.SIGTERM))
    monkeypatch.setattr("gangda.runtime.files.FORMAT_VERSION", 0)
    with pytest.raises(DataError, match="newer"):
        train(config(), tmp_path / "run")


def test_a_run_finds_its_images_from_any_folder(tmp_path, monkeypatch, blobs):
    np.savez(tmp_path / "set.npz", images=blobs.pixels, labels=blobs.labels)
    monkeypatch.chdir(tmp_path)
    relative = dataclasses.replace(config("pca"), data=DataConfig(source="set.npz"))
    train(relative, tmp_path / "run")
    assert load_model(tmp_path / "run").card.data["source"] == str(tmp_path / "set.npz")


def test_a_rehearsal_refuses_a_device_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="--device"):
        train(dataclasses.replace(config(), runtime=Runtime(device="tpu")), tmp_path / "run", dry_run=True)


def test_building_the_networks_takes_no_training_time(tmp_path, monkeypatch):
    """A budget of minutes is spent on steps, and images/s are those of the steps."""
    make = training_run.make_method
    monkeypatch.setattr(training_run, "make_method", lambda *given: time.sleep(3) or make(*given))
    assert train(config(budget=Budget(steps=1)), tmp_path / "run").seconds < 3


def pictures(folder):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(
                folder / name / f"{number}.png"
            )
    return folder


def of_folder(path):
    return dataclasses.replace(config("pca", components=2), data=DataConfig(source=str(path)))


def test_the_spelling_of_a_path_is_no_part_of_a_runs_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pictures(tmp_path / "d")
    runs = {
        train(of_folder(path)).run
        for path in ("d", "./d", "d/", tmp_path / "d", "../" + tmp_path.name + "/d")
    }
    assert len(runs) == 1
    source = resolve.resolve({}, {}, runs.pop() / "config.yaml").data.source
    assert source == str(tmp_path / "d")


def test_a_run_goes_on_with_images_that_were_moved_but_not_with_others(tmp_path):
    first = train(of_folder(pictures(tmp_path / "d")), tmp_path / "run")
    (tmp_path / "d").rename(tmp_path / "e")
    assert train(of_folder(tmp_path / "e"), tmp_path / "run").steps == first.steps
    Image.new("L", (8, 8), 9).save(tmp_path / "e" / "a" / "0.png")
    with pytest.raises(RunError, match=r"was made with data\.source|images have changed"):
        train(of_folder(tmp_path / "e"), tmp_path / "run")


def test_grids_of_log_spaced_steps_stay_when_a_run_is_continued(tmp_path, monkeypatch):
    monkeypatch.setattr("gangda.training.preview.FIRST", 3)
    short, longer = (
        config(),
        dataclasses.replace(config(), budget=dataclasses.replace(config().budget, steps=11)),
    )
    train(short, tmp_path / "run")
    train(longer, tmp_path / "run", resume=True)
    regular = set(range(2, 12, 2))
    steps = {int(path.stem[-8:]) for path in (tmp_path / "run" / "samples").glob("grid-*.png")}
    assert steps == {0, 3, 6, 10, 11} | regular


def test_other_threads_continue_a_run_and_say_so(tmp_path):
    class Listener(Reporter):
        def __init__(self):
            self.lines = []

        def line(self, text):
            self.lines.append(text)

    with pytest.raises(StoppedError):
        train(config(), tmp_path / "run", reporter=Stopping(signal.SIGTERM))
    told, before = Listener(), config().runtime.threads
    other = dataclasses.replace(config(), runtime=dataclasses.replace(config().runtime, threads=2))
    assert train(other, tmp_path / "run", reporter=told).finished
    assert any(f"was trained with --threads {before or 'unset'}, now 2" in line for line in told.lines)
    assert "threads: 2" in (tmp_path / "run" / "config.yaml").read_text()
    said = len(told.lines)
    train(config(), tmp_path / "run", reporter=told)  # finished: nothing is trained, and the record stays
    assert not any("was trained with" in line for line in told.lines[said:])
    assert "threads: 2" in (tmp_path / "run" / "config.yaml").read_text()
