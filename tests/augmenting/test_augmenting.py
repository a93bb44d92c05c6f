import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gangda.augmenting import AugmentResult, augment
from gangda.augmenting.plan import make_plan, split_by_method
from gangda.augmenting.selection import training_set
from gangda.config.schema import (
    AugmentationConfig,
    AugmentConfig,
    ClassifierConfig,
    DataConfig,
    Runtime,
    SampleConfig,
    SamplerOptions,
    TransformConfig,
)
from gangda.data.images import GENERATED, PSEUDO_LABELLED, REAL, TRADITIONAL
from gangda.data.loading import load_source, load_splits
from gangda.data.sample_set import read_set
from gangda.errors import DataError, RunError, UsageError
from gangda.runtime.progress import CallbackReporter
from gangda.sampling import pseudo_labels, sample

DATA = DataConfig(class_counts=(40, 30, 20, 10, 40, 40, 40, 40, 40, 40))
RUNTIME = Runtime(precision="fp32", device="cpu", threads=1)


def make(
    data: DataConfig = DATA, run: Path | None = None, out: Path | None = None, **options: Any
) -> AugmentResult:
    runtime = replace(RUNTIME, seed=options.pop("seed", 0))
    dry_run, given = options.pop("dry_run", False), {}
    for name in ("sampler", "transforms"):
        if name in options:
            given[name] = options.pop(name)
    config = AugmentationConfig(data, AugmentConfig(**options), runtime=runtime, **given)
    return augment(config, run, out, dry_run=dry_run)


@pytest.mark.parametrize("name", ["png", "npz", "idx"])
@pytest.mark.parametrize("method", ["generated", "traditional", "both"])
def test_the_set_is_the_plan_filled(make_run: Any, name: str, method: str) -> None:
    run = make_run("pca", DATA)
    result = make(run=run, method=method, balance=True, format=name)
    read = read_set(result.out)
    images, train = read.images, load_splits(DATA, 0).train
    assert set(images.counts().tolist()) == {36}
    assert result.plan.make.tolist() == [0, 9, 18, 27, 0, 0, 0, 0, 0, 0]
    generated = images.labels[images.origin == GENERATED]
    traditional = images.labels[images.origin == TRADITIONAL]
    assert np.bincount(generated, minlength=10).tolist() == result.generated.tolist()
    assert np.bincount(traditional, minlength=10).tolist() == result.traditional.tolist()
    real = images.take(np.flatnonzero(images.origin == REAL))
    assert np.array_equal(real.pixels, train.pixels)
    assert np.array_equal(real.row_id, train.row_id)
    assert read.data_config == DATA
    assert read.data_seed == 0
    assert (result.run is None) == (method == "traditional")
    json.dumps(result.as_dict(), allow_nan=False)


def test_generated_images_can_be_filtered(make_run: Any) -> None:
    run = make_run("pca", DATA)
    plain, filtered = make(run=run, balance=True), make(run=run, balance=True, filter=("duplicates",))
    assert plain.out != filtered.out
    index = read_set(filtered.out).index
    assert index.counts == read_set(plain.out).index.counts
    assert (np.array(index.filtering["drawn"]) >= filtered.generated).all()
    assert index.provenance["augment"]["filter"] == ["duplicates"]
    assert read_set(plain.out).index.provenance["augment"]["filter"] == []
    assert Path(filtered.as_dict()["contact_sheet"]).is_file()
    again = make(run=run, balance=True, filter=("duplicates",))
    assert {**again.as_dict(), "reprinted": False} == filtered.as_dict()
    with pytest.raises(UsageError, match="no discriminator"):
        make(run=run, balance=True, filter=("discriminator",))


@pytest.mark.parametrize("option", [{"filter": ("duplicates",)}, {"filter": ("auto",)}])
def test_what_concerns_generated_images_is_refused_where_none_are_made(option: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"--{next(iter(option))}: --method traditional"):
        make(method="traditional", ratio=0.1, **option)
    with pytest.raises(UsageError, match="--truncation: --method traditional"):
        make(method="traditional", ratio=0.1, sampler=SamplerOptions(truncation=0.5))


