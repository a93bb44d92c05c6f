import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor, nn

from gangda import classifying
from gangda.augmenting import augment
from gangda.classifying import ClassifyResult, classify
from gangda.classifying.evaluation import evaluate_predictions
from gangda.config import catalog
from gangda.config.schema import (
    AugmentationConfig,
    AugmentConfig,
    ClassifierConfig,
    DataConfig,
    Runtime,
    TransformConfig,
)
from gangda.data.images import generated_images
from gangda.data.loading import load_splits
from gangda.data.sample_set import SetHeader, set_being_written
from gangda.errors import DataError, GangdaError, RunError, UsageError
from gangda.runtime.progress import Reporter

DATA = DataConfig(per_class=20)
FEW = ClassifierConfig(classifier_steps=30)
CPU = Runtime(device="cpu", precision="fp32", threads=1)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(set_path: str = "digits", test: str | None = None, **options: Any) -> ClassifyResult:
    arguments = {
        "data": DATA, "classifier": FEW, "transforms": None, "repeats": 1, "runtime": CPU, "out": None, **options
    }  # fmt: skip
    return classify(set_path, test, **arguments)


def write_set(out: Path, *, real: bool = True, leak: bool = False, source: str = "digits") -> Path:
    """An augmented set of digits: ten real images of each class and five made up; `leak` adds test images."""
    splits = load_splits(DataConfig(), seed=0)
    rows = np.concatenate([np.flatnonzero(splits.train.labels == k)[:10] for k in range(10)])
    chosen = splits.train.take(rows)
    made = np.repeat(np.arange(10), 5)
    pixels = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 1)).astype(np.uint8)
    pieces = [chosen] if real else []
    pieces.append(generated_images(pixels, made, chosen.class_names))
    if leak:
        pieces.append(splits.test.take(np.arange(3)))
    labels = np.concatenate([piece.labels for piece in pieces])
    header = SetHeader(
        kind="augmented",
        format="npz",
        key="0123",
        class_names=chosen.class_names,
        image_shape=(1, 8, 8),
        total=tuple(np.bincount(labels, minlength=10).tolist()),
        data={"config": {"source": source}, "seed": 0, "fingerprint": splits.fingerprint},
    )
    with set_being_written(out, header) as writer:
        for piece in pieces:
            writer.write(piece, writer.count)
    return out


def write_npz(path: Path, names: list[str], count: int = 40, channels: int = 1, dark: int = 0) -> Path:
    labels = np.arange(count) % len(names)
    pixels = np.zeros((count, 8, 8, channels), dtype=np.uint8)
    for row, label in enumerate(labels):
        pixels[row] = 5 * row % 50 + dark
        pixels[row, int(names[label]) * 2] = 200  # the name decides what an image looks like
    np.savez(path, images=pixels, labels=labels, class_names=np.array(names))
    return path


def write_noise(path: Path, count: int = 100) -> Path:
    """Two classes of noise without a test split, every image different."""
    pixels = np.random.default_rng(5).integers(0, 256, (count, 8, 8, 1)).astype(np.uint8)
    np.savez(path, images=pixels, labels=np.arange(count) % 2)
    return path


def write_duplicates(path: Path, of: Path, count: int) -> Path:
    """The same labels, other images but for the first `count`."""
    with np.load(of, allow_pickle=False) as file:
        arrays = dict(file)
    arrays["images"][count:, 0, 0] += 1
    np.savez(path, **arrays)
    return path


