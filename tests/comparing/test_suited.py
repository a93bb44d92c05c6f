"""A folder of unbalanced classes: what is seen in it, and what is chosen where nobody has said."""

import dataclasses

import numpy as np
import pytest
import yaml
from PIL import Image

from gangda import api
from gangda.comparing import planned
from gangda.comparing.suited import FILLED, FOR_FEW, FOR_UNBALANCED, as_in_augment, seen, suited
from gangda.config.resolve import record
from gangda.config.schema import ClassifierConfig, CompareConfig, ComparisonConfig, DataConfig
from gangda.data.loading import load_splits
from gangda.errors import UsageError
from gangda.runtime.progress import Reporter
from gangda.statistics.families import family_of

COUNTS = {"arrow": 40, "ball": 20, "cup": 2}


@pytest.fixture
def icons(tmp_path):
    """Class folders of three sizes; the second image of a cup is larger than the others."""
    rng = np.random.default_rng(0)
    for label, (name, count) in enumerate(COUNTS.items()):
        for number in range(count):
            side = 12 if (name, number) == ("cup", 1) else 8
            path = tmp_path / "icons" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((rng.random((side, side)) * 200 + 10 * label).astype(np.uint8)).save(path)
    return tmp_path / "icons"


def config_of(icons, **compare):
    return ComparisonConfig(data=DataConfig(source=str(icons)), compare=CompareConfig(seeds=2, **compare))


def test_unbalanced_classes_get_balanced_accuracy_and_filled_tails(icons):
    config, said = suited(config_of(icons), ())
    assert (config.compare.score_by, config.compare.fill, config.compare.ratios) == (
        "balanced",
        (0.5,),
        (1.0,),
    )
    assert said.startswith("unbalanced classes (1 to 29 images): --score-by balanced")
    assert "--fill 0.5" in said
    assert config.compare.arms == (*CompareConfig().arms, "balanced+traditional")
    family = family_of(config.compare.arms, config.compare.contrast)
    assert list(family.primary) == [
        "generated+traditional - balanced+traditional",
        "generated+traditional - traditional",
    ]


@pytest.mark.parametrize(
    ("asked", "score", "fill"),
    [
        ({"compare.score_by"}, "accuracy", (0.5,)),
        ({"compare.ratios"}, "balanced", ()),
        ({"compare.replace", "data.source"}, "balanced", ()),
        ({"compare.score_by", "compare.balance"}, "accuracy", ()),
        ({"compare.arms"}, "balanced", (0.5,)),
        ({"compare.contrast"}, "balanced", (0.5,)),
        ({"compare.score_by", "compare.ratio_for"}, "accuracy", (0.5,)),
    ],
)
def test_what_the_user_has_said_stays(icons, asked, score, fill):
    config, said = suited(config_of(icons), asked)
    assert (config.compare.score_by, config.compare.fill) == (score, fill)
    assert bool(said) == (config != config_of(icons))
    own_arms = not asked.intersection({"compare.arms", "compare.contrast"}) and fill != ()
    assert ("arm balanced+traditional" in said) == own_arms
    assert (config.compare.arms == CompareConfig().arms) == (not own_arms)


@pytest.mark.parametrize(("arm", "fill"), [("pseudo-labelled+traditional:75%", (0.5,)), ("smote:75%", ())])
def test_a_share_of_pseudo_labelled_images_is_no_amount_of_added_ones(icons, arm, fill):
    config = suited(config_of(icons, arms=("traditional", arm)), {"compare.arms"})[0]
    assert config.compare.fill == fill


def test_the_record_says_what_was_chosen_and_why(icons, tmp_path):
    chosen = suited(config_of(icons, alpha=0.1), {"compare.score_by"})[0]
    origins = yaml.safe_load(record(chosen, tmp_path / "config.yaml"))["sources"]
    assert origins == {
        **dict.fromkeys(("compare.arms", "compare.contrast", "compare.fill"), FOR_UNBALANCED),
        "transforms.policy": FOR_FEW,
    }


