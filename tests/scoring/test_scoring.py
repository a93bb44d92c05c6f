import dataclasses
import json

import numpy as np
import pytest
from PIL import Image, ImageOps

from gangda import scoring
from gangda.config import catalog
from gangda.config.schema import ClassifierConfig, DataConfig, Runtime, ScoreConfig
from gangda.data.images import concatenate, generated_images
from gangda.data.loading import load_splits
from gangda.data.sample_set import SetHeader, set_being_written
from gangda.errors import DataError, GangdaError, RunError, UsageError
from gangda.metrics.evaluate import evaluate_metrics
from gangda.runtime import results
from gangda.runtime.progress import Reporter
from gangda.scoring import score

DATA = DataConfig(per_class=20)
CLASSIFIER = ClassifierConfig(classifier_steps=20)
RUNTIME = Runtime(threads=1, device="cpu", precision="fp32")
PREFIXES = (
    "gan_test",
    "cas",
    "is_",
    "fid_",
    "kid_",
    "precision_",
    "recall_",
    "density_",
    "coverage_",
    "diversity_",
    "vendi_",
    "memorisation_",
    "artefact_",
)


@pytest.fixture
def samples(tmp_path):
    """Digits outside the subset, as an NPZ."""
    spare = load_splits(DataConfig(validation=0.3), 5).validation
    np.savez(tmp_path / "samples.npz", images=spare.pixels, labels=spare.labels)
    return tmp_path / "samples.npz"


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(
        scoring, "evaluate_metrics", lambda inputs, *_: evaluate_metrics(inputs, ("gan_test", "fid"))
    )


@pytest.fixture
def plain(quick, monkeypatch):
    """Without pictures."""
    monkeypatch.setattr(scoring, "_pictures", lambda *_: {})


def run(samples, out, data=DATA, **more):
    return score(samples, data, CLASSIFIER, RUNTIME, out, **more)


def test_every_metric_is_written_and_reprinted(samples, tmp_path):
    result = run(samples, tmp_path / "out")
    values = result.as_dict()
    text = json.dumps(values, allow_nan=False)
    names = [metric["name"] for metric in values["metrics"]]
    assert all(any(name.startswith(prefix) for name in names) for prefix in PREFIXES)
    assert all(metric["floor"] is not None for metric in values["metrics"])
    written = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert written["metrics"] == values["metrics"]
    assert (written["seed"], written["n"]["test"], len(written["hashes"])) == (0, 360, 4)
    confusion = np.array(values["confusion"])
    (gan_test,) = (metric for metric in values["metrics"] if metric["name"].startswith("gan_test"))
    assert confusion.sum() == values["n"]["samples"]
    assert confusion.trace() / confusion.sum() == pytest.approx(gan_test["value"])
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == [
        "confusion.png",
        "nearest-training-images.png",
        "real-and-generated.png",
        "recall-by-class.png",
    ]
    again = run(samples, tmp_path / "out")
    assert again.reprinted
    assert json.dumps({**again.as_dict(), "reprinted": False, "format_version": 2}).startswith(text[:100])
    assert again.as_dict()["metrics"] == values["metrics"]


def test_only_what_is_asked_for_is_computed(samples, tmp_path, monkeypatch):
    asked = []

    def spy(*_, **__):
        asked.append("classifier")
        raise AssertionError("no metric here needs one")

    monkeypatch.setattr("gangda.metrics.scorer.fit_classifier", spy)
    result = run(samples, tmp_path / "free", metrics=("artefact",))
    assert [metric.name for metric in result.metrics] == ["artefact_auc"]
    assert not asked
    assert {path.name for path in (tmp_path / "free").iterdir()} == {"scores.json", "real-and-generated.png"}
    monkeypatch.undo()
    some = run(samples, tmp_path / "some", metrics=("kid", "gan_test"))
    assert [metric.name.split("_")[0] for metric in some.metrics] == ["gan", "kid", "kid"]
    assert (tmp_path / "some" / "recall-by-class.png").exists()
    with pytest.raises(RunError, match="other samples or options"):
        run(samples, tmp_path / "some", metrics=("kid",))
    with pytest.raises(UsageError, match="--metrics"):
        run(samples, tmp_path / "none", metrics=())
    with pytest.raises(UsageError, match="--metrics fidd: did you mean 'fid'"):
        ScoreConfig(metrics=("kid", "fidd"))


