import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision

from gangda.config.schema import ClassifierConfig, DataConfig, Runtime, SampleConfig, SamplerOptions
from gangda.data.sample_set import read_set
from gangda.errors import RunError, UsageError
from gangda.runtime.progress import Reporter
from gangda.sampling import pseudo_labels, sample, sampler
from gangda.sampling.filters import agreement
from gangda.training.result import write_data_alarms

DATA = DataConfig(per_class=40)
RUNTIME = Runtime(precision="fp32", device="cpu", threads=1)


def ask(**options: Any) -> SampleConfig:
    return SampleConfig(**{"format": "npz", **options})


@pytest.fixture(autouse=True)
def quick_pseudo_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pseudo_labels, "ClassifierConfig", lambda: ClassifierConfig(classifier_steps=200))
    monkeypatch.setattr(agreement, "ClassifierConfig", lambda: ClassifierConfig(classifier_steps=100))


@pytest.mark.parametrize("name", ["png", "npz", "idx"])
def test_counts_are_exact_and_any_number_of_shards_gives_the_same(make_run: Any, name: str) -> None:
    run = make_run("pca", DATA)
    config = ask(counts="3=130,#7=257,0=1", format=name)
    whole = sample(run, config, RUNTIME, Path("whole"))
    images = read_set(whole.out).images
    assert images.counts().tolist() == [1, 0, 0, 130, 0, 0, 0, 257, 0, 0] == list(whole.index.counts)
    sums = np.zeros(10, dtype=np.int64)
    for i in (2, 3, 1):
        part = sample(run, replace(config, shard=f"{i}/3"), RUNTIME, Path("parts"))
        sums += part.index.counts
    united = read_set(Path("parts")).images
    assert sums.tolist() == list(whole.index.counts)
    assert np.array_equal(united.pixels, images.pixels)
    assert np.array_equal(united.labels, images.labels)
    for name in ("parent", "generator", "confidence"):
        np.testing.assert_array_equal(getattr(united, name), getattr(images, name))


def test_more_samples_begin_with_the_same_ones(make_run: Any) -> None:
    run = make_run("pca", DATA)
    few = read_set(sample(run, ask(per_class=5), RUNTIME, None).out).images
    many = read_set(sample(run, ask(per_class=140), RUNTIME, None).out).images
    for label in range(10):
        assert np.array_equal(few.pixels[few.labels == label], many.pixels[many.labels == label][:5])
    other = read_set(sample(run, ask(per_class=5), replace(RUNTIME, seed=1), None).out).images
    assert not np.array_equal(few.pixels, other.pixels)


def test_the_index_says_where_the_samples_come_from(make_run: Any) -> None:
    run = make_run("pca", DATA, seed=3)
    result = sample(run, ask(per_class=2), RUNTIME, None)
    read = read_set(result.out)
    assert result.out.parent == Path("samples")
    assert result.out.name.startswith("pca-3-")
    about = read.index.provenance
    assert (about["run"], about["arch"], about["steps"], about["train_seed"]) == ("pca-3", "pca", 10, 3)
    assert about["labels"] == {"made": "conditional"}
    assert read.index.sorting == {}
    assert read.data_config == DATA
    assert read.data_seed == 3
    assert read.fingerprint
    assert (read.images.row_id == -1).all()
    assert (read.images.origin == 2).all()
    json.dumps(result.as_dict(), allow_nan=False)


def test_truncated_samples_are_less_varied_and_a_set_of_their_own(make_run: Any) -> None:
    run = make_run("pca", DATA)
    free = sample(run, ask(per_class=30), RUNTIME, None)
    assert read_set(free.out).index.provenance["sampler"] == {"truncation": None}
    wide = sample(run, ask(per_class=30), RUNTIME, None, sampler=SamplerOptions(truncation=50.0))
    assert wide.out != free.out
    assert np.array_equal(read_set(wide.out).images.pixels, read_set(free.out).images.pixels)
    narrow = sample(run, ask(per_class=30), RUNTIME, None, sampler=SamplerOptions(truncation=0.5))
    assert read_set(narrow.out).index.provenance["sampler"] == {"truncation": 0.5}
    spreads = [
        float(read_set(result.out).images.pixels[:30].astype(float).std(0).mean())
        for result in (free, narrow)
    ]
    assert spreads[1] < 0.5 * spreads[0]  # a normal cut at 0.5 has a standard deviation of 0.28


