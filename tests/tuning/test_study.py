import pytest

from gangda import search_spaces
from gangda.config.schema import TuneConfig
from gangda.errors import UsageError
from gangda.tuning.study import Study, trial_count

pytest.importorskip("optuna")

GRID = "r4-dropout-width"


def study(out, space=GRID, seed=0, **options):
    out.mkdir(exist_ok=True)
    return Study(out, search_spaces.read(space), TuneConfig(**options), "maximize", seed)


def run(one, score=lambda params: 0.5):
    """Take and finish a trial; its parameters, None where there is none to take."""
    with one.take() as trial:
        if trial is None:
            return None
        params = dict(trial.params)
        one.end(trial, score(params))
    return params


def run_all(*studies):
    """Take turns until there is nothing left."""
    found = []
    while all((params := run(one)) is not None and not found.append(params) for one in studies):
        pass
    return found


def test_a_grid_is_tried_whole_and_each_combination_once(tmp_path):
    found = run_all(study(tmp_path / "s", search="grid"), study(tmp_path / "s", search="grid"))
    assert len(found) == 9
    assert len({str(params) for params in found}) == 9


def test_trials_are_counted_over_all_processes_and_may_be_added(tmp_path):
    first, second = (study(tmp_path / "s", "flow", trials=5) for _ in range(2))
    assert len(run_all(first, second)) == 5
    assert run(study(tmp_path / "s", "flow", trials=5)) is None
    assert len(run_all(study(tmp_path / "s", "flow", trials=7))) == 2


@pytest.mark.parametrize("search", ["tpe", "random"])
def test_the_same_seed_tries_the_same_whichever_process_goes_on(search, tmp_path):
    def score(params):
        return -abs(params["recipe.lr"] - 0.001)

    alone = study(tmp_path / "alone", "flow", search=search)
    found = [run(alone, score) for _ in range(13)]
    assert [run(study(tmp_path / "many", "flow", search=search), score) for _ in range(13)] == found
    assert len({str(params) for params in found}) == 13
    assert run(study(tmp_path / "other", "flow", search=search, seed=1), score) != found[0]


def test_a_lost_trial_comes_first_and_one_being_worked_on_is_left_alone(tmp_path):
    one = study(tmp_path / "s", search="grid")
    lost = one._next()  # without its folder's lock, as after its process was killed
    with study(tmp_path / "s", search="grid").take() as held:
        assert (held.number, held.params) == (lost.number, lost.params)
        other = run(one)
        assert other != lost.params
        assert [trial.number for trial in one.trials("RUNNING")] == [held.number]
    with one.take() as again:  # it was let go without an end
        assert (again.number, again.params) == (lost.number, lost.params)
        one.end(again, 0.5)
    assert len(run_all(one)) == 7


def test_a_process_killed_between_two_writes_loses_nothing(tmp_path):
    one = study(tmp_path / "s", search="grid")
    one.optuna_study.enqueue_trial(next(one.space.grid()))  # asked for, and not taken
    assert run(one) == next(one.space.grid())
    assert len(run_all(one)) == 8


def climb(one, score):
    """Work on trials until there is nothing left; the number and rung of each time, in order."""
    found = []
    while True:
        with one.take() as trial:
            if trial is None:
                return found
            rung = one.rung(trial)
            found.append((trial.number, rung))
            value = score(trial.params)
            one.end(trial, value) if rung == one.config.rungs - 1 else trial.report(value, rung)


def by_width(params):
    return float(params["arch.first_width"]) - float(params["arch.dropout"])


@pytest.mark.parametrize("direction", [1, -1])
def test_the_better_half_goes_on_to_each_rung(tmp_path, direction):
    one = study(tmp_path / "s", search="grid")
    one.direction = "maximize" if direction == 1 else "minimize"
    found = climb(one, lambda params: direction * by_width(params))
    assert [[rung for _, rung in found].count(at) for at in range(3)] == [9, 5, 3]
    assert [rung for _, rung in found] == sorted(rung for _, rung in found)
    values = {trial.number: by_width(trial.params) for trial in one.trials("COMPLETE", "RUNNING")}
    best = sorted(values, key=values.get, reverse=True)
    assert {number for number, rung in found if rung == 1} == set(best[:5])
    assert [trial.number for trial in one.trials("COMPLETE")] == sorted(best[:3])
    assert len(one.resting()) == 6


def test_a_sampler_learns_from_trials_that_have_gone_on(tmp_path):
    found = climb(study(tmp_path / "s", "flow", search="tpe", trials=6), lambda params: -params["recipe.lr"])
    assert found.index(next(one for one in found if one[1] == 2)) < found.index((5, 0))
    assert {number for number, _ in found} == set(range(6))


def test_while_none_is_better_than_chance_all_go_on(tmp_path):
    one = study(tmp_path / "s", search="grid")
    one.chance = 1000.0
    assert len(climb(one, by_width)) == 27
    other = study(tmp_path / "other", search="grid")
    other.chance = 100.0
    assert len(climb(other, by_width)) == 17


def test_a_trial_that_has_failed_takes_nobodys_place(tmp_path):
    one = study(tmp_path / "s", search="grid", trials=2)
    with one.take() as trial:
        trial.report(0.9, 0)
        one.end(trial, None, "mode collapse")
    assert climb(one, lambda params: 0.1) == [(1, 0), (1, 1), (1, 2)]
    assert [trial.user_attrs for trial in one.trials("PRUNED")] == [{"reason": "mode collapse"}]


def test_others_on_their_way_are_waited_for(tmp_path):
    """While one is being scored by another process, the better half is rounded down."""
    one = study(tmp_path / "s", search="grid", trials=2)
    with study(tmp_path / "s", search="grid", trials=2).take() as held:
        with one.take() as trial:
            trial.report(0.1, 0)
        with one.take() as none:
            assert none is None
        held.report(0.9, 0)
        with one.take() as none:
            assert none is None  # the other one is better
    assert climb(one, lambda params: 0.9) == [(held.number, 1), (held.number, 2)]


def test_importance_names_the_option_that_matters(tmp_path):
    one = study(tmp_path / "s", search="grid")
    while run(one, lambda params: float(params["arch.dropout"])) is not None:
        pass
    found = one.importance()
    assert found["arch.dropout"] > 0.9
    assert sum(found.values()) == pytest.approx(1)


def test_no_importance_of_equal_or_few_trials(tmp_path):
    one = study(tmp_path / "s", search="grid")
    for _ in range(3):
        run(one, lambda params: float(params["arch.dropout"]))
    assert one.importance() == {}
    equal = study(tmp_path / "equal", search="grid")
    run_all(equal)
    assert equal.importance() == {}


def test_how_many_trials():
    flow, grid = search_spaces.read("flow"), search_spaces.read(GRID)
    assert trial_count(TuneConfig(), flow) == 20
    assert trial_count(TuneConfig(search="grid"), grid) == 9
    assert trial_count(TuneConfig(search="grid", trials=4), grid) == 4
    assert trial_count(TuneConfig(search="grid", trials=40), grid) == 9
    with pytest.raises(UsageError, match="is a range"):
        trial_count(TuneConfig(search="grid"), flow)