def test_truncated_images_are_a_set_of_their_own(make_run: Any) -> None:
    run = make_run("pca", DATA)
    free, narrow = make(run=run, ratio=0.5), make(run=run, ratio=0.5, sampler=SamplerOptions(truncation=0.5))
    assert free.out != narrow.out
    assert narrow.as_dict()["provenance"]["sampler"] == {"truncation": 0.5}
    assert free.as_dict()["provenance"]["sampler"] == {"truncation": None}
    spread = [
        images.pixels[images.origin == GENERATED].std(axis=0).mean() for images in map(_read, (free, narrow))
    ]
    assert spread[1] < spread[0]


def _read(result: AugmentResult) -> Any:
    return read_set(result.out).images


def test_the_transforms_are_in_the_provenance() -> None:
    assert provenance_of(TransformConfig(flip=0.5)) == {
        **asdict(TransformConfig(flip=0.5)),
        "scaling": [0.9, 1.1],
    }


def test_images_of_a_set_are_not_blended() -> None:
    with pytest.raises(
        UsageError, match=r"^--mixup 0\.2: blends the batches of a classifier.*; leave it out"
    ):
        provenance_of(TransformConfig(mixup=0.2))


def provenance_of(transforms: TransformConfig) -> dict[str, Any]:
    made = make(method="traditional", ratio=0.1, transforms=transforms, dry_run=True)
    shown: dict[str, Any] = made.index.provenance["transforms"]
    return shown


def test_both_is_half_each_with_the_odd_one_generated() -> None:
    generated, traditional = split_by_method(np.array([5, 4, 0]), "both")
    assert generated.tolist() == [3, 2, 0]
    assert traditional.tolist() == [2, 2, 0]


def test_test_and_validation_images_never_come_in(make_run: Any) -> None:
    run = make_run("pca", DATA)
    images = read_set(make(run=run, method="both", ratio=0.5).out).images
    splits = load_splits(DATA, 0)
    assert not np.isin(images.row_id, splits.test.row_id).any()
    assert not np.isin(images.row_id, splits.validation.row_id).any()
    parents = images.parent[images.origin == TRADITIONAL]
    assert len(parents)
    assert np.isin(parents, splits.train.row_id).all()


def test_traditional_images_take_each_real_one_in_turn(make_run: Any) -> None:
    make_run("pca", DATA)
    images = read_set(make(method="traditional", ratio=2.0).out).images
    train = load_splits(DATA, 0).train
    made = images.take(np.flatnonzero(images.origin == TRADITIONAL))
    assert sorted(made.parent) == sorted([*train.row_id.tolist()] * 2)
    labels = dict(zip(train.row_id.tolist(), train.labels.tolist(), strict=True))
    assert [labels[parent] for parent in made.parent.tolist()] == made.labels.tolist()
    originals = {row.tobytes() for row in train.pixels}
    assert np.mean([row.tobytes() in originals for row in made.pixels]) < 0.05


def test_replacing_keeps_size_and_draws_what_goes_by_seed(make_run: Any) -> None:
    run = make_run("pca", DATA)
    images = read_set(make(run=run, replace=0.25).out).images
    train = load_splits(DATA, 0).train
    assert images.counts().tolist() == train.counts().tolist()
    kept = images.row_id[images.origin == REAL]
    assert len(kept) == (train.counts() - np.ceil(train.counts() / 4)).sum()
    assert np.isin(kept, train.row_id).all()
    assert len(set(kept.tolist())) == len(kept)
    plan = make_plan(train, AugmentConfig(replace=0.25))
    compared = training_set(train, images.take(np.flatnonzero(images.origin == GENERATED)), plan, seed=0)
    assert sorted(kept) == sorted(compared.row_id[compared.origin == REAL]), "as `gangda compare` keeps them"
    only = read_set(make(run=run, replace=1.0).out).images
    assert (only.origin == GENERATED).all()
    assert only.counts().tolist() == train.counts().tolist()


def test_without_a_run_the_newest_for_these_images_is_taken(make_run: Any) -> None:
    make_run("pca", DataConfig(per_class=20), seed=1)  # saw images outside this subset
    with pytest.raises(RunError, match="run `gangda train`"):
        make(ratio=0.1)
    run = make_run("pca", DATA)
    assert make(ratio=0.1).run == run


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ((1, *[10] * 9), "class '0' has 1 training image, and 9 are made from it: hardly more than copies"),
        (
            (3, *[10] * 9),
            "class '0' has 3 training images, and 7 are made from them: hardly more than copies",
        ),
        ((3, 2, *[10] * 8), "2 classes have fewer than 5 training images ('0' 3, '1' 2): what is made"),
        ((5, *[10] * 9), ""),
    ],
)
def test_classes_of_which_too_much_is_made_are_said_beforehand(counts: tuple[int, ...], said: str) -> None:
    told: list[str] = []
    data = DataConfig(class_counts=counts, validation=0)
    config = AugmentationConfig(data=data, augment=AugmentConfig(method="traditional", balance=True))
    augment(config, dry_run=True, reporter=CallbackReporter(lambda task, done, total: told.append(task)))
    found = [line for line in told if "made" in line]
    assert [line[: len(said)] for line in found] == ([said] if said else [])


