"""What to do after a comparison: what the verdict allows, and a command that is understood."""

import dataclasses
import re
import shlex

import pytest
from fake_experiment import ACCURACY, change_cell, finish, plan_for

from gangda.cli.main import command
from gangda.comparing.advice import Situation, _make_the_set, _more, advise
from gangda.comparing.cell_result import FailedCell
from gangda.comparing.results import collect
from gangda.comparing.storage import cell_path, read_comparison, write_cell
from gangda.config.schema import Budget, ClassifierConfig, DataConfig, TrainConfig
from gangda.statistics import values, words
from gangda.statistics.signflip import detectable_difference

WORSE = {"real": 0.80, "traditional": 0.82, "generated": 0.75, "generated+traditional": 0.78}
CLOSE = {**ACCURACY, "generated+traditional": 0.823}


def advice_of(out, accuracy, **how):
    plan = plan_for(
        out, **{name: how.pop(name) for name in ("seeds", "arms", "margin", "alpha", "filter") if name in how}
    )
    finish(plan, out, accuracy, **how)
    return collect(plan, out).advice


def understood(line):
    """Parse every command of a line as the command line would."""
    for one in line.split(" && "):
        program, name, *typed = shlex.split(one)
        assert program == "gangda"
        command(name).make_context(name, typed).close()


def test_a_gain_is_to_be_used(tmp_path):
    found = advice_of(tmp_path, ACCURACY)
    assert found.text.startswith("Add generated images to traditional augmentation.")
    assert found.command == (
        "gangda train --per-class 50 --arch cdcgan --out generator && "
        "gangda augment --per-class 50 --run generator --ratio 1 --out augmented"
    )
    assert "found with 50 images of each class and need not hold with more" in found.text
    understood(found.command)


def test_a_gain_over_transforms_that_harm_is_not_believed(tmp_path):
    found = advice_of(tmp_path, {**ACCURACY, "traditional": 0.70})
    assert found.text.startswith(
        "Do not act on this yet: traditional transforms alone made the classifier worse by 10.0"
    )
    assert "too few steps" in found.text
    assert "(--policy auto chooses others)" in found.text
    assert f"--classifier-steps {4 * ClassifierConfig().classifier_steps} " in found.command
    understood(found.command)


def test_where_transforms_were_chosen_nobody_is_told_to_have_them_chosen(tmp_path):
    plan = plan_for(tmp_path)
    finish(plan, tmp_path, {**ACCURACY, "traditional": 0.70})
    judged = collect(plan, tmp_path).judgement
    transforms = dataclasses.replace(plan.config.transforms, policy="auto")
    chosen = dataclasses.replace(plan, config=dataclasses.replace(plan.config, transforms=transforms))
    found = advise(Situation(judged, chosen, tmp_path, ()), poor=False, objection="")
    assert found.text.endswith("else these transforms do not suit the images.")


def test_the_set_is_made_with_the_options_of_the_comparison(tmp_path):
    plan = plan_for(tmp_path)
    finish(plan, tmp_path)
    judged, usual = collect(plan, tmp_path).judgement, TrainConfig(arch="cdcgan")
    config = dataclasses.replace(
        plan.config,
        data=DataConfig(),
        recipe=dataclasses.replace(usual.recipe, lr=0.003),
        budget=Budget(steps=700),
        compare=dataclasses.replace(
            plan.config.compare, ratios=(0.5, 1.0), ratio_for=("#1=0", "#2=3"), score_by="balanced"
        ),
    )
    plan = dataclasses.replace(plan, config=config)
    found = _make_the_set(Situation(judged, plan, tmp_path, ()), judged.contrasts[0])
    assert found.command == (
        "gangda train --arch cdcgan --lr 0.003 --steps 700 --out generator && gangda augment --run generator "
        "--ratio 0.5,1 --ratio-for '#1=0' --ratio-for '#2=3' --score-by balanced --out augmented"
    )
    assert found.text == words.MAKE_THE_SET
    understood(found.command)


def test_a_set_that_is_written_is_not_what_was_measured_where_passes_see_other_images(tmp_path):
    plan = plan_for(tmp_path)
    finish(plan, tmp_path)
    judged = collect(plan, tmp_path).judgement
    compare = dataclasses.replace(plan.config.compare, synthetic_passes=10)
    plan = dataclasses.replace(plan, config=dataclasses.replace(plan.config, compare=compare))
    found = _make_the_set(Situation(judged, plan, tmp_path, ()), judged.contrasts[0])
    assert found.text.startswith(
        "Every pass over the real images saw other generated ones, 10 times as many in all"
    )


def test_new_seeds_are_none_of_those_that_failed(tmp_path):
    plan = plan_for(tmp_path)
    finish(plan, tmp_path, CLOSE, sd=0.02)
    last = plan.cells[-1]
    cell_path(tmp_path, last).unlink()
    write_cell(tmp_path, last, FailedCell(last.index, last.seed, last.id, "diverged"))
    assert f"--seed {last.seed + 1} " in collect(plan, tmp_path).advice.command


