import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gangda.config.schema import DataConfig
from gangda.data.class_names import check_class_names
from gangda.data.images import LabelledImages, concatenate, generated_images, real_images
from gangda.data.split_rows import fixed_test_rows, subset_rows, validation_rows
from gangda.data.splits import (
    SourceImages,
    describe,
    draw_splits,
)
from gangda.errors import DataError, UsageError


def images_of(counts: list[int], first_row: int = 0) -> LabelledImages:
    labels = np.random.default_rng(3).permutation(np.repeat(np.arange(len(counts)), counts))
    pixels = np.zeros((len(labels), 8, 8, 1), dtype=np.uint8)
    return real_images(pixels, labels, [f"c{label}" for label in range(len(counts))], first_row)


def source_of(counts: list[int], test: list[int] | None = None) -> SourceImages:
    train = images_of(counts)
    return SourceImages("toy", "f", train, None if test is None else images_of(test, first_row=len(train)))


counts_of_classes = st.lists(st.integers(2, 60), min_size=1, max_size=12)


@given(counts_of_classes, st.integers(0, 5), st.floats(0, 0.9))
def test_parts_are_disjoint_complete_and_keep_every_class(counts, seed, share):
    splits = draw_splits(source_of(counts), DataConfig(validation=share), seed)
    parts = (splits.train, splits.validation, splits.test)
    rows = np.concatenate([part.row_id for part in parts])
    assert sorted(rows.tolist()) == list(range(sum(counts)))
    assert (splits.train.counts() >= 1).all()
    assert (splits.test.counts() >= 1).all()
    held, kept = splits.validation.counts(), splits.train.counts()
    assert ((held >= 1) | (held + kept < 5) | (share == 0)).all()
    expected = np.floor((held + kept) * share + 0.5)
    assert (np.abs(held - expected) <= 1).all()


@given(counts_of_classes)
def test_fixed_test_split_is_a_fifth(counts):
    taken = np.bincount(images_of(counts).labels[fixed_test_rows(images_of(counts))], minlength=len(counts))
    assert (np.abs(taken - np.array(counts) / 5) <= 1).all()


def test_test_split_never_depends_on_seed_subset_or_validation():
    source = source_of([40, 30])
    configs = [DataConfig(), DataConfig(per_class=5), DataConfig(class_counts=(9, 3), validation=0.5)]
    tests = [draw_splits(source, config, seed).test.row_id.tolist() for config in configs for seed in (0, 1)]
    assert all(rows == tests[0] for rows in tests)


def test_own_test_split_is_untouched():
    splits = draw_splits(source_of([10, 10], test=[3, 4]), DataConfig(per_class=4), 7)
    assert splits.test.row_id.tolist() == list(range(20, 27))


def test_subset_counts_training_and_validation_together():
    splits = draw_splits(source_of([100, 50, 20], test=[1, 1, 1]), DataConfig(class_counts=(40, 20, 4)), 0)
    assert (splits.train.counts() + splits.validation.counts()).tolist() == [40, 20, 4]
    assert splits.validation.counts().tolist() == [4, 2, 0]


def test_a_subset_depends_on_the_seed_and_is_part_of_larger_ones():
    train = images_of([50, 50])
    small, large = (set(subset_rows(train, np.array([n, n]), 1).tolist()) for n in (5, 20))
    assert small < large
    assert small != set(subset_rows(train, np.array([5, 5]), 2).tolist())


def test_classes_may_be_left_out_by_a_count_of_zero():
    splits = draw_splits(source_of([9, 9], test=[1, 1]), DataConfig(class_counts=(0, 8)), 0)
    assert splits.train.counts().tolist() == [0, 7]


def test_two_images_make_one_for_training_and_one_for_testing():
    splits = draw_splits(source_of([2, 2, 2]), DataConfig(), 0)
    assert splits.train.counts().tolist() == splits.test.counts().tolist() == [1, 1, 1]
    assert len(splits.validation) == 0


def test_synthetic_images_are_never_held_back():
    real = images_of([30, 30])
    fake = generated_images(np.zeros((200, 8, 8, 1), dtype=np.uint8), np.arange(200) % 2, real.class_names)
    mixed = concatenate(fake, real)
    splits = draw_splits(SourceImages("augmented", "f", mixed, None), DataConfig(validation=0.4), 0)
    assert len(splits.test) == 12
    assert len(splits.validation) == 20
    assert not splits.test.origin.any()
    assert not splits.validation.origin.any()
    assert (splits.train.origin > 0).sum() == 200


