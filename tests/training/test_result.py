import json

import pytest

from gangda.training.result import DATA_ALARMS, TrainResult, read_data_alarms, write_data_alarms


def test_a_result_is_read_back_as_it_was_recorded(tmp_path):
    result = TrainResult(
        tmp_path,
        "cdcgan",
        finished=True,
        steps=8,
        seconds=2.0,
        images=256,
        evaluation_seconds=0.5,
        parameters={"generator": 3},
        alarms=("ALARM: noise",),
        best_step=4,
        looks=2,
    )
    recorded = json.loads(json.dumps(result.recorded()))
    assert "run" not in recorded  # the folder may be moved
    assert TrainResult.from_recorded(tmp_path, recorded) == result
    assert recorded["looks"] == 2
    assert result.as_dict()["images_per_second"] == 128
    with pytest.raises(KeyError):
        TrainResult.from_recorded(tmp_path, {"finished": True, "alarms": []})
    del recorded["looks"]  # as a run of before they were counted
    assert TrainResult.from_recorded(tmp_path, recorded).looks == 0


def test_what_is_wrong_with_the_images_is_kept_for_later_commands(tmp_path):
    write_data_alarms(tmp_path, ())
    assert list(tmp_path.iterdir()) == []
    assert read_data_alarms(tmp_path) == []
    write_data_alarms(tmp_path, ("ALARM: a", "b"))
    assert read_data_alarms(tmp_path) == ["ALARM: a", "b"]
    (tmp_path / DATA_ALARMS).write_text("{")
    assert read_data_alarms(tmp_path) == []