def test_a_loss_is_not_and_says_what_transforms_are_worth(tmp_path):
    found = advice_of(tmp_path, WORSE)
    assert found.text.startswith(
        "Do not add these images to traditional augmentation. Traditional transforms alone"
    )
    assert "are worth 2." in found.text
    assert "--per-class 50 --arch flow --seeds 10" in found.command
    understood(found.command)


def test_another_generator_is_not_asked_for_a_filter_that_it_cannot_have(tmp_path):
    found = advice_of(tmp_path, WORSE, filter=("discriminator", "duplicates"))
    assert "--arch flow" in found.command
    assert "--filter duplicates " in found.command


def test_without_a_verdict_it_says_how_many_seeds_find_what(tmp_path):
    found = advice_of(tmp_path, CLOSE, sd=0.02)
    assert found.text.startswith("Do not add these images to traditional augmentation for now")
    assert "on these test images with 80% power" in found.text
    seeds = int(found.command.partition("--seeds ")[2].split()[0])
    assert f"run {seeds} seeds that are new" in found.text
    assert "--seed 10 " in found.command  # after those of this comparison
    understood(found.command)
    size = float(found.text.partition("find a difference of ")[2].split()[0])
    sd = read_comparison(tmp_path).judgement.contrasts[0].sd
    assert 100 * detectable_difference(seeds, sd, 0.05) <= size + 0.05


@pytest.mark.parametrize(
    ("image_error", "detectable", "images", "size"),
    [
        (0.001, 0.02, "", "0.5"),
        (0.004, 0.02, "0.5 points of accuracy beyond these 400 test images: that takes about 2,100.", "1.1"),
        (0.004, 0.01, "0.5 points of accuracy beyond these 400 test images: that takes about 2,100.", ""),
    ],
)
def test_seeds_are_asked_for_what_these_test_images_can_show(tmp_path, image_error, detectable, images, size):
    plan = plan_for(tmp_path)
    finish(plan, tmp_path)
    found = collect(plan, tmp_path)
    contrast = dataclasses.replace(
        found.judgement.contrasts[0], margin=0.005, sd=0.01, detectable=detectable, image_error=image_error
    )
    advice = _more(Situation(found.judgement, plan, tmp_path, found.cells), contrast)
    assert images in advice.text
    assert ("No number of seeds" in advice.text) == bool(images)
    assert (f"To find a difference of {size} points" in advice.text) == bool(size)
    assert bool(advice.command) == bool(size)


@pytest.mark.parametrize("verdict", [values.BETTER_HERE, values.WORSE_HERE])
def test_what_was_shown_on_these_test_images_alone_is_decided_by_more_of_them_or_of_seeds(tmp_path, verdict):
    plan = plan_for(tmp_path, arms=("real", "traditional"), contrast=("traditional - real",))
    finish(plan, tmp_path)
    found = collect(plan, tmp_path)
    situation = Situation(found.judgement, plan, tmp_path, found.cells)

    def advice(image_error):
        contrast = dataclasses.replace(
            found.judgement.contrasts[0], verdict=verdict, mean=0.02, image_error=image_error
        )
        judged = dataclasses.replace(found.judgement, contrasts=(contrast,))
        return advise(dataclasses.replace(situation, judged=judged), poor=False, objection="")

    few, enough = advice(0.01), advice(0.005)
    assert few.text.endswith("of 2.0 points of accuracy beyond these 400 test images: that takes about 790.")
    assert few.command == ""
    assert "With 20 seeds that are new" in enough.text
    assert "these 400 test images may be enough" in enough.text
    assert "--seeds 20 --seed 10 " in enough.command
    understood(enough.command)


def test_too_few_seeds_decide_nothing(tmp_path):
    found = advice_of(tmp_path, ACCURACY, seeds=2)
    assert found.text.startswith("Decide nothing by this")
    assert "--seeds 10" in found.command
    understood(found.command)


def test_enough_seeds_are_enough_for_the_level(tmp_path):
    """Ten give no p below 0.00195."""
    found = advice_of(tmp_path, ACCURACY, seeds=10, alpha=0.001)
    assert "Run 11 seeds" in found.text
    assert "--seeds 11 " in found.command


def test_a_poor_generator_is_trained_longer_first(tmp_path):
    found = advice_of(tmp_path, WORSE, recognised=0.3)
    assert found.text.startswith("Train the generator longer")
    assert "too few steps" in found.text
    assert "--steps 4000" in found.command
    understood(found.command)


def test_arms_without_a_contrast(tmp_path):
    found = advice_of(tmp_path, ACCURACY, arms=("real", "traditional"))
    assert found.text == words.NAME_A_CONTRAST
    assert "--contrast 'traditional - real'" in found.command
    understood(found.command)


