"""`--start-from-real` in the commands: identity, shards, parents on disk and in memory, and all that is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gangda import comparing
from gangda.augmenting import augment
from gangda.classifying.loading import load_images
from gangda.comparing.added_images import AddedImages
from gangda.config.architectures import ArchSpec, CdcganSpec, FlowSpec
from gangda.config.schema import (
    AugmentationConfig,
    AugmentConfig,
    ClassifierConfig,
    CompareConfig,
    ComparisonConfig,
    DataConfig,
    Runtime,
    SampleConfig,
    SamplerOptions,
)
from gangda.data.images import GENERATED, LabelledImages
from gangda.data.loading import load_splits
from gangda.data.sample_set import SetOnDisk, read_set
from gangda.errors import DataError, GangdaError, RunError, UsageError
from gangda.runtime.device import prepare
from gangda.sampling import pseudo_labels, sample, sampler
from gangda.scoring import score

DATA = DataConfig(source="blobs.npz", per_class=20)
RUNTIME = Runtime(precision="fp32", device="cpu", threads=1)
HALF = SamplerOptions(sampler="euler", sampler_steps=1, start_from_real=0.5)


@pytest.fixture(autouse=True)
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blobs: LabelledImages) -> None:
    """Four classes of forty images, without a test split of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pseudo_labels, "ClassifierConfig", lambda: ClassifierConfig(classifier_steps=60))
    put_source(blobs.pixels, blobs.labels)


def put_source(pixels: Any, labels: Any) -> None:
    np.savez("blobs.npz", images=pixels, labels=labels)


def draw(run: Path, out: str, options: SamplerOptions = HALF, **asked: Any) -> SetOnDisk:
    config = SampleConfig(**{"format": "npz", "per_class": 9, **asked})
    return read_set(sample(run, config, RUNTIME, Path(out), sampler=options).out)


def refused(kind: type[GangdaError], words: str, run: Path, options: SamplerOptions = HALF) -> None:
    with pytest.raises(kind, match=words) as caught:
        draw(run, "refused", options)
    assert "\n" not in str(caught.value)
    assert not Path("refused").exists()


@pytest.mark.parametrize("form", ["png", "npz", "idx"])
@pytest.mark.parametrize("arch", ["flow", "edm"])
def test_parents_are_recorded_and_any_number_of_shards_gives_the_same(
    make_run: Any, arch: str, form: str
) -> None:
    run = make_run(arch, DATA, width=8)
    asked = {"per_class": None, "counts": "0=130,2=7", "format": form}
    whole = draw(run, "whole", **asked)
    for i in (2, 1):
        sample(run, SampleConfig(**asked, shard=f"{i}/2"), RUNTIME, Path("parts"), sampler=HALF)
    images, train = whole.images, load_splits(DATA, 0).train
    for name in ("pixels", "labels", "parent"):
        np.testing.assert_array_equal(
            getattr(read_set(Path("parts")).images, name), getattr(images, name), name
        )
    label_of = dict(zip(train.row_id.tolist(), train.labels.tolist(), strict=True))
    assert [label_of[parent] for parent in images.parent.tolist()] == images.labels.tolist()
    assert set(images.parent[:130].tolist()) == set(train.row_id[train.labels == 0].tolist())
    assert (images.row_id == -1).all()
    assert whole.index.provenance["sampler"] == {
        "sampler": "euler", "sampler_steps": 1, "guidance": 1.0, "start_from_real": 0.5
    }  # fmt: skip


def test_the_share_is_part_of_a_sets_identity(make_run: Any) -> None:
    run = make_run("flow", DATA, width=8)
    plain, half, less = (
        draw(run, name, replace(HALF, start_from_real=share))
        for name, share in (("plain", None), ("half", 0.5), ("less", 0.1))
    )
    assert len({one.index.key for one in (plain, half, less)}) == 3
    assert (plain.images.parent == -1).all()
    assert np.array_equal(half.images.parent, less.images.parent)
    train = load_splits(DATA, 0).train
    place = {row: i for i, row in enumerate(train.row_id.tolist())}
    originals = train.pixels[[place[row] for row in half.images.parent.tolist()]].astype(float)
    far, near = (np.abs(one.images.pixels - originals).mean() for one in (half, less))
    assert near < 0.5 * far