def test_a_source_with_repeats(tmp_path: Path) -> None:
    result = run(repeats=2, out=tmp_path / "out", transforms=TransformConfig())
    splits = load_splits(DATA, seed=0)
    values = result.as_dict()
    assert (values["n_train"], values["n_test"]) == (len(splits.train), len(splits.test))
    first, second = values["runs"]
    assert (first["seed"], second["seed"]) == (0, 1)
    assert first["fingerprint"] != second["fingerprint"]
    assert values["accuracy"] == pytest.approx((first["accuracy"] + second["accuracy"]) / 2)
    assert values["spread"]["accuracy"] == pytest.approx(abs(first["accuracy"] - second["accuracy"]) / 2**0.5)
    assert np.sum(values["confusion"]) == 2 * len(splits.test)
    assert values["accuracy"] > 0.4
    assert first["correct"].count("1") == round(first["accuracy"] * len(splits.test))
    saved = json.loads((tmp_path / "out" / "evaluation.json").read_text(), parse_constant=pytest.fail)
    assert saved["runs"] == values["runs"]
    assert (tmp_path / "out" / "confusion.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_command_again_reprints(monkeypatch: pytest.MonkeyPatch) -> None:
    first = run()
    assert first.out.parent.name == "classifications"
    assert first.out.name.startswith("digits-")
    monkeypatch.setattr(classifying, "fit_classifier", pytest.fail)
    again = run()
    assert again.reprinted
    assert {**again.as_dict(), "reprinted": False} == first.as_dict()
    with pytest.raises(RunError, match="other sets or options"):
        run(runtime=Runtime(seed=1, device="cpu", precision="fp32", threads=1), out=first.out)


def test_the_transforms_are_part_of_a_result() -> None:
    plain, flipped = (
        run(dry_run=True, transforms=one).values for one in (TransformConfig(), TransformConfig(flip=0.5))
    )
    assert flipped["transforms"] == {**plain["transforms"], "flip": 0.5}
    assert plain["id"] != flipped["id"]


def test_dry_run_writes_nothing() -> None:
    result = run(dry_run=True)
    assert result.as_dict()["n_test"] == 360
    assert not result.out.exists()
    with pytest.raises(UsageError, match="did you mean"):
        run(dry_run=True, classifier=ClassifierConfig(classifier="lenet5"))


def test_an_augmented_set_is_tested_on_its_sources_test_split(tmp_path: Path) -> None:
    result = run(str(write_set(tmp_path / "set")), data=DataConfig())
    values = result.as_dict()
    assert values["n_train"] == 150
    assert values["hashes"]["test"] == load_splits(DataConfig(), seed=7).test.content_hash()


def test_a_sample_set_alone(tmp_path: Path) -> None:
    values = run(str(write_set(tmp_path / "set", real=False)), data=DataConfig()).as_dict()
    assert (values["n_train"], values["n_test"]) == (50, 360)
    assert values["accuracy"] < 0.4  # noise teaches nothing


def test_classes_agree_by_name_not_by_order(tmp_path: Path) -> None:
    train = write_npz(tmp_path / "train.npz", ["0", "1", "2"])
    test = write_npz(tmp_path / "test.npz", ["2", "0"], count=31, dark=2)
    config = ClassifierConfig(classifier_steps=80)
    values = run(str(train), str(test), data=DataConfig(validation=0), classifier=config).as_dict()
    assert values["n_test"] == 31  # one part only: all of it
    assert values["accuracy"] == 1.0
    assert values["recall"] == [1.0, None, 1.0]


@pytest.mark.parametrize("image_size", [None, 8, 12])
def test_of_its_own_data_only_the_held_out_part_is_test(tmp_path: Path, image_size: int | None) -> None:
    source = write_noise(tmp_path / "noise.npz")
    copy = Path(shutil.copy(source, tmp_path / "copy.npz"))
    data = DataConfig(per_class=20, image_size=image_size)
    alone = run(str(source), data=data, dry_run=True).as_dict()
    assert alone["n_test"] == 20
    for test in (source, copy):
        assert run(str(source), str(test), data=data, dry_run=True).as_dict()["hashes"] == alone["hashes"]


@pytest.mark.parametrize("image_size", [None, 12])
def test_of_the_data_behind_a_set_only_the_held_out_part_is_test(
    tmp_path: Path, image_size: int | None
) -> None:
    source = write_noise(tmp_path / "noise.npz")
    traditional = AugmentConfig(method="traditional")
    config = AugmentationConfig(DataConfig(source=str(source)), traditional, runtime=CPU)
    made = augment(config, out=tmp_path / "set")
    data = DataConfig(image_size=image_size)
    alone = run(str(made.out), data=data, dry_run=True).as_dict()
    named = run(str(made.out), str(source), data=data, dry_run=True).as_dict()
    assert named["n_test"] == 20
    assert named["hashes"] == alone["hashes"]


def test_a_set_of_leaked_rows_is_refused_with_a_named_test_too(tmp_path: Path) -> None:
    leaky = write_set(tmp_path / "leaky", leak=True, source="gone/away")
    with pytest.raises(DataError, match="3 of its 360 test images are among"):
        run(str(leaky), "digits", data=DataConfig(), dry_run=True)


def test_a_few_twins_in_other_data_are_reported(tmp_path: Path) -> None:
    train = write_noise(tmp_path / "train.npz")
    other = write_duplicates(tmp_path / "other.npz", train, 10)
    values = run(str(train), str(other), data=DataConfig(validation=0), dry_run=True).as_dict()
    assert values["n_test"] == 100
    assert any("test images are, pixel for pixel" in note for note in values["notes"])


def test_what_is_found_in_other_test_images_is_said(tmp_path: Path) -> None:
    write_npz(tmp_path / "train.npz", ["0", "1"])
    for number, pixels in enumerate(np.random.default_rng(3).integers(0, 3000, (20, 8, 8), np.uint16)):
        for copy in range(2 if number == 0 else 1):
            path = tmp_path / "test" / str(number % 2) / f"{number}-{copy}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros_like(pixels) if 2 < number < 6 else pixels).save(path)
    (path.parent / "drawing.svg").write_text("<svg/>")
    notes = run("train.npz", "test", data=DataConfig(), dry_run=True).as_dict()["notes"]
    for start in (
        "--test test: values 0 to 2,",
        "ALARM: --test test: skipped 1: ",
        "ALARM: --test test: 3 of 21 images are nearly constant",
        "ALARM: --test test: 3 of 21 images are identical",
    ):
        assert any(note.startswith(start) for note in notes), start


def test_synthetic_images_are_no_test_images(tmp_path: Path) -> None:
    write_npz(tmp_path / "train.npz", ["0", "1"])
    for number, pixels in enumerate(np.random.default_rng(3).integers(0, 255, (20, 8, 8), np.uint8)):
        path = tmp_path / "test" / str(number % 2) / f"{number:08d}-generated.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    with pytest.raises(DataError, match="--test test: 20 of 20 test images were made by gangda"):
        run("train.npz", "test", data=DataConfig(), dry_run=True)


def test_copies_in_other_test_images_that_are_brighter_or_turned_are_an_alarm(tmp_path: Path) -> None:
    train = (
        np.random.default_rng(5).integers(0, 200, (40, 4, 4, 1)).astype(np.uint8).repeat(4, 1).repeat(4, 2)
    )
    other = (
        np.random.default_rng(6).integers(0, 200, (40, 4, 4, 1)).astype(np.uint8).repeat(4, 1).repeat(4, 2)
    )
    other[:4], other[4:8] = train[:4] + 9, train[4:8, ::-1]
    for name, images in (("train", train), ("other", other)):
        np.savez(f"{name}.npz", images=images, labels=np.arange(40) % 2)
    data = DataConfig(validation=0)
    notes = " ".join(run("train.npz", "other.npz", data=data, dry_run=True).as_dict()["notes"])
    assert "of 40 test images are nearly the same as one trained on" in notes
    assert "of 40 test images are mirrored or turned copies of images trained on" in notes


def test_twins_are_reported(tmp_path: Path) -> None:
    train = write_npz(tmp_path / "train.npz", ["0", "1", "2"], count=39)
    lines: list[str] = []

    class Listener(Reporter):
        def line(self, text: str) -> None:
            lines.append(text)

    run(str(train), data=DataConfig(validation=0), reporter=Listener(), dry_run=True)
    assert any("images are identical to another" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "kind", "says"),
    [
        ({"set_path": "nowhere/set"}, DataError, "^nowhere/set: no such file"),
        ({"set_path": "digtis"}, GangdaError, "did you mean 'digits'"),
        ({"test": "nowhere.npz"}, DataError, "--test nowhere.npz"),
        (
            {"set_path": "a.npz", "test": "more.npz", "data": DataConfig()},
            DataError,
            "more.npz: class '3' is not among 0, 1, 2",
        ),
        (
            {"set_path": "a.npz", "test": "rgb.npz", "data": DataConfig()},
            DataError,
            "rgb.npz: 8x8 RGB images, the others are 8x8 grey",
        ),
        (
            {"set_path": "a.npz", "test": "copies.npz", "data": DataConfig()},
            DataError,
            "8 of 40 test images are, pixel for pixel",
        ),
        (
            {"set_path": "lost", "test": "lost", "data": DataConfig()},
            DataError,
            "also among those trained on",
        ),
        ({"set_path": "set"}, UsageError, "is taken whole"),
        ({"set_path": "leaky", "data": DataConfig()}, DataError, "3 of its images are test images"),
        ({"set_path": "lost", "data": DataConfig()}, DataError, "give some with --test"),
        ({"out": Path("a.npz")}, RunError, "choose another --out"),
        ({"out": Path("set")}, RunError, "not a classification of gangda's"),
    ],
)
def test_bad_input(tmp_path: Path, arguments: dict[str, Any], kind: type[GangdaError], says: str) -> None:
    write_npz(tmp_path / "a.npz", ["0", "1", "2"])
    write_npz(tmp_path / "more.npz", ["0", "3"])
    write_npz(tmp_path / "rgb.npz", ["0", "1"], channels=3)
    write_duplicates(tmp_path / "copies.npz", tmp_path / "a.npz", 10)
    write_set(tmp_path / "set")
    write_set(tmp_path / "leaky", leak=True)
    write_set(tmp_path / "lost", source="gone/away")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(kind, match=says) as caught:
        run(**arguments)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


class Brightness(nn.Module):
    """A classifier of somebody else's: it knows an image by its mean alone."""

    def __init__(self, num_classes: int, channels: int, size: int) -> None:
        super().__init__()
        self.output = nn.Linear(1, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.output(x.mean((1, 2, 3)).unsqueeze(1))
        return logits


def test_a_classifier_is_one_class_and_one_line_of_the_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = catalog.Entry(f"{__name__}:Brightness", "by its mean")
    monkeypatch.setitem(catalog.CLASSIFIERS, "brightness", entry)  # type: ignore[arg-type]
    values = run(classifier=ClassifierConfig(classifier="brightness", classifier_steps=3)).as_dict()
    assert values["classifier"]["classifier"] == "brightness"
    assert values["steps"] == 3
    assert np.sum(values["confusion"]) == values["n_test"]


def test_results_of_thousands_of_classes_are_kilobytes():
    labels = np.repeat(np.arange(3000), 2)
    found = evaluate_predictions(labels, (labels + (labels % 7 == 0)) % 3000, 3000).as_dict()
    assert len(json.dumps(found)) < 150_000
    assert sum(found["confusion"]["values"]) == 6000