def test_the_same_command_again_reprints_and_dry_runs_write_nothing(make_run: Any) -> None:
    run = make_run("pca", DATA)
    dry = sample(run, ask(per_class=2), RUNTIME, None, dry_run=True)
    assert dry.dry_run
    assert not Path("samples").exists()
    first = sample(run, ask(per_class=2), RUNTIME, None)
    before = (first.out / "index.json").stat().st_mtime_ns
    again = sample(run, ask(per_class=2), RUNTIME, None)
    assert again.reprinted
    assert (first.out / "index.json").stat().st_mtime_ns == before
    assert {**again.as_dict(), "reprinted": False} == first.as_dict()
    with pytest.raises(RunError, match="other options"):
        sample(run, ask(per_class=3), RUNTIME, first.out)


def test_unconditional_samples_get_pseudo_labels_and_the_index_says_so(make_run: Any) -> None:
    run = make_run("replay", DATA, generators=2)
    result = sample(run, ask(per_class=20, min_confidence=0.6), RUNTIME, Path("a"))
    read = read_set(result.out)
    assert read.images.counts().tolist() == [20] * 10
    labels = read.index.provenance["labels"]
    assert labels["made"].startswith("by lenet")
    assert labels["min_confidence"] == 0.6
    assert labels["n_train"] == 360
    assert labels["validation_accuracy"] > 0.5
    assert read.images.confidence.min() >= 0.6
    assert set(read.images.generator) == {0, 1}
    shares = result.as_dict()["sorting"]
    assert sum(row["share"] for row in shares.values()) == pytest.approx(1, abs=0.15)
    assert all(row["agreement"] > 0.7 for row in shares.values())

    labeler = (run / "pseudo-labels" / "labeler.safetensors").stat().st_mtime_ns
    for i in (1, 2):  # with the classifiers of the run folder, not a new one
        sample(run, ask(per_class=20, min_confidence=0.6, shard=f"{i}/2"), RUNTIME, Path("b"))
    assert np.array_equal(read_set(Path("b")).images.pixels, read.images.pixels)
    assert read_set(Path("b")).index.sorting == read.index.sorting
    assert (run / "pseudo-labels" / "labeler.safetensors").stat().st_mtime_ns == labeler