def test_guidance_changes_such_samples_too(make_run: Any) -> None:
    run = make_run("flow", DATA, width=8)
    plain, guided = draw(run, "plain"), draw(run, "guided", replace(HALF, guidance=5.0))
    assert np.array_equal(plain.images.parent, guided.images.parent)
    assert not np.array_equal(plain.images.pixels, guided.images.pixels)


def test_samples_without_classes_start_from_any_image_and_are_labelled_as_usual(make_run: Any) -> None:
    run = make_run("flow", DATA, width=8, conditional=False)
    near = SamplerOptions(sampler="euler", sampler_steps=1, start_from_real=0.02)
    images = draw(run, "set", near).images
    assert images.counts().tolist() == [9] * 4
    assert (images.confidence > 0).all()
    train = load_splits(DATA, 0).train
    label_of = dict(zip(train.row_id.tolist(), train.labels.tolist(), strict=True))
    assert np.mean([label_of[row] for row in images.parent.tolist()] == images.labels) > 0.9


def test_filters_see_such_samples_and_shards_stay_the_same(
    make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampler, "MAX_ATTEMPTS", 4)
    monkeypatch.setattr(sampler, "ATTEMPTS_PER_CLASS", 0)
    run = make_run("flow", DATA, width=8)
    whole = draw(run, "whole", filter=("duplicates",))
    for i in (1, 2):
        part = SampleConfig(format="npz", per_class=9, filter=("duplicates",), shard=f"{i}/2")
        sample(run, part, RUNTIME, Path("parts"), sampler=HALF)
    assert np.array_equal(read_set(Path("parts")).images.parent, whole.images.parent)
    copies = SamplerOptions(sampler="euler", sampler_steps=1, start_from_real=1e-3)
    with pytest.raises(RunError, match=r"only 0 of .*rejected by duplicates"):
        draw(run, "copies", copies, filter=("duplicates",))


@pytest.mark.parametrize(
    ("arch", "options", "instead"),
    [("pca", {}, ", or give --truncation"), ("ppca", {}, ""), ("pca", {"reconstruct": True}, "$")],
)
def test_other_architectures_refuse_it(
    make_run: Any, arch: str, options: dict[str, Any], instead: str
) -> None:
    only = SamplerOptions(start_from_real=0.5)
    words = f"^--start-from-real 0.5: not an option of runs/{arch}-0; leave it out{instead}"
    refused(UsageError, words, make_run(arch, DATA, **options), only)


def test_a_source_that_is_gone_or_has_changed_is_refused(make_run: Any, blobs: LabelledImages) -> None:
    run = make_run("flow", DATA, width=8)
    Path("blobs.npz").rename("elsewhere.npz")
    refused(RunError, "^runs/flow-0: needs its training images again: blobs.npz: no such file", run)
    assert len(draw(run, "plain", replace(HALF, start_from_real=None)).images) == 36
    put_source(255 - blobs.pixels, blobs.labels)
    refused(RunError, "^runs/flow-0: blobs.npz has changed since it was trained; train it again", run)
    Path("elsewhere.npz").rename("blobs.npz")
    assert len(draw(run, "again").images) == 36


def test_a_run_trained_on_samples_has_no_real_image_to_start_from(make_run: Any) -> None:
    draw(make_run("pca", DATA), "samples", SamplerOptions())
    run = make_run("flow", DataConfig(source="samples"), width=8)
    refused(DataError, "class '0' has no real training image to start from", run)


def augmented(data: DataConfig, run: Path, out: str) -> LabelledImages:
    config = AugmentationConfig(data, AugmentConfig(ratio=1.0), sampler=HALF, runtime=RUNTIME)
    return read_set(augment(config, run, Path(out)).out).images