def test_what_is_made_from_validation_or_test_images_is_not_trained_on():
    real = images_of([30, 30])
    fake = generated_images(real.pixels, real.labels, real.class_names, parent=real.row_id)
    new = generated_images(real.pixels[:5], real.labels[:5], real.class_names)
    source = SourceImages("augmented", "f", concatenate(real, fake, new), None)
    splits = draw_splits(source, DataConfig(validation=0.25), 0)
    assert (len(splits.test), len(splits.validation)) == (12, 12)
    held_out = np.concatenate([splits.test.row_id, splits.validation.row_id])
    assert not np.isin(splits.train.parent, held_out).any()
    assert np.bincount(splits.train.origin).tolist() == [36, 0, 36 + 5]
    assert splits.notes[-1] == "24 images made from validation or test images are left out"


def test_a_set_without_real_images_has_no_test_split():
    fake = generated_images(np.zeros((6, 8, 8, 1), dtype=np.uint8), [0, 1] * 3, ["a", "b"])
    splits = draw_splits(SourceImages("samples", "f", fake, None), DataConfig(), 0)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (6, 0, 0)
    with pytest.raises(DataError, match="synthetic"):
        draw_splits(SourceImages("samples", "f", fake, None), DataConfig(per_class=2), 0)


@pytest.mark.parametrize(
    ("config", "error", "says"),
    [
        (DataConfig(per_class=11), DataError, "class 'c1' has 10 training images, 11"),
        (DataConfig(class_counts=(5, 12)), DataError, "class 'c1' has 10 training images, 12"),
        (DataConfig(class_counts=(5,)), UsageError, "1 numbers for 2 classes"),
        (DataConfig(class_counts=(0, 0)), UsageError, "all are 0"),
    ],
)
def test_impossible_subsets_are_refused(config, error, says):
    with pytest.raises(error, match=says):
        draw_splits(source_of([20, 10], test=[1, 1]), config, 0)


def test_a_class_of_one_image_is_kept_out_of_the_test_split_and_said():
    splits = draw_splits(source_of([5, 1]), DataConfig(), 0)
    assert (splits.train.counts() + splits.validation.counts()).tolist() == [4, 1]
    assert splits.test.counts().tolist() == [1, 0]
    assert "without test images, so that the recall is unknown: 'c1'" in splits.notes


def test_class_counts_by_name_are_those_by_position():
    source = source_of([100, 50, 20], test=[1, 1, 1])
    named, placed = (
        draw_splits(source, DataConfig(class_counts=counts), 0)
        for counts in (("c2=4", "#0=40", "c1=20"), (40, 20, 4))
    )
    assert named.train.row_id.tolist() == placed.train.row_id.tolist()
    wrong = (((5, "c1=4"), "all numbers by name"), (("c9=4",), "no class 'c9'"), (("c1=x",), "'x' is not"))
    for counts, says in wrong:
        with pytest.raises(UsageError, match=f"--class-counts.*{says}"):
            draw_splits(source, DataConfig(class_counts=counts), 0)


def test_the_note_on_class_counts_names_the_first_twelve():
    notes = [
        draw_splits(source_of([3] * many, test=[1] * many), DataConfig(class_counts=(2,) * many), 0).notes[0]
        for many in (12, 13)
    ]
    named = ", ".join(f"c{label}=2" for label in range(12))
    assert notes == [f"--class-counts: {named}", f"--class-counts: {named}, ..."]


def test_a_validation_share_of_zero_is_empty():
    assert len(validation_rows(images_of([50, 50]), 0.0, 0)) == 0


def test_describe_is_plain_and_adds_up():
    splits = dataclasses.replace(
        draw_splits(source_of([10, 20], test=[2, 2]), DataConfig(), 0), notes=("hm",)
    )
    told = describe(splits)
    assert (told["train"]["n"], told["validation"]["per_class"], told["test"]["n"]) == (27, [1, 2], 4)
    assert (told["image_size"], told["channels"]) == (8, 1)
    assert (told["classes"], told["notes"]) == (["c0", "c1"], ["hm"])


@pytest.mark.parametrize("names", [("a", "a"), ("a", "")])
def test_class_names_must_differ(names):
    with pytest.raises(DataError, match="names must differ"):
        check_class_names(names, "here")