def test_an_example_of_a_contrast_is_no_check_of_the_protocol(tmp_path):
    found = advice_of(
        tmp_path, {**ACCURACY, "shuffled": 0.6}, arms=("real", "generated+traditional", "shuffled")
    )
    assert "--contrast 'generated+traditional - real'" in found.command


CHECKS = ("leaky", "permuted-labels", "wrong-range", "wrong-size", "copies", "shuffled")
OTHER_REAL = ("held-back", "other-real")


@pytest.mark.parametrize("accuracy", [0.5, 0.8, 0.95])
@pytest.mark.parametrize(
    ("contrast", "said"),
    [
        *(
            (f"generated - {arm}", f"checks the protocol and decides nothing about .*: {arm} is")
            for arm in CHECKS
        ),
        *((f"{arm} - real", f"checks the protocol and decides nothing about .*: {arm} is") for arm in CHECKS),
        *((f"generated - {arm}", rf"what other real images are worth \({arm}\)") for arm in OTHER_REAL),
        *((f"{arm} - real", rf"what other real images are worth \({arm}\)") for arm in OTHER_REAL),
        (
            "held-back - shuffled",
            "checks the protocol and decides nothing about generated images: shuffled is",
        ),
    ],
)
def test_a_check_of_the_protocol_advises_nothing_but_the_usual_difference(tmp_path, contrast, said, accuracy):
    others = (arm for arm in contrast.split(" - ") if arm not in ("real", "generated"))
    arms = ("real", "generated", *others)
    given = {**ACCURACY, **dict.fromkeys(arms[2:], accuracy)}
    plan = plan_for(tmp_path, arms=arms, contrast=(contrast,))
    finish(plan, tmp_path, given, recognised=0.3)
    found = collect(plan, tmp_path).advice
    assert re.match(f"This difference .*{said}", found.text)
    assert found.text.endswith("What generated images do here is tested by generated - real:")
    assert "--contrast 'generated - real' --out" in found.command
    understood(found.command)


def test_a_check_without_arms_of_a_usual_difference_has_no_command(tmp_path):
    plan = plan_for(tmp_path, arms=("real", "shuffled"), contrast=("shuffled - real",))
    finish(plan, tmp_path, {"real": 0.8, "shuffled": 0.5})
    found = collect(plan, tmp_path).advice
    assert found.text.endswith("shuffled is broken on purpose, or of known outcome.")
    assert found.command == ""


def test_the_usual_differences_after_a_check_get_the_seeds_that_they_need(tmp_path):
    """Six seeds give no p below 0.031: enough for one difference, not for three by Holm's procedure."""
    plan = plan_for(
        tmp_path,
        seeds=6,
        arms=(*ACCURACY, "shuffled"),
        contrast=("shuffled - real",),
        multiplicity="holm",
    )
    finish(plan, tmp_path, {**ACCURACY, "shuffled": 0.5})
    found = collect(plan, tmp_path).advice
    assert "--contrast 'generated - real' --contrast 'generated - traditional' --seeds 10" in found.command
    understood(found.command)


@pytest.mark.parametrize(
    ("accuracy", "verdict", "advice"),
    [
        (
            ACCURACY,
            "Putting generated images in place of real ones under",
            "Put generated images in place of real",
        ),
        (
            WORSE,
            "Putting generated images in place of real ones under",
            "Keep the real images under traditional",
        ),
    ],
)
def test_images_that_take_the_place_of_real_ones_are_not_called_added(tmp_path, accuracy, verdict, advice):
    plan = plan_for(tmp_path, replace=(0.5,))
    finish(plan, tmp_path, accuracy)
    found = collect(plan, tmp_path)
    assert found.plain.startswith(verdict)
    assert found.advice.text.startswith(advice)
    assert not re.search(r"\badd(ing)?\b", f"{found.plain} {found.advice.text}", re.IGNORECASE)


def test_time_is_that_of_the_cells(tmp_path):
    plan = plan_for(tmp_path, seeds=2)
    finish(plan, tmp_path)
    for cell in plan.cells:
        change_cell(tmp_path, cell, seconds=3600.0)
    assert " h " in collect(plan, tmp_path).advice.text


VERDICTS = [text for name, text in vars(values).items() if name.isupper() and isinstance(text, str)]


@pytest.fixture(scope="module")
def contrast(tmp_path_factory):
    """The first primary one of a made-up comparison."""
    out = tmp_path_factory.mktemp("comparison")
    plan = plan_for(out)
    finish(plan, out)
    return collect(plan, out).judgement.contrasts[0]


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_verdict_has_a_sentence_and_claims_no_more(verdict, contrast):
    said = words.advice_sentence(dataclasses.replace(contrast, verdict=verdict), "accuracy", 400)
    assert said.endswith(".")
    assert ("these 400 test images" in said) == (verdict.endswith("on this test set"))
    assert said.startswith("Add") == (verdict in (values.BETTER, values.BETTER_HERE))