def test_an_augmented_sets_parents_are_its_own_training_images(make_run: Any) -> None:
    run = make_run("flow", replace(DATA, validation=0.0), width=8)  # saw the validation images as well
    data = replace(DATA, validation=0.3)
    images, splits = augmented(data, run, "set"), load_splits(data, 0)
    parents = images.parent[images.origin == GENERATED]
    assert set(parents.tolist()) == set(splits.train.row_id.tolist())
    load_images("set", None, DataConfig(), 0)


def test_sets_of_such_samples_are_not_real_images_to_augment_or_compare(make_run: Any) -> None:
    run = make_run("flow", DATA, width=8)
    draw(run, "samples")
    augmented(DATA, run, "set")
    for source, count in (("samples", 36), ("set", 72)):
        words = f"--data {source}: {count} of its images are synthetic; give the real images"
        with pytest.raises(DataError, match=words):
            augmented(DataConfig(source=source, validation=0), run, "refused")
        with pytest.raises(DataError, match=words):
            comparing.compare(comparison(DataConfig(source=source, validation=0)), None, dry_run=True)


@pytest.mark.parametrize(("arch", "options"), [("flow", {"width": 8}), ("pca", {"reconstruct": True})])
def test_a_set_made_from_test_images_is_refused_whatever_made_it(
    make_run: Any, monkeypatch: pytest.MonkeyPatch, arch: str, options: dict[str, Any]
) -> None:
    """As if a command had taken the test images for the training images."""
    splits = load_splits(DATA, 0)
    turned = replace(splits, train=splits.test, test=splits.train)
    monkeypatch.setattr("make_run.load_splits", lambda *_: turned)
    monkeypatch.setattr(pseudo_labels, "load_splits", lambda *_: turned)
    how = HALF if arch == "flow" else SamplerOptions()
    made = draw(make_run(arch, DATA, **options), "set", how, per_class=5)
    assert np.isin(made.images.parent, splits.test.row_id).all()
    words = "set: 20 of its images are made from test images; make the set again"
    with pytest.raises(DataError, match=words):
        score(Path("set"), None, ClassifierConfig(), RUNTIME, Path("scores"))
    with pytest.raises(DataError, match=words):
        load_images("set", None, DataConfig(), 0)
    with pytest.raises(DataError, match=words):
        load_splits(DataConfig(source="set"), 0)


def comparison(data: DataConfig = DATA, spec: ArchSpec = FlowSpec(width=8)) -> ComparisonConfig:  # noqa: B008
    return ComparisonConfig(
        data=data,
        arch="flow" if isinstance(spec, FlowSpec) else "cdcgan",
        spec=spec,
        classifier=ClassifierConfig(classifier_steps=5),
        compare=CompareConfig(arms=("real", "generated"), seeds=1),
        sampler=SamplerOptions(start_from_real=0.5),
        runtime=RUNTIME,
    )


def test_parents_in_a_comparison_are_the_cells_own_training_images(make_run: Any, tmp_path: Path) -> None:
    run = make_run("flow", replace(DATA, validation=0.0), width=8)
    plan = comparing.planned(comparison(), run)
    splits = load_splits(DATA, plan.cells[0].seed)
    added = AddedImages(
        plan, plan.cells[0], splits, prepare(RUNTIME), tmp_path / "cell", lambda share, info: None
    )
    images = added.of("generator")
    assert (images.counts() >= added.wanted()).all()
    label_of = dict(zip(splits.train.row_id.tolist(), splits.train.labels.tolist(), strict=True))
    assert [label_of[parent] for parent in images.parent.tolist()] == images.labels.tolist()
    other = replace(comparison(), sampler=SamplerOptions(start_from_real=0.6))
    assert comparing.planned(other, run).cells[0].id != plan.cells[0].id


def test_a_comparison_of_other_architectures_refuses_it() -> None:
    with pytest.raises(UsageError, match=r"--start-from-real 0.5: not an option of --arch cdcgan"):
        comparing.compare(comparison(spec=CdcganSpec()), None, dry_run=True)
