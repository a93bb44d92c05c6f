"""`--log tensorboard`: what metrics.jsonl holds, for TensorBoard."""

import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gangda.config.architectures import CdcganSpec
from gangda.config.schema import Budget, DataConfig, Runtime, TrainConfig
from gangda.training import train


def test_tensorboard_reads_the_log_of_a_run_that_was_continued(tmp_path):
    spec, data = CdcganSpec(width=4, d_width=4), DataConfig(per_class=10)
    runtime = Runtime(device="cpu", threads=1)
    for steps in (50, 100):
        budget = Budget(steps=steps, log="tensorboard")
        config = TrainConfig(data=data, spec=spec, budget=budget, runtime=runtime)
        run = train(config, tmp_path / "run", resume=steps > 50).run
    assert "log:" not in (run / "config.yaml").read_text()
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = {row["step"]: row["g_loss"] for row in rows if "g_loss" in row}
    read = EventAccumulator(str(run / "tensorboard"))
    read.Reload()
    seen = {event.step: event.value for event in read.Scalars("g_loss")}
    assert seen == pytest.approx(losses, abs=1e-6)
    assert {1, 50, 100} <= set(seen)