def test_the_order_of_the_metrics_does_not_change_the_folder(samples, tmp_path, monkeypatch, plain):
    monkeypatch.chdir(tmp_path)
    everything, one = run(samples, None), run(samples, None, metrics=("fid",))
    assert everything.out != one.out
    assert run(samples, None, metrics=tuple(reversed(catalog.METRICS))).out == everything.out


def test_default_out_is_named_after_samples_and_content(samples, tmp_path, monkeypatch, plain):
    monkeypatch.chdir(tmp_path)
    first = run(samples, None)
    assert first.out.parts[0] == "scores"
    assert first.out.name.startswith("samples-")
    other = score(samples, DATA, CLASSIFIER, Runtime(threads=1, device="cpu", precision="fp32", seed=1), None)
    assert other.out != first.out


def test_dry_run_writes_nothing(samples, tmp_path):
    result = run(samples, tmp_path / "out", dry_run=True)
    assert result.metrics == ()
    assert result.as_dict()["n"]["train"] == 180
    assert not (tmp_path / "out").exists()


def test_an_out_of_somebody_else_is_refused_and_left_alone(samples, tmp_path, plain):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="not a score"):
        run(samples, tmp_path / "out")
    run(samples, tmp_path / "other")
    with pytest.raises(RunError, match="other samples or options"):
        run(samples, tmp_path / "other", DataConfig(per_class=30))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_failure_leaves_no_half_written_output(samples, tmp_path, monkeypatch, plain):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(results, "write_hashed_json", full)
    with pytest.raises(RunError, match="disk is full"):
        run(samples, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["samples.npz"]


def write_set(path, images, sorting=None, fingerprint="", config=None):
    header = SetHeader(
        kind="augmented",
        format="npz",
        key="k" * 16,
        class_names=images.class_names,
        image_shape=images.image_shape,
        total=tuple(images.counts().tolist()),
        data={"fingerprint": fingerprint, "config": config, "seed": 0},
    )
    with set_being_written(path, header) as writer:
        writer.write(images, 0)
        writer.sorting.update(sorting or {})
    return path


@pytest.fixture
def made():
    spare = load_splits(DataConfig(validation=0.3), 5).validation
    return generated_images(spare.pixels, spare.labels, spare.class_names)


def test_only_what_is_not_real_is_scored(made, tmp_path, plain):
    real = load_splits(DATA, 0).train
    path = write_set(tmp_path / "set", concatenate(real, made))
    assert run(path, tmp_path / "out").as_dict()["n"]["samples"] == len(made)
    assert (
        "## Scores\n\nBy `gangda score`, against 360 held-out images of digits."
        in (path / "README.md").read_text()
    )
    with pytest.raises(DataError, match="real images only"):
        run(write_set(tmp_path / "real", real), tmp_path / "out2")


def test_notes_tell_of_sorting_other_data_and_another_subset(made, tmp_path, plain):
    said = []

    class Listening(Reporter):
        def line(self, text):
            said.append(text)

    own = load_splits(DATA, 0).fingerprint
    sorted_set = write_set(tmp_path / "sorted", made, sorting={"drawn": [9] * 10})
    result = run(sorted_set, tmp_path / "out1", reporter=Listening())
    assert result.metrics[0].note.startswith("circular")
    run(write_set(tmp_path / "other", made, fingerprint="f" * 16), tmp_path / "out2", reporter=Listening())
    config = {"source": "digits", "per_class": 50}
    run(write_set(tmp_path / "more", made, None, own, config), tmp_path / "out3", reporter=Listening())
    notes = [text for text in said if not text.startswith("ALARM: ")]
    assert ["circular" in notes[0], "other data" in notes[1], "another training subset" in notes[2]] == [
        True
    ] * 3
    assert any("samples are exact copies of" in text for text in said)


def test_samples_that_classifiers_filtered_make_gan_test_circular(made, tmp_path, plain):
    for name, about, circular in (("agreement", {"classifiers": ["f"]}, True), ("duplicates", {}, False)):
        path = write_set(tmp_path / name, made)
        index = json.loads((path / "index.json").read_text())
        index["provenance"]["labels"] = {"made": "conditional", "filters": {name: about}}
        (path / "index.json").write_text(json.dumps(index))
        result = run(path, tmp_path / f"out-{name}")
        assert result.metrics[0].note.startswith("circular") == circular
        assert any("circular" in note for note in result.values["notes"]) == circular


def test_samples_made_from_test_images_are_refused(made, tmp_path, plain):
    splits = load_splits(DATA, 0)
    for name, row_ids in (("train", splits.train.row_id), ("test", splits.test.row_id)):
        parents = np.resize(row_ids[:2], len(made))
        path = write_set(tmp_path / name, dataclasses.replace(made, parent=parents), None, splits.fingerprint)
        if name == "train":
            assert run(path, tmp_path / "out", dry_run=True).values["n"]["samples"] == len(made)
            continue
        said = f"{len(made)} of its images are made from test images"
        with pytest.raises(DataError, match=said):
            run(path, tmp_path / "out")
        other = write_set(tmp_path / "other", dataclasses.replace(made, parent=parents), None, "f" * 16)
        assert run(other, tmp_path / "out", dry_run=True).dry_run, "row ids of other data say nothing"


def test_classes_are_matched_by_name(made, tmp_path, plain):
    order = np.arange(10)[::-1]
    names = tuple(made.class_names[label] for label in order)
    turned = generated_images(made.pixels, 9 - made.labels, names)
    straight = run(write_set(tmp_path / "a", made), tmp_path / "out1")
    crossed = run(write_set(tmp_path / "b", turned), tmp_path / "out2")
    assert crossed.metrics[0].value == straight.metrics[0].value


def test_unlabelled_samples_are_scored_without_labels(made, tmp_path, quick):
    flat = generated_images(made.pixels, np.zeros(len(made), dtype=np.int64), ("unlabelled",))
    result = run(write_set(tmp_path / "flat", flat), tmp_path / "out")
    assert [metric.name.split("_")[0] for metric in result.metrics] == ["fid"]
    assert not (tmp_path / "out" / "recall-by-class.png").exists()
    assert "left out" in result.values["notes"][0]


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (
            lambda made: generated_images(made.pixels, made.labels, [*made.class_names[:9], "ten"]),
            "class 'ten'",
        ),
        (
            lambda made: generated_images(np.repeat(made.pixels, 3, axis=3), made.labels, made.class_names),
            "8x8 RGB",
        ),
        (
            lambda made: generated_images(made.pixels[:, :7, :7], made.labels, made.class_names),
            "--image-size",
        ),
    ],
)
def test_samples_that_do_not_fit_are_refused(made, tmp_path, build, words):
    with pytest.raises(DataError, match=words) as caught:
        run(write_set(tmp_path / "set", build(made)), tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_missing_path_is_named_without_the_wrong_flag(tmp_path):
    with pytest.raises(GangdaError, match=r"^.*nowhere.*no such file") as caught:
        run(tmp_path / "nowhere", tmp_path / "out")
    assert "--data" not in str(caught.value)


def test_without_data_the_set_says_what_it_was_made_from(plain, samples, made, tmp_path):
    own = write_set(tmp_path / "own", made, config=dataclasses.asdict(DATA))
    by_set = run(own, tmp_path / "a", data=None).as_dict()
    by_flag = run(own, tmp_path / "b").as_dict()
    assert by_set["metrics"] == by_flag["metrics"]
    assert by_set["data"]["per_class"] == DATA.per_class
    with pytest.raises(DataError, match="--data"):
        run(samples, tmp_path / "c", data=None)


@pytest.mark.parametrize(
    ("changed", "counts"),
    [
        ({"validation": 0.0}, [20] * 10),
        ({"download": True}, [18] * 10),
        ({"class_counts": (10,) * 10}, [9] * 10),
    ],
)
def test_options_of_the_data_count_for_the_data_that_the_set_records(made, tmp_path, changed, counts):
    spare = load_splits(DataConfig(), 0).train
    np.savez(tmp_path / "other.npz", images=255 - spare.pixels, labels=spare.labels)
    source = str(tmp_path / "other.npz")
    own = write_set(
        tmp_path / "own", made, config=dataclasses.asdict(DataConfig(source=source, per_class=20))
    )
    values = run(own, tmp_path / "out", data=None, changed=changed, dry_run=True).as_dict()
    assert values["data"]["source"] == source
    assert values["n"]["train"] == sum(counts)


def brightness(inputs):
    """A metric of somebody else's."""
    fake, real = (float(side.images.pixels.mean()) for side in (inputs.fake, inputs.real))
    return [inputs.result("brightness", "", fake - real, "target", floor=0.0, note="")]


def test_a_metric_is_one_function_and_one_line_of_the_catalog(samples, tmp_path, plain, monkeypatch):
    monkeypatch.setattr(scoring, "evaluate_metrics", evaluate_metrics)
    monkeypatch.setitem(catalog.METRICS, "brightness", catalog.Entry(f"{__name__}:brightness", "mean grey"))
    result = run(samples, tmp_path / "out", metrics=("brightness",))
    assert [(metric.name, metric.n_real) for metric in result.metrics] == [("brightness", 180)]
    written = json.loads((tmp_path / "out" / "scores.json").read_text())["metrics"]
    assert written[0]["value"] == result.metrics[0].value


def put_samples(root, rows, size=8, colour=False):
    """Training images of digits as class folders, at another size or in colour."""
    for label, pixels in rows:
        (root / str(label)).mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(pixels[..., 0]).resize((size, size))
        image = Image.merge("RGB", (image, image, ImageOps.invert(image))) if colour else image
        image.save(root / str(label) / f"{len(list((root / str(label)).iterdir()))}.png")


def test_what_is_odd_about_samples_is_said(tmp_path, plain):
    real = load_splits(DATA, 0).train
    rows = [
        (label, real.pixels[row]) for label in range(10) for row in np.flatnonzero(real.labels == label)[:3]
    ]
    put_samples(tmp_path / "three", rows)
    notes = run(tmp_path / "three", tmp_path / "out").values["notes"]
    assert "ALARM: 30 of 30 samples are exact copies of training images" in notes
    put_samples(tmp_path / "large", rows, size=16)
    notes = run(tmp_path / "large", tmp_path / "out2").values["notes"]
    assert any("images are 16x16: resized to 8x8" in note for note in notes)
    put_samples(tmp_path / "rgb", rows, colour=True)
    with pytest.raises(
        DataError, match="8x8 RGB images, the others are 8x8 grey; --channels 1 makes all grey"
    ):
        run(tmp_path / "rgb", tmp_path / "out3")
    grey = run(tmp_path / "rgb", tmp_path / "out3", dataclasses.replace(DATA, channels=1))
    assert any("images became grey (--channels)" in note for note in grey.values["notes"])
    put_samples(tmp_path / "grey", rows)
    found = run(tmp_path / "grey", tmp_path / "out4", dataclasses.replace(DATA, channels=3))
    assert any("images became RGB (--channels)" in note for note in found.values["notes"])
