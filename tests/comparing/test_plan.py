import dataclasses
import json
import multiprocessing
import sys

import pytest

from gangda.comparing.arm_sets import check
from gangda.comparing.plan import make_plan, resolve_runtime
from gangda.comparing.plan_file import publish
from gangda.config import architectures
from gangda.config.schema import (
    ClassifierConfig,
    CompareConfig,
    ComparisonConfig,
    DataConfig,
    Runtime,
    SamplerOptions,
)
from gangda.errors import RunError, UsageError

PRINT = "0123456789abcdef"


def experiment(*, seed=0, threads=1, **compare):
    return ComparisonConfig(
        data=DataConfig(per_class=50),
        compare=CompareConfig(**compare),
        runtime=Runtime(seed=seed, device="cpu", precision="fp32", threads=threads),
    )


def plan(fingerprint=PRINT, card=None, run=None, **options):
    return make_plan(experiment(**options), fingerprint, run, card)


@pytest.mark.parametrize(
    ("compare", "said"),
    [
        ({"arms": ("real",)}, "at least two"),
        ({"arms": ("real", "real")}, "at least two"),
        ({"arms": ("real", "generated", "generated@cdcgan")}, "there twice"),
        ({"arms": ("real", "generated", "generated:1")}, "there twice"),
        ({"arms": ("real", "pretrained+traditional"), "replace": (1.0,)}, "no real image to train on"),
        ({"ratios": ()}, "--ratios: give at least one"),
        ({"ratios": (1.0, 1.0)}, "each once"),
        ({"replace": (0.5, 0.5)}, "--replace: give at least one, each once"),
        ({"replace": (0.5,), "arms": ("real", "generated:1.5")}, "with --replace a ratio is a share"),
    ],
)
def test_what_cannot_be_compared(compare, said):
    with pytest.raises(UsageError, match=said):
        check(experiment(**compare))


def test_options_of_the_sampler_are_part_of_the_plan_and_refused_where_no_arm_understands_them():
    narrow = dataclasses.replace(experiment(), sampler=SamplerOptions(truncation=0.5))
    free, cut = make_plan(experiment(), PRINT, None, None), make_plan(narrow, PRINT, None, None)
    assert cut.fixed["sampler"]["truncation"] == 0.5
    assert cut.cells[0].id != free.cells[0].id
    guided = dataclasses.replace(experiment(), sampler=SamplerOptions(guidance=2.0))
    with pytest.raises(UsageError, match=r"--guidance 2.0: not an option of --arch cdcgan"):
        check(guided)
    nothing = dataclasses.replace(narrow, compare=CompareConfig(arms=("real", "smote")))
    with pytest.raises(UsageError, match=r"--truncation 0.5: not an option of any of these --arms"):
        check(nothing)


def test_a_users_own_classifier_is_known_by_its_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "import torch\ndef build(classes, shape):\n    return torch.nn.Linear(1, 1)\n"
    found = []
    for code in (text, text, text + "# another\n"):
        (tmp_path / "my_changing_network.py").write_text(code)
        monkeypatch.delitem(sys.modules, "my_changing_network", raising=False)
        own = dataclasses.replace(experiment(), classifier=ClassifierConfig("my_changing_network:build"))
        found.append(make_plan(own, PRINT, None, None))
    assert found[0].cells == found[1].cells
    assert found[0].cells[0].id != found[2].cells[0].id
    assert "code" not in plan().fixed


def test_several_ratios_need_validation_images():
    config = dataclasses.replace(experiment(ratios=(0.5, 1.0)), data=DataConfig(validation=0.0))
    with pytest.raises(UsageError, match="--validation"):
        check(config)


def test_auto_is_made_definite_with_one_thread():
    runtime = resolve_runtime(Runtime(device="cpu"))
    assert runtime.precision in ("fp32", "bf16")
    assert runtime.threads == 1


def test_a_cells_identity_is_what_determines_its_numbers():
    ids = [cell.id for cell in plan().cells]
    assert len(set(ids)) == 10
    assert [cell.id for cell in plan(alpha=0.01, margin=1.0).cells] == ids  # judging leaves cells alone
    assert [cell.id for cell in plan(seeds=12).cells][:10] == ids
    assert plan(seed=1).cells[0].id == ids[1]
    for changed in (
        plan(threads=2), plan(ratios=(0.5,)), plan(replace=(1.0,)), plan(fingerprint="f" * 16),
        plan(card={"seed": 0, "weights": "1"}),
    ):  # fmt: skip
        assert not set(ids) & {cell.id for cell in changed.cells}