def test_dry_runs_write_nothing_and_the_same_again_reprints(make_run: Any) -> None:
    run = make_run("pca", DATA)
    dry = make(run=run, balance=True, ratio=0.5, dry_run=True)
    assert dry.dry_run
    assert not Path("augmented").exists()
    first = make(run=run, balance=True, ratio=0.5)
    assert first.out.name.startswith("digits-generated-")
    assert first.plan.make.tolist() == dry.plan.make.tolist()
    again = make(run=run, balance=True, ratio=0.5)
    assert again.reprinted
    assert {**again.as_dict(), "reprinted": False} == first.as_dict()
    with pytest.raises(RunError, match="other options"):
        make(run=run, ratio=0.5, out=first.out)
    (Path("mine")).mkdir()
    (Path("mine") / "photo.png").write_text("x")
    with pytest.raises(RunError, match="not a set of gangda's"):
        make(run=run, ratio=0.5, out=Path("mine"))


def test_pseudo_labels_fill_the_plan(make_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pseudo_labels, "ClassifierConfig", lambda: ClassifierConfig(classifier_steps=200))
    run = make_run("replay", DATA)
    result = make(run=run, ratio=0.2)
    read = read_set(result.out)
    assert read.index.provenance["labels"]["made"].startswith("by lenet")
    assert (read.images.counts() == result.plan.want).all()


def test_a_run_that_saw_test_images_is_refused(make_run: Any) -> None:
    run = make_run("pca", DATA)
    with (run / "model" / "rows.txt").open("a") as rows:
        rows.write(f"{load_splits(DATA, 0).test.row_id[0]}\n")
    card = run / "model" / "model.json"
    values = json.loads(card.read_text())
    values["hashes"]["rows.txt"] = hashlib.sha256((run / "model" / "rows.txt").read_bytes()).hexdigest()
    card.write_text(json.dumps(values))
    with pytest.raises(RunError, match="saw 1 of this set's test images"):
        make(run=run)
    assert not Path("augmented").exists()


def test_another_seed_is_another_subset(make_run: Any) -> None:
    run = make_run("pca", DATA)
    with pytest.raises(RunError, match="outside this subset"):
        make(run=run, seed=1)


@pytest.mark.parametrize(
    ("data", "options", "error"),
    [
        (DATA, {"ratio": 1.0, "replace": 0.5}, UsageError),
        (DATA, {"ratio_for": ("cat=1",)}, UsageError),
        (DataConfig("no/such/place"), {}, DataError),
    ],
)
def test_bad_options(
    make_run: Any, data: DataConfig, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        make(data, **options)
    assert "\n" not in str(caught.value)
    assert not Path("augmented").exists()


def test_the_source_is_recorded_so_that_it_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "own.npz", images=pixels, labels=np.arange(40) % 2)
    monkeypatch.chdir(tmp_path)
    relative, absolute = (
        make(DataConfig(source=source), out=tmp_path / name, method="traditional")
        for source, name in (("own.npz", "a"), (str(tmp_path / "own.npz"), "b"))
    )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    source = load_source(DataConfig(source=str(relative.out)))
    assert source.test is not None
    assert len(source.test) == 8
    assert relative.index.data == absolute.index.data
    asked_as_typed = make(DataConfig(source="../own.npz"), method="traditional", dry_run=True).index.key
    assert asked_as_typed != relative.index.key, "the key is made of what was typed"


def make_parts(data, run=None, parts=3, out="parts", **options):
    for i in range(1, parts + 1):
        result = make(data, run, Path(out), shard=f"{i}/{parts}", **options)
    return result