def test_balanced_classes_stay_as_they_are():
    config = ComparisonConfig(data=DataConfig(per_class=10))
    assert suited(config, {"transforms.policy"}) == (config, "")


@pytest.mark.parametrize(
    ("per_class", "asked", "arms", "chosen"),
    [
        (10, (), ("real", "traditional"), True),
        (100, (), ("real", "generated+traditional"), True),
        (101, (), ("real", "traditional"), False),
        (10, ("transforms.flip",), ("real", "traditional"), False),
        (10, ("transforms.policy",), ("real", "traditional"), False),
        (10, (), ("real", "generated+trivial"), False),
    ],
)
def test_few_images_have_transforms_that_each_seed_chooses(per_class, asked, arms, chosen):
    config = ComparisonConfig(data=DataConfig(per_class=per_class), compare=CompareConfig(arms=arms))
    found, said = suited(config, asked)
    assert found.transforms.policy == ("auto" if chosen else "explicit")
    assert ("--policy auto" in said) == chosen
    assert found.compare == config.compare
    assert found.origins.get("transforms.policy") == (FOR_FEW if chosen else None)


def test_balance_means_what_it_means_in_augment():
    config = ComparisonConfig(compare=CompareConfig(balance=True))
    filled = as_in_augment(config, {"compare.balance"}).compare
    assert (filled.balance, filled.fill) == (False, (1.0,))
    assert as_in_augment(config, {"compare.balance"}).origins["compare.fill"] == FILLED
    assert as_in_augment(config, {"compare.balance", "compare.ratios"}) is config
    assert as_in_augment(ComparisonConfig(), ()) == ComparisonConfig()


def test_what_it_saw_names_classes_sizes_and_what_is_held_out(icons):
    config = suited(config_of(icons), ())[0]
    lines = list(seen(config, load_splits(config.data, 0)))
    counts = "with the test images: arrow 40, ball 20, cup 2"
    assert lines[0] == f"icons: 3 classes ({counts}); 44 to train on, 5 for validation, 13 held out to test"
    assert any("images have 2 sizes" in line for line in lines)
    assert any("a fixed fifth of each class" in line for line in lines)
    assert lines[-1].startswith(
        "class 'cup' has 1 training image, and 14 are made from it: hardly more than copies"
    )


def test_it_is_said_before_any_work(icons, tmp_path):
    class Listener(Reporter):
        def __init__(self):
            self.lines = []

        def line(self, text):
            self.lines.append(text)

    told = Listener()
    options = {"arch": "pca", "components": 2, "seeds": 2, "classifier_steps": 2}
    made = api.compare(data=str(icons), plan=True, out=tmp_path / "out", reporter=told, **options)
    assert made.plan.config.compare.fill == (0.5,)
    assert told.lines[0].startswith("unbalanced classes")
    assert told.lines[1].startswith("icons: 3 classes")


@pytest.mark.parametrize("where", ["classifier", "second"])
def test_an_unknown_classifier_is_refused_before_generators_are_trained(where):
    config = ComparisonConfig(data=DataConfig(per_class=10), compare=CompareConfig(seeds=2))
    if where == "classifier":
        config = dataclasses.replace(config, classifier=ClassifierConfig(classifier="resnet18"))
    else:
        config = dataclasses.replace(config, compare=CompareConfig(seeds=2, second_classifier="resnet18"))
    with pytest.raises(UsageError, match="unknown classifier 'resnet18': did you mean 'resnet'"):
        planned(config, None)


def test_many_small_classes_are_one_sentence():
    splits = load_splits(DataConfig(per_class=4), 0)
    said = [text for text in seen(ComparisonConfig(data=DataConfig(per_class=4)), splits) if "copies" in text]
    assert len(said) == 1
    assert said[0].startswith("10 classes have fewer than 5 training images ('0' ")
