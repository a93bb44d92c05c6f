import dataclasses

import numpy as np
import pytest

from gangda.classifying.fit import fit_classifier
from gangda.classifying.self_training import most_confident, quotas, self_train
from gangda.config.schema import ClassifierConfig, DataConfig
from gangda.data.images import NO_LABEL, PSEUDO_LABELLED, concatenate
from gangda.data.loading import load_splits

FEW = ClassifierConfig(classifier="logistic", classifier_steps=40)


@pytest.fixture(scope="module")
def splits():
    return load_splits(DataConfig(per_class=5, unlabelled="200"), 0)


def found(splits, context, **changes):
    train, unlabelled = changes.pop("train", splits.train), changes.pop("unlabelled", splits.unlabelled)
    return self_train(train, unlabelled, FEW, seed=0, context=context, **changes)


def test_quotas_follow_the_labelled_images():
    assert quotas(np.array([5, 5, 10]), 200, 0.5).tolist() == [25, 25, 50]
    assert quotas(np.array([1, 0]), 10, 0.8).tolist() == [8, 0]


def test_the_most_confident_of_each_class_are_taken():
    of_class_0 = np.array([0.9, 0.2, 0.6, 0.95, 0.6, 0.4])
    probabilities = np.stack([of_class_0, 1 - of_class_0], axis=1)
    rows, labels, confidence = most_confident(probabilities, np.array([3, 1]))
    assert rows.tolist() == [0, 1, 2, 3]  # of rows 2 and 4, equally confident, the first
    assert labels.tolist() == [0, 1, 0, 0]
    assert confidence.tolist() == pytest.approx([0.9, 0.8, 0.6, 0.95])


def test_every_image_is_certain_or_uncertain(splits, context):
    trained = found(splits, context)
    certain, uncertain = trained.certain, trained.uncertain
    rows = np.concatenate([certain.row_id, uncertain.row_id])
    assert sorted(rows.tolist()) == splits.unlabelled.row_id.tolist()
    assert (certain.origin == PSEUDO_LABELLED).all()
    assert (uncertain.origin == NO_LABEL).all()
    assert (certain.counts() <= quotas(splits.train.counts(), 200, 0.8)).all()
    assert len(certain) > 100
    assert ((certain.confidence > 0.1) & (certain.confidence <= 1)).all()
    at = np.searchsorted(splits.unlabelled.row_id, certain.row_id)
    assert (splits.unlabelled.pixels[at] == certain.pixels).all()


def test_the_same_seed_gives_the_same_labels(splits, context):
    first, again = found(splits, context), found(splits, context)
    assert first.certain.content_hash() == again.certain.content_hash()
    assert (first.certain.confidence == again.certain.confidence).all()


def test_most_pseudo_labels_are_right_and_more_so_than_a_classifier_without_them(splits, context):
    """On digits whose labels are known to the test alone."""
    whole = load_splits(DataConfig(validation=0.0), 0).train
    certain = found(splits, context).certain
    truth = whole.labels[np.searchsorted(whole.row_id, certain.row_id)]
    assert (certain.labels == truth).mean() > 0.8
    everything = whole.labels[np.searchsorted(whole.row_id, splits.unlabelled.row_id)]
    alone = fit_classifier(splits.train, FEW, seed=0, context=context).predict(splits.unlabelled.pixels)
    assert (certain.labels == truth).mean() > (alone == everything).mean()


def test_one_round_is_a_classifier_of_the_labelled_images_alone(splits, context):
    one = found(splits, context, shares=(1.0,))
    more = found(splits, context, shares=(0.5, 1.0))
    assert not np.array_equal(one.certain.confidence, more.certain.confidence)


def test_labels_of_other_images_cannot_be_seen(splits, context):
    """What is given has no labels; an order of the images is no more than an order."""
    order = np.random.default_rng(0).permutation(200)
    turned = dataclasses.replace(
        splits.unlabelled, pixels=splits.unlabelled.pixels[order], row_id=splits.unlabelled.row_id[order]
    )
    one, two = (
        found(splits, context, shares=(0.4,), unlabelled=u).certain for u in (splits.unlabelled, turned)
    )
    assert {*zip(one.row_id.tolist(), one.labels.tolist(), strict=True)} == {
        *zip(two.row_id.tolist(), two.labels.tolist(), strict=True)
    }


def test_pseudo_labelled_images_join_others(splits, context):
    joined = concatenate(splits.train, found(splits, context, shares=(0.3,)).certain)
    assert (joined.origin == PSEUDO_LABELLED).sum() == len(joined) - len(splits.train)