def test_an_architecture_of_an_arms_own_is_part_of_the_identity(monkeypatch):
    """What it has by default may change with the version: then its cells are others."""
    arms = ("real", "generated", "generated@wgan-gp")
    before, without = plan(arms=arms), plan(arms=arms[:2])
    assert before.fixed["others"]["wgan-gp"]["method"]["loss"] == "wasserstein"
    changed = {**architectures.WganGpSpec.recipe, "batch_size": 16}
    monkeypatch.setattr(architectures.WganGpSpec, "recipe", changed)
    after = plan(arms=arms)
    assert after.hash != before.hash
    assert not {cell.id for cell in after.cells} & {cell.id for cell in before.cells}
    assert plan(arms=arms[:2]).cells == without.cells


def test_what_arms_are_compared_by_is_fixed_and_part_of_the_judging():
    plain, balanced = plan(), plan(score_by="balanced")
    assert (plain.judging["score_by"], balanced.judging["score_by"]) == ("accuracy", "balanced")
    assert plain.judging_hash != balanced.judging_hash
    assert plain.hash != balanced.hash


def test_the_stated_power_is_that_of_the_procedure():
    """Three primary differences: under Holm the smallest p must reach a third of alpha."""
    sequence, holm = (plan(multiplicity=name).as_dict()["power"] for name in ("sequence", "holm"))
    third = plan(alpha=0.05 / 3, multiplicity="sequence").as_dict()["power"]
    assert holm == third
    assert holm[2]["one point"] < sequence[2]["one point"]
    few = plan(seeds=6, multiplicity="holm").as_dict()["power"]
    assert few[0]["two points"] is None, "2 / 2^6 is above 0.05 / 3"
    assert plan(seeds=6).as_dict()["power"][0]["two points"] is not None


def test_the_plan_is_on_disk_before_any_cell_and_names_contrasts_n_family_and_margin(tmp_path):
    publish(plan(margin=1.0), tmp_path / "exp")
    written = json.loads((tmp_path / "exp" / "plan.json").read_text())
    assert written["seeds"] == 10
    assert written["fixed"]["family"]["primary"][0] == "generated+traditional - traditional"
    assert written["fixed"]["compare"]["margin"] == 1.0
    assert (tmp_path / "exp" / "config.yaml").is_file()
    assert publish(plan(margin=1.0), tmp_path / "exp").extensions == ()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"alpha": 0.1}, "compare.alpha = 0.05, this command has 0.1"),
        ({"fingerprint": "f" * 16}, "fingerprint"),
        ({"seed": 5}, "runtime.seed"),
        ({"seeds": 8}, "8; seeds can be added"),
        ({"arms": ("real", "generated")}, "compare.arms"),
    ],
)
def test_a_plan_is_not_changed_once_made(tmp_path, changed, said):
    publish(plan(), tmp_path / "exp")
    before = (tmp_path / "exp" / "plan.json").read_bytes()
    with pytest.raises(RunError, match=said):
        publish(plan(**changed), tmp_path / "exp")
    assert (tmp_path / "exp" / "plan.json").read_bytes() == before


def test_added_seeds_are_an_extension_for_good(tmp_path):
    publish(plan(), tmp_path / "exp")
    assert publish(plan(seeds=12), tmp_path / "exp").extensions == (10,)
    assert publish(plan(seeds=12), tmp_path / "exp").extensions == (10,)
    assert publish(plan(seeds=14), tmp_path / "exp").extensions == (10, 12)


def test_the_sources_of_values_are_recorded_with_the_plan_and_stay(tmp_path):
    first = plan(margin=1.0)
    config = dataclasses.replace(first.config, origins={"compare.margin": "flag", "tune.trials": "flag"})
    publish(dataclasses.replace(first, config=config), tmp_path / "exp")
    before = (tmp_path / "exp/config.yaml").read_text()
    assert before.endswith("sources:\n  compare.margin: flag\n")
    publish(first, tmp_path / "exp")
    assert (tmp_path / "exp/config.yaml").read_text() == before
    assert first.hash == plan(margin=1.0).hash