def test_filtered_samples_are_counted_shown_and_the_same_in_shards(
    make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    poor = ClassifierConfig(classifier_steps=30)  # good ones would reject next to nothing here
    monkeypatch.setattr(agreement, "ClassifierConfig", lambda: poor)
    run = make_run("pca", DATA)
    config = ask(counts="3=130,#7=200", format="png", filter=("duplicates", "agreement"))
    whole = sample(run, config, RUNTIME, Path("whole"))
    images = read_set(whole.out).images
    assert images.counts()[[3, 7]].tolist() == [130, 200]
    for i in (2, 1):
        part = sample(run, replace(config, shard=f"{i}/2"), RUNTIME, Path("parts"))
        assert Path(part.as_dict()["contact_sheet"]).read_bytes().startswith(b"\x89PNG")
    united = read_set(Path("parts"))
    assert np.array_equal(united.images.pixels, images.pixels)
    index = read_set(whole.out).index
    assert united.index.filtering == index.filtering
    assert list(index.filtering) == ["drawn", "kept", "agreement", "duplicates"]
    assert 0 < index.filtering["kept"][7] < index.filtering["drawn"][7]
    assert index.provenance["filter"] == ["agreement", "duplicates"]
    assert index.provenance["labels"]["filters"]["agreement"]["kept"].endswith("the most probable one")
    shares = whole.as_dict()["filtering"]["7"]
    assert shares["acceptance"] + sum(shares["rejected"].values()) == pytest.approx(1)
    again = sample(run, replace(config, filter=("agreement", "duplicates")), RUNTIME, Path("whole"))
    assert {**again.as_dict(), "reprinted": False} == whole.as_dict()
    kinds = torchvision.datasets.ImageFolder("whole")
    assert kinds.classes == ["3", "7"]
    assert len(kinds) == 330


def test_without_filters_a_set_is_as_it_was(make_run: Any) -> None:
    result = sample(make_run("pca", DATA), ask(per_class=2), RUNTIME, None)
    index = json.loads((result.out / "index.json").read_text())
    assert "filter" not in index["provenance"]
    assert index["filtering"] == {}
    assert result.as_dict()["contact_sheet"] is None
    assert [path.name for path in Path("samples").iterdir()] == [result.out.name]


def test_pseudo_labels_are_those_of_the_images(make_run: Any) -> None:
    """The generator replays training images, so the true labels of its samples are known."""
    from gangda.data.loading import load_splits

    run = make_run("replay", DATA)
    images = read_set(sample(run, ask(per_class=20), RUNTIME, None).out).images
    train = load_splits(DATA, 0).train
    truth = {row.tobytes(): int(label) for row, label in zip(train.pixels, train.labels, strict=True)}
    right = [truth[row.tobytes()] == label for row, label in zip(images.pixels, images.labels, strict=True)]
    assert np.mean(right) > 0.9


def test_a_collapsed_generator_is_refused_and_leaves_nothing(
    make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampler, "MAX_ATTEMPTS", 4)
    monkeypatch.setattr(sampler, "ATTEMPTS_PER_CLASS", 0)
    run = make_run("replay", DATA, classes=(0, 1))
    with pytest.raises(RunError, match="mode collapse"):
        sample(run, ask(per_class=20), RUNTIME, None)
    assert not Path("samples").exists() or not list(Path("samples").iterdir())


def test_a_generator_that_only_copies_has_nothing_to_give_past_the_filter(
    make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the labeler takes comes to the filter, which knows every image."""
    monkeypatch.setattr(sampler, "MAX_ATTEMPTS", 4)
    monkeypatch.setattr(sampler, "ATTEMPTS_PER_CLASS", 0)
    run = make_run("replay", DATA)
    with pytest.raises(RunError, match=r"only 0 of \d+ samples \(0.00%\) .* \(rejected by duplicates \d+\)"):
        sample(run, ask(per_class=20, filter=("duplicates",)), RUNTIME, None)


def test_a_run_whose_images_have_changed_gets_no_pseudo_labels(make_run: Any) -> None:
    run = make_run("replay", DATA)
    path = run / "model" / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "fingerprint": "other"}))
    with pytest.raises(RunError, match="has changed since"):
        sample(run, ask(per_class=2), RUNTIME, None)


def test_one_generator_of_several(make_run: Any) -> None:
    run = make_run("replay", DATA, generators=2)
    images = read_set(sample(run, ask(counts="#1=9", generator=1), RUNTIME, None).out).images
    assert set(images.generator) == {1}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "--per-class N, or --counts"),
        ({"per_class": 3, "counts": "0=1"}, "--counts"),
        ({"counts": "cat=1"}, "no class 'cat'"),
        ({"per_class": 3, "shard": "0/3"}, "--shard 0/3"),
        ({"per_class": 3, "shard": "4/3"}, "from 1 to n"),
        ({"per_class": 3, "shard": "1/" + "9" * 5000}, "999999"),
        ({"per_class": 3, "shard": "1"}, "--shard"),
        ({"per_class": 3, "shard": "a/b"}, "--shard"),
        ({"per_class": 3, "shard": "1/-2"}, "--shard"),
        ({"per_class": 3, "generator": 1}, "one generator"),
        ({"per_class": 3, "filter": ("discriminator",)}, "has no discriminator"),
        ({"per_class": 3, "filter": ("duplicate",)}, "did you mean 'duplicates'"),
        ({"per_class": 3, "min_confidence": 0.5}, "--min-confidence"),
    ],
)
def test_bad_options(make_run: Any, options: dict[str, Any], words: str) -> None:
    run = make_run("pca", DATA)
    with pytest.raises(UsageError, match=words):  # by the configuration or by the engine
        sample(run, ask(**options), RUNTIME, None)
    assert not Path("samples").exists()


def test_a_folder_without_a_generator(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no trained generator"):
        sample(tmp_path, ask(per_class=1), RUNTIME, None)


@pytest.fixture
def rebuilding_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of `pca --reconstruct` on unequal classes: 9, 5, 18, ... images of the digits."""
    from gangda.config.architectures import PcaSpec
    from gangda.config.schema import TrainConfig
    from gangda.training import train

    monkeypatch.chdir(tmp_path)
    data = DataConfig(class_counts=(10, 5, 20, 6, 6, 6, 6, 6, 6, 140))
    spec = PcaSpec(components=8, reconstruct=True)
    return train(TrainConfig(data=data, arch="pca", spec=spec, runtime=RUNTIME)).run


def test_reconstructions_are_all_training_images_rebuilt(rebuilding_run: Path) -> None:
    from gangda.data.loading import load_splits
    from gangda.training.saved_model import load_model

    result = sample(rebuilding_run, ask(), RUNTIME, Path("all"))
    read = read_set(result.out)
    train = load_splits(read.data_config, read.data_seed).train
    assert read.images.counts().tolist() == train.counts().tolist()
    assert read.index.provenance["labels"] == {"made": "rebuilt from training images"}
    assert (read.images.origin == 2).all()
    assert (read.images.row_id == -1).all()
    parents = read.images.parent
    assert sorted(parents) == sorted(train.row_id)
    place = {int(row): i for i, row in enumerate(train.row_id)}
    originals = train.take([place[int(parent)] for parent in parents])
    assert np.array_equal(originals.labels, read.images.labels)
    error = originals.pixels.astype(float) - read.images.pixels
    assert 0 < np.abs(error).mean() < 0.5 * np.abs(originals.pixels - originals.pixels.mean(0)).mean()
    assert load_model(rebuilding_run).generator.available == tuple(train.counts().tolist())
    for i in (1, 2):
        sample(rebuilding_run, ask(shard=f"{i}/2"), RUNTIME, Path("parts"))
    assert np.array_equal(read_set(Path("parts")).images.pixels, read.images.pixels)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"per_class": 6}, "of class '1', not 6"),
        ({"counts": "#9=151"}, "151"),
    ],
)
def test_reconstructions_end_with_the_training_images(
    rebuilding_run: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        sample(rebuilding_run, ask(**options), RUNTIME, None)
    with pytest.raises(UsageError, match=r"--truncation 0.5: not an option of .*; leave it out$"):
        sample(rebuilding_run, ask(), RUNTIME, None, sampler=SamplerOptions(truncation=0.5))
    assert not Path("samples").exists()


@pytest.mark.parametrize(("option", "value"), [("sampler", "heun"), ("sampler_steps", 3), ("guidance", 2.0)])
def test_options_of_another_sampler_are_refused(make_run: Any, option: str, value: Any) -> None:
    flag = "--" + option.replace("_", "-")
    with pytest.raises(
        UsageError, match=rf"{flag} {value}: not an option of runs/pca-0; leave it out, or give --truncation"
    ):
        sample(
            make_run("pca", DATA), ask(per_class=1), RUNTIME, None, sampler=SamplerOptions(**{option: value})
        )
    assert not Path("samples").exists()


def test_alarms_about_the_data_are_said_again(make_run: Any) -> None:
    run = make_run("pca", DATA)
    write_data_alarms(run, ("ALARM: 3 images are odd",))
    lines: list[str] = []
    reporter = Reporter()
    reporter.line = lines.append  # type: ignore[method-assign]
    sample(run, SampleConfig(per_class=2), Runtime(), Path("s"), dry_run=True, reporter=reporter)
    assert "ALARM: 3 images are odd" in lines
