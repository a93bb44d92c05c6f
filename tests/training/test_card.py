"""The model card of a run: Hugging Face's fields, and what a reader must know."""

import json

import yaml

from gangda.config.schema import DataConfig, Runtime, TrainConfig
from gangda.training import train
from gangda.training.card import _last_scores


def test_a_model_card_says_what_it_is_and_what_it_was_trained_on(tmp_path):
    data, runtime = DataConfig(per_class=20), Runtime(device="cpu", threads=1, seed=4)
    run = train(TrainConfig(data=data, arch="ppca", runtime=runtime), tmp_path / "mine").run
    head, text = (run / "README.md").read_text().split("---\n")[1:]
    fields = yaml.safe_load(head)
    assert fields["library_name"] == "gangda"
    assert fields["datasets"] == ["digits"]
    assert "ppca" in fields["tags"]
    assert "180 images drawn by seed 4: 0, 1, 2" in text
    assert "8x8 grey images of 10 classes (class-conditional)" in text
    assert "Scores against validation images: none." in text
    for heading in ("Intended use", "Training data", "Training and scores", "Limits"):
        assert f"## {heading}" in text


def test_a_model_card_has_the_scores_of_the_last_evaluation(tmp_path):
    log = tmp_path / "metrics.jsonl"
    lines = [
        {"step": 500, "evaluation": {"gan_test": 0.5}},
        {"step": 1000, "evaluation": {"gan_test": None, "diversity": 0.81, "validation_distance": 0.1234}},
        {"step": 1000, "g_loss": 3.0},
    ]
    log.write_text("\n".join(map(json.dumps, lines)) + '\n{"step"')
    assert _last_scores(log) == "step 1,000: diversity 0.81, validation_distance 0.1234"