def test_somebody_elses_folder_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match="not a comparison's folder"):
        publish(plan(), tmp_path)
    (tmp_path / "plan.json").write_text('{"format_version": 2, "kind": "wedding"}')
    with pytest.raises(RunError, match="not the plan of a comparison"):
        publish(plan(), tmp_path)
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(RunError, match=r"plan\.json: damaged; put it back"):
        publish(plan(), tmp_path)


@pytest.mark.parametrize("left", [".plan.json.k2_x9abc.gangda-part", ".lock"])
def test_what_a_killed_start_leaves_is_no_obstacle(tmp_path, left):
    (tmp_path / left).write_text("hal")
    assert publish(plan(), tmp_path).extensions == ()
    (tmp_path / "config.yaml").unlink()  # killed between the two
    publish(plan(), tmp_path)
    assert (tmp_path / "config.yaml").is_file()


def test_a_config_of_the_users_own_is_not_overwritten(tmp_path):
    (tmp_path / "config.yaml").write_text("mine: 1")
    with pytest.raises(RunError, match="not a comparison's folder"):
        publish(plan(), tmp_path)
    assert (tmp_path / "config.yaml").read_text() == "mine: 1"


def start(out, seeds, results):
    results.put(publish(plan(seeds=seeds), out).extensions)


def test_several_starts_at_once_all_work(tmp_path):
    context = multiprocessing.get_context("fork")
    for trial in range(10):
        results = context.Queue()
        starts = [context.Process(target=start, args=(tmp_path / str(trial), 10, results)) for _ in range(4)]
        for one in starts:
            one.start()
        assert [results.get(timeout=20) for _ in starts] == [()] * 4
        for one in starts:
            one.join()
        assert sorted(p.name for p in (tmp_path / str(trial)).iterdir()) == [
            ".lock",
            "config.yaml",
            "plan.json",
        ]


def test_the_judging_is_hashed_with_n_and_the_margin_rule(tmp_path):
    def written(**options):
        publish(plan(**options), tmp_path / "exp")
        return json.loads((tmp_path / "exp" / "plan.json").read_text())

    first = written()
    assert first["judging"]["n"] == 10
    assert first["judging"]["margin_rule"] == "min(0.5 points, 10% of the error of the contrast's second arm)"
    assert first["judging"]["primary"] == first["fixed"]["family"]["primary"]
    others = [plan(seeds=11), plan(margin=1.0), plan(alpha=0.1), plan(arms=("generated", "traditional"))]
    assert len({first["judging_hash"], *(other.judging_hash for other in others)}) == 5
    extended = written(seeds=12)
    assert extended["extensions"] == [10]
    assert extended["judging_hash"] == first["judging_hash"], "what was planned stays what was planned"


def test_a_plan_whose_number_of_seeds_was_edited_is_refused(tmp_path):
    publish(plan(), tmp_path)
    path = tmp_path / "plan.json"
    path.write_text(path.read_text().replace('"seeds": 10', '"seeds": 8'))
    with pytest.raises(RunError, match=r"its plan has judging\.n = "):
        publish(plan(), tmp_path)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (
            lambda there: there["judging"].update(alpha=0.2),
            "its plan has judging.alpha = 0.2, this command has 0.05",
        ),
        (lambda there: there["cells"][1].update(seed=7), "its plan has cells.1.seed = 7, this command has 1"),
        (lambda there: there["cells"].pop(), "cells.2.index = None"),
        (lambda there: there.update(cells=None), "cells.0.index = None"),
    ],
)
def test_what_was_edited_beside_the_fixed_values_is_named(tmp_path, edit, said):
    publish(plan(seeds=3), tmp_path)
    there = json.loads((tmp_path / "plan.json").read_text())
    edit(there)
    (tmp_path / "plan.json").write_text(json.dumps(there))
    for seeds in (3, 4):
        with pytest.raises(RunError, match=said):
            publish(plan(seeds=seeds), tmp_path)


def test_other_threads_continue_the_same_cells(tmp_path):
    first = publish(plan(), tmp_path / "exp")
    before = (tmp_path / "exp" / "plan.json").read_bytes()
    again = publish(plan(threads=2), tmp_path / "exp")
    assert (again.hash, again.cells) == (first.hash, first.cells)
    assert again.config.runtime.threads == 2  # what the cells will run with, and record
    assert (tmp_path / "exp" / "plan.json").read_bytes() == before