@pytest.mark.parametrize("form", ["png", "npz", "tar"])
def test_shards_together_are_the_whole_set(make_run: Any, form: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("gangda.augmenting.task.CHUNK", 50)
    run = make_run("pca", DATA)
    asked = {"method": "both", "ratio": 8.0, "format": form}
    whole = read_set(make(run=run, **asked).out)
    result = make_parts(DATA, run, **asked)
    assert result.as_dict()["shard"] == [3, 3]
    parts = read_set(result.out)
    assert parts.index.key == whole.index.key
    for column in ("pixels", "labels", "origin", "row_id", "parent", "generator"):
        np.testing.assert_array_equal(getattr(parts.images, column), getattr(whole.images, column))


def from_samples(data: DataConfig, samples: Path, run: Path | None = None, **options: Any) -> AugmentResult:
    config = AugmentationConfig(data, AugmentConfig(**options), runtime=RUNTIME)
    return augment(config, run, samples=samples)


def test_images_of_a_set_take_the_place_of_a_runs(make_run: Any) -> None:
    run = make_run("pca", DATA)
    made = sample(run, SampleConfig(per_class=40, format="npz"), RUNTIME, Path("made"))
    by_run, by_set = make(run=run, ratio=1.0), from_samples(DATA, made.out, ratio=1.0)
    one, other = read_set(by_run.out), read_set(by_set.out)
    np.testing.assert_array_equal(one.images.pixels, other.images.pixels)
    assert other.index.provenance["samples"]["weights"] == one.index.provenance["weights"]
    assert by_set.as_dict()["samples"] == "made"
    chosen = from_samples(DATA, made.out, ratio=(0.0, 0.5))
    assert chosen.index.provenance["chosen"]["candidates"]


def test_sets_that_do_not_fit_are_refused(make_run: Any) -> None:
    run = make_run("pca", DATA)
    made = sample(run, SampleConfig(per_class=10, format="npz"), RUNTIME, Path("made")).out
    with pytest.raises(DataError, match=r"made: holds 10 generated images of class '0', and 36 are needed"):
        from_samples(DATA, made)
    with pytest.raises(RunError, match=r"may have seen .* images outside this subset"):
        from_samples(DataConfig(per_class=10), made)
    with pytest.raises(RunError, match="holds 8x8 grey images"):
        from_samples(replace(DATA, image_size=16), made)
    with pytest.raises(UsageError, match="--run and --samples exclude each other"):
        from_samples(DATA, made, run)
    with pytest.raises(UsageError, match="--filter: the images of --samples are made already"):
        from_samples(DATA, made, filter=("duplicates",))
    traditional = make(method="traditional", ratio=0.5).out
    with pytest.raises(DataError, match="holds no generated images"):
        from_samples(DATA, traditional)


FEW = DataConfig(per_class=10, unlabelled="200")


@pytest.mark.parametrize("shards", [1, 2])
def test_pseudo_labelled_images_stand_beside_the_plan(shards: int, tmp_path: Path) -> None:
    config = AugmentationConfig(
        FEW,
        AugmentConfig(method="traditional", ratio=0.5, pseudo_label=True),
        classifier=ClassifierConfig(classifier_steps=60),
        runtime=RUNTIME,
    )
    for part in range(shards):
        own = replace(config.augment, shard=f"{part + 1}/{shards}")
        result = augment(replace(config, augment=own), out=tmp_path / "set")
    read, splits = read_set(tmp_path / "set"), load_splits(FEW, 0)
    found = read.images.take(np.flatnonzero(read.images.origin == PSEUDO_LABELLED))
    assert np.array_equal(found.counts(), result.pseudo_labelled)
    assert 140 <= len(found) <= 160  # at most 0.8 of them, as many of each class
    assert splits.unlabelled is not None
    place = dict(zip(splits.unlabelled.row_id, splits.unlabelled.pixels, strict=True))
    assert all(
        np.array_equal(place[row], pixels) for row, pixels in zip(found.row_id, found.pixels, strict=True)
    )
    truth = load_source(DataConfig()).train
    known = dict(zip(truth.row_id.tolist(), truth.labels.tolist(), strict=True))
    right = [
        known[row] == label for row, label in zip(found.row_id.tolist(), found.labels.tolist(), strict=True)
    ]
    assert np.mean(right) > 0.7
    rest = read.images.take(np.flatnonzero(read.images.origin != PSEUDO_LABELLED))
    assert np.array_equal(rest.counts(), result.plan.want)


def test_pseudo_labels_need_images_without_labels(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--pseudo-label: there is nothing to label; give --unlabelled"):
        make(method="traditional", pseudo_label=True, out=tmp_path / "set")
