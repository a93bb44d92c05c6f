"""A data source is one file and one line of the catalog: here a file outside the package."""

import json

import numpy as np
import pytest

from gangda.cli.main import app
from gangda.config import catalog
from gangda.config.catalog import Entry
from gangda.config.schema import DataConfig
from gangda.data.loading import found_sets, load_splits
from gangda.data.paths import located

MODULE = """
import numpy as np

from gangda.data.sources.raw import RawSource


def load(config):
    labels = np.arange(60) % 3
    pixels = np.tile((80 * labels[:, None, None, None]).astype(np.uint8), (1, 10, 12, 1))
    pixels[:, 0, 5, 0] = 4 * np.arange(60)  # no two are identical
    return RawSource(pixels, labels, ("dark", "grey", "bright"), test_rows=np.arange(40, 60))
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A source called "toy", in a module of its own."""
    (tmp_path / "toy_source.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(catalog.SOURCES, "toy", Entry("toy_source:load", "60 plain squares, 10x12 grey"))


def test_it_is_resized_split_and_numbered_like_any_other(toy):
    splits = load_splits(DataConfig(source="toy", image_size=8), seed=0)
    assert splits.train.image_shape == (1, 8, 8)
    assert splits.train.class_names == ("dark", "grey", "bright")
    assert splits.test.row_id.tolist() == list(range(40, 60))
    assert len(splits.train) + len(splits.validation) == 40
    for images in (splits.train, splits.validation, splits.test):
        assert np.array_equal(images.pixels[:, 4, 4, 0], 80 * images.labels)


def test_it_is_listed_and_found_from_any_folder(toy):
    assert ("toy", "built in") in found_sets()
    assert located(DataConfig(source="toy")).source == "toy"


def test_the_command_line_takes_it_by_its_name(toy, capsys):
    with pytest.raises(SystemExit) as end:
        app(["doctor", "--data", "toy", "--json"], prog_name="gangda")
    out = capsys.readouterr().out
    assert end.value.code == 0, out
    found = json.loads(out)
    assert (found["data"]["name"], found["data"]["train"]["n"]) == ("toy", 37)
    assert found["data_sets"]["toy"] == "built in"
