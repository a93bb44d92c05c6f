import pytest

from gangda import search_spaces
from gangda.errors import UsageError
from gangda.search_spaces import Choice, Range


def space_of(tmp_path, text, kind="search space"):
    file = tmp_path / "mine.yaml"
    file.write_text(f"kind: {kind}\nspace: {text}\n")
    return search_spaces.read(str(file))


@pytest.mark.parametrize(
    ("name", "combinations"),
    [("flow", None), ("r3-ccgan-capacity", 27), ("r3-dcgan-capacity", 27), ("r4-dropout-width", 9)],
)
def test_shipped_spaces(name, combinations):
    assert name in search_spaces.names()
    assert search_spaces.read(name).combinations == combinations


def test_ranges_and_lists(tmp_path):
    found = space_of(
        tmp_path,
        "{recipe.lr: {low: 1e-4, high: 1e-2, log: true}, recipe.batch_size: {low: 8, high: 32, step: 8},"
        " method.diffaugment: [[translation], []]}",
    )
    rate, batch, augment = found.dimensions
    assert rate == Range("recipe.lr", 1e-4, 1e-2, True, None, False)
    assert batch == Range("recipe.batch_size", 8, 32, False, 8, True)
    assert augment == Choice("method.diffaugment", {"translation": ("translation",), "": ()})
    assert found.values_of({"recipe.lr": 0.001, "recipe.batch_size": 16, "method.diffaugment": ""}) == {
        "recipe.lr": 0.001,
        "recipe.batch_size": 16,
        "method.diffaugment": (),
    }


def test_a_grid_has_every_combination_once(tmp_path):
    found = list(space_of(tmp_path, "{recipe.batch_size: [8, 16], arch.width: [4, 8, 12]}").grid())
    assert len(found) == 6
    assert len({str(one) for one in found}) == 6


def test_options_of_other_architectures_are_left_out_where_architectures_vary(tmp_path):
    found = space_of(tmp_path, "{arch.name: [cdcgan, pca], arch.components: [4, 8], recipe.lr: [0.01, 0.1]}")
    values = {"arch.name": "cdcgan", "arch.components": 4, "recipe.lr": 0.01}
    assert found.sections(values, "cdcgan") == {"arch": {"name": "cdcgan"}, "recipe": {"lr": 0.01}}
    values["arch.name"] = "pca"
    assert found.sections(values, "cdcgan")["arch"] == {"name": "pca", "components": 4}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{recipe.learning: [1]}", r"unknown key recipe.learning"),
        ("{recipe.batchsize: [1]}", r"did you mean recipe.batch_size\?"),
        ("{arch.widht: [1]}", r"did you mean arch.width\?"),
        ("{data.per_class: [10]}", "unknown key space: data"),
        ("{lr: [1]}", "expected section.option"),
        ("{recipe.lr: [fast]}", "recipe.lr 'fast': expected a number"),
        ("{recipe.lr: []}", "expected a list of values"),
        ("{recipe.lr: 3}", "expected a list of values"),
        ("{recipe.lr: [0.1, 0.1]}", "is there twice"),
        ("{recipe.lr: {low: 1}}", "needs low: and high:"),
        ("{recipe.lr: {low: 2, high: 1}}", "low must be below high"),
        ("{recipe.lr: {low: 0, high: 1, log: true}}", "above 0"),
        ("{recipe.lr: {low: 0, high: 1, hihg: 3}}", "unknown key hihg; did you mean high"),
        ("{recipe.batch_size: {low: 2, high: 9, step: 0.5}}", "step: expected a whole number"),
        ("{method.loss: {low: 0, high: 1}}", "is no number"),
        ("{budget.minutes: [1, 2]}", "budget.minutes cannot vary"),
        ("[]", "expected options"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, words):
    with pytest.raises(UsageError, match=words):
        space_of(tmp_path, text)


def test_a_grid_needs_lists(tmp_path):
    with pytest.raises(UsageError, match=r"recipe\.lr is a range"):
        list(space_of(tmp_path, "{recipe.lr: {low: 0.1, high: 1}}").grid())


def test_another_kind_of_file_and_an_unknown_name_are_refused(tmp_path):
    with pytest.raises(UsageError, match="not a search space"):
        space_of(tmp_path, "{recipe.lr: [1]}", kind="experiment")
    with pytest.raises(UsageError, match="did you mean 'flow'"):
        search_spaces.read("flwo")
