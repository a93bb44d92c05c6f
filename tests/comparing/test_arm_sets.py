import numpy as np
import pytest

from gangda.augmenting.plan import make_plan
from gangda.augmenting.selection import training_set
from gangda.comparing.arm_sets import check, check_filters, most_made, ratios_of, wanted, wanted_by
from gangda.config import architectures
from gangda.config.schema import AugmentConfig, CompareConfig, ComparisonConfig
from gangda.data.images import generated_images, real_images
from gangda.errors import UsageError


def images(counts, make=real_images):
    labels = np.repeat(np.arange(len(counts)), counts)
    pixels = np.arange(len(labels), dtype=np.uint8)[:, None, None, None] * np.ones(
        (1, 8, 8, 1), dtype=np.uint8
    )
    return make(pixels, labels, [f"c{k}" for k in range(len(counts))])


def test_add_takes_the_first_generated_images_of_each_class():
    real, pool = images([4, 6]), images([10, 10], generated_images)
    joined = training_set(real, pool, make_plan(real, AugmentConfig(ratio=0.5)), seed=0)
    assert joined.counts().tolist() == [6, 9]
    assert joined.pixels[10:, 0, 0, 0].tolist() == [0, 1, 10, 11, 12]
    assert (joined.origin[:10] == 0).all()
    assert (joined.origin[10:] == 2).all()


def test_replace_keeps_size_and_shares_and_draws_by_seed():
    real, pool = images([4, 6]), images([10, 10], generated_images)
    sets = [
        training_set(real, pool, make_plan(real, CompareConfig(replace=(0.5, 0.7)).at(0.5)), seed=seed)
        for seed in (0, 0, 1, 2, 3)
    ]
    for one in sets:
        assert one.counts().tolist() == [4, 6]
        assert (one.origin == 0).sum() == 5
    rows = [one.row_id.tolist() for one in sets]
    assert rows[0] == rows[1]
    assert len({tuple(r) for r in rows}) > 1


def test_replacing_all_leaves_no_real_image():
    real, pool = images([4, 6]), images([10, 10], generated_images)
    assert (training_set(real, pool, make_plan(real, AugmentConfig(replace=1.0)), seed=0).origin == 2).all()


def test_balance_spends_its_budget_on_the_smallest_class():
    real, pool = images([2, 6]), images([10, 10], generated_images)
    assert training_set(
        real, pool, make_plan(real, CompareConfig(balance=True).at(0.5)), seed=0
    ).counts().tolist() == [6, 6]


@pytest.mark.parametrize(("balance", "most"), [(False, [8, 12]), (True, [11, 9])])
def test_the_pool_is_large_enough_for_every_ratio(balance, most):
    real = images([4, 6])
    assert most_made(CompareConfig(balance=balance), (0.5, 2.0, 1.0), real).tolist() == most


def test_every_kind_of_arm_fills_alike_by_its_own_level_or_the_comparisons():
    """8, 4 and 1 images: a level of a half is 4, of the whole 8; `:0.5` stays images per real one."""
    real = images([8, 4, 1])
    names = ("real", "smote", "generated", "smote:fill50%", "generated:fill50%", "generated:0.5")
    config = ComparisonConfig(compare=CompareConfig(arms=names, fill=(1.0,)))
    made = {name: wanted_by(config, real, name).tolist() for name in names[1:]}
    assert made["smote"] == made["generated"] == [0, 4, 7]
    assert made["smote:fill50%"] == made["generated:fill50%"] == [0, 0, 3]
    assert made["generated:0.5"] == [4, 2, 1]
    assert wanted(config, real, generated=True).tolist() == [8, 4, 7], "enough to replace all, too"


def test_a_level_is_chosen_like_a_ratio():
    compare = CompareConfig(fill=(1.0, 0.0, 0.5), ratio_for=("c1=2",))
    assert ratios_of(compare, "generated") == (0.0, 0.5, 1.0)
    assert ratios_of(compare, "generated:fill25%") == (0.25,)
    real = images([8, 4])
    assert [make_plan(real, compare.at(level)).make.tolist() for level in (0.0, 0.5, 1.0)] == [
        [0, 0],
        [0, 8],
        [0, 8],
    ], "0 is the real images alone"


def test_arms_by_recall_do_not_fill():
    for names, fill in (
        (("real", "generated-by-recall"), (0.5,)),
        (("real", "generated-by-recall:fill50%"), ()),
    ):
        with pytest.raises(UsageError, match="nor --fill"):
            check(ComparisonConfig(compare=CompareConfig(arms=names, fill=fill)))


def test_filters_that_cannot_judge_an_arms_generator_are_refused():
    def experiment(arch, *names):
        compare = CompareConfig(arms=names, filter=("discriminator", "agreement"))
        return ComparisonConfig(arch=arch, spec=architectures.spec_class(arch)(), compare=compare)

    check_filters(experiment("cdcgan", "real", "generated"), 2)
    check_filters(experiment("pca", "real", "smote"), 2)
    with pytest.raises(UsageError, match="--arch pca has no discriminator"):
        check_filters(experiment("cdcgan", "real", "generated", "generated@pca"), 2)
    with pytest.raises(UsageError, match="under --loss wasserstein"):
        check_filters(experiment("cdcgan", "real", "generated@wgan-gp"), 2)
    with pytest.raises(UsageError, match="one class only"):
        check_filters(experiment("cdcgan", "real", "generated"), 1)
