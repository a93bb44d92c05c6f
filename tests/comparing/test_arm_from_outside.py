"""An arm is one function and one line of the catalog: one that gangda does not know takes part in a comparison."""

import dataclasses

import numpy as np

from gangda import comparing
from gangda.comparing.added_images import SOURCES, AddedImages
from gangda.comparing.cell_result import CellResult
from gangda.comparing.storage import read_cell
from gangda.config.architectures import PcaSpec
from gangda.config.arms import ARMS, Arm
from gangda.config.schema import (
    Budget,
    ClassifierConfig,
    CompareConfig,
    ComparisonConfig,
    DataConfig,
    Runtime,
)
from gangda.data.images import LabelledImages


def mirrored(added: AddedImages, key: str, filters: tuple[str, ...]) -> LabelledImages:
    """The real images again, left and right exchanged."""
    images = added.of("copies")
    return dataclasses.replace(images, pixels=images.pixels[:, :, ::-1])


def darkened(added: AddedImages, key: str, filters: tuple[str, ...]) -> LabelledImages:
    """Samples of the cell's generator at half their brightness."""
    images = added.of("generator", key)
    return dataclasses.replace(images, pixels=images.pixels // 2)


def config_of(*names: str) -> ComparisonConfig:
    return ComparisonConfig(
        data=DataConfig(per_class=12),
        arch="pca",
        spec=PcaSpec(components=8),
        budget=Budget(steps=1),
        classifier=ClassifierConfig(classifier="logistic", classifier_steps=8),
        compare=CompareConfig(seeds=2, arms=names),
        runtime=Runtime(device="cpu", precision="fp32", threads=1),
    )


def test_an_arm_that_alters_samples_may_have_its_own_ratio(tmp_path, monkeypatch):
    """As many samples are drawn as the largest ratio needs, though no shipped arm asks for so many."""
    monkeypatch.setitem(SOURCES, "darkened", darkened)
    monkeypatch.setitem(ARMS, "darkened", Arm("real + dark samples", "generator", altered="darkened"))
    result = comparing.compare(config_of("real", "darkened:3"), tmp_path, jobs=1)
    found = read_cell(tmp_path, result.plan.cells[0], CellResult)
    assert found.arms["darkened:3"].n_generated == 3 * found.rows["train"].count
    assert found.generators["pca"].samples.made == (33,) * 10
    assert result.comparison.arms[1].draw_rate > 0


def test_an_arm_from_outside_takes_part(tmp_path, monkeypatch):
    monkeypatch.setitem(SOURCES, "mirrored", mirrored)
    monkeypatch.setitem(ARMS, "mirrored", Arm("real + mirrored real images", "mirrored"))
    config = config_of("real", "generated", "mirrored", "mirrored:2")
    result = comparing.compare(config, tmp_path / "out", jobs=1)
    for cell in result.plan.cells:
        found = read_cell(tmp_path / "out", cell, CellResult)
        added = {name: arm.n_generated for name, arm in found.arms.items()}
        train = found.rows["train"].count
        assert added == {"real": 0, "generated": train, "mirrored": train, "mirrored:2": 2 * train}
    pictures = read_cell(tmp_path / "out", result.plan.cells[0], CellResult).pictures
    [sheet] = pictures.added
    assert sheet.arms == ("mirrored", "mirrored:2")
    assert np.array_equal(sheet.rows[0], pictures.classes[0].real[:, :, ::-1])
    assert "mirrored" in (tmp_path / "out/report.html").read_text()
    assert {row.name for row in result.comparison.arms} == {"real", "generated", "mirrored", "mirrored:2"}
