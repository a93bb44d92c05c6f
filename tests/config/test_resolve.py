"""Precedence, exclusion across sources, refusals, and the round trip of config.yaml."""

import string

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from gangda.config import architectures, arms, catalog, files, methods, resolve, schema
from gangda.config.fields import fields_by_name, type_of
from gangda.errors import UsageError

WORDS = st.text(string.ascii_letters + string.digits + "-_./:# é=", min_size=1, max_size=12)


@pytest.fixture
def write(tmp_path):
    def _write(text):
        path = tmp_path / "options.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return _write


def test_defaults_without_anything():
    found = resolve.resolve({}, {})
    assert found.pick(schema.TrainConfig) == schema.TrainConfig()
    assert set(found.origins.values()) == {"default"}


def test_flag_over_environment_over_file_over_preset_over_default(write):
    path = write("arch: gan\nrecipe: {lr: 0.01, beta1: 0.3, beta2: 0.9}\n")
    flags = {("recipe", "lr"): "0.5"}
    found = resolve.resolve(flags, {"GANGDA_LR": "0.2", "GANGDA_BETA1": "0.7"}, path)
    recipe = found.recipe
    assert (recipe.lr, recipe.beta1, recipe.beta2, found.method.r1, recipe.ema) == (0.5, 0.7, 0.9, 0.0, 0.999)
    names = ("recipe.lr", "recipe.beta1", "recipe.beta2", "method.r1", "recipe.ema")
    origins = [found.origins[name] for name in names]
    assert origins == ["flag", "environment", str(path), "preset of gan", "default"]


def test_architecture_by_the_same_precedence(write):
    path = write("arch: {name: gan}\n")
    assert resolve.resolve({}, {}, path).arch == "gan"
    assert resolve.resolve({}, {"GANGDA_ARCH": "dcgan"}, path).arch == "dcgan"
    assert resolve.resolve({("arch", "name"): "madgan"}, {"GANGDA_ARCH": "dcgan"}, path).arch == "madgan"


def test_options_of_another_architecture_in_the_file_do_not_leak(write):
    path = write("arch: {name: gan, width: 77}\n")
    assert resolve.resolve({("arch", "name"): "cdcgan"}, {}, path).spec == architectures.CdcganSpec()
    assert resolve.resolve({}, {}, path).spec == architectures.GanSpec(width=77)


def test_environment_counts_only_for_the_sections_in_use():
    found = resolve.resolve({}, {"GANGDA_PER_CLASS": "1"}, used=("sample",))
    assert found.sample.per_class == 1
    assert found.data.per_class is None


def test_empty_variable_is_no_value():
    assert resolve.resolve({}, {"GANGDA_SEED": ""}).runtime.seed == 0


@pytest.mark.parametrize(
    ("flag", "file", "kept", "dropped"),
    [
        (("budget", "minutes"), "budget: {steps: 5}", "minutes", "steps"),
        (("budget", "steps"), "budget: {minutes: 5}", "steps", "minutes"),
        (("data", "per_class"), "data: {class_counts: [5, 6]}", "per_class", "class_counts"),
        (("augment", "replace"), "augment: {ratio: 0.5}", "replace", "ratio"),
    ],
)
def test_a_stronger_source_drops_what_it_excludes(write, flag, file, kept, dropped):
    section = getattr(
        resolve.resolve({flag: "2" if flag[0] != "augment" else "0.5"}, {}, write(file)), flag[0]
    )
    assert getattr(section, kept) is not None
    assert getattr(section, dropped) is None


def test_one_source_that_contradicts_itself_is_refused(write):
    with pytest.raises(UsageError, match="--steps and --minutes exclude each other"):
        resolve.resolve({}, {}, write("budget: {steps: 5, minutes: 2}"))


def test_two_flags_that_exclude_each_other_are_refused_where_one_gives_the_default():
    with pytest.raises(UsageError, match=r"^--ratios and --replace exclude each other: give one of them$"):
        resolve.resolve({("compare", "ratios"): "1", ("compare", "replace"): "0.5"}, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recipe: {learning: 1}", "unknown key recipe.learning"),
        ("recipe: {batchsize: 8}", "did you mean recipe.batch_size?"),
        ("recipe: {loss: hinge}", "unknown key recipe.loss; did you mean method.loss?"),
        ("reciepe: {lr: 1}", "unknown key reciepe; did you mean recipe?"),
        ("arch: {name: gan, generators: 3}", "unknown key arch.generators"),
        ("arch: {name: gun}", "unknown architecture 'gun': did you mean 'gan'?"),
        ("recipe: {lr: fast}", "recipe.lr 'fast': expected a number"),
        ("recipe: {lr: .inf}", "recipe.lr inf: expected a number"),
        ("recipe: {lr: .nan}", "expected a number"),
        ("recipe: {lr: true}", "recipe.lr True: expected a number"),
        ("data: {per_class: 2.5}", "data.per_class 2.5: expected a whole number"),
        ("data: {download: 3}", "data.download 3: expected true or false"),
        ("data: {source: {a: 1}}", "expected text"),
        ("data: {class_counts: [1, x]}", "expected comma-separated values, each a whole number"),
        ("transforms: {scaling: [1]}", "expected 2 comma-separated values, each a number"),
        ("runtime: {seed: null}", "runtime.seed None: expected a whole number"),
        ("runtime: [1, 2]", "runtime: expected keys and values"),
        ("augment: {ratio: -1}", "--ratio -1.0: must be at least 0"),
        ("just words", "expected sections"),
        ("a: [", "not readable as YAML"),
        ("a: !!python/object:os.system x", "not readable as YAML"),
        ("format_version: 99", "newer than this gangda"),
    ],
)
def test_refused_files(write, text, message):
    with pytest.raises(UsageError) as caught:
        resolve.resolve({}, {}, write(text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        resolve.resolve({}, {}, tmp_path / "none.yaml")


def test_binary_file(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(UsageError, match="not readable as YAML"):
        resolve.resolve({}, {}, path)


def test_flag_of_another_architecture_names_its_owners():
    with pytest.raises(UsageError) as caught:
        resolve.resolve({("arch", "generators"): "4"}, {})
    assert (
        str(caught.value)
        == "--generators: cdcgan has no such option; it belongs to --arch madgan, mixture-gan, madgan-separate"
    )


def test_yaml_words_that_yaml_reads_as_booleans(write):
    assert resolve.resolve({}, {}, write("method: {cr_flip: on}")).method.cr_flip is True
    with pytest.raises(UsageError, match="expected text"):
        resolve.resolve({}, {}, write("data: {source: on}"))


def test_numbers_that_yaml_reads_as_text(write):
    assert resolve.resolve({}, {}, write("recipe: {lr: 5e-4}")).recipe.lr == 5e-4


def test_commas_and_repeats():
    flags = {
        ("data", "class_counts"): "40, 20,10",
        ("transforms", "scaling"): "0.5,2",
        ("augment", "ratio_for"): ["a,b=1", "#2=0.5"],
        ("compare", "arms"): "real,generated",
    }
    found = resolve.resolve(flags, {})
    assert found.data.class_counts == (40, 20, 10)
    assert found.transforms.scaling == (0.5, 2.0)
    assert found.augment.ratio_for == ("a,b=1", "#2=0.5")
    assert found.compare.arms == ("real", "generated")


def values_of(field):
    """A strategy for valid values of a field."""
    kind, meta = type_of(field), field.metadata
    low, high = meta["minimum"] or 0, meta["maximum"]
    if meta["choices"]:
        one = st.sampled_from(meta["choices"])
    elif field.name == "unlabelled":
        one = st.sampled_from(("5", "a folder"))
    elif field.name == "arms":
        one = st.sampled_from(tuple(arms.ARMS))
    elif meta["pattern"]:
        one = st.just(field.default)
    elif kind.base is bool:
        one = st.booleans()
    elif kind.base is str:
        one = WORDS
    elif kind.base is int:
        one = st.integers(int(low), int(high) if high else 10**6)
    else:
        one = st.floats(low, high or 1e6, allow_subnormal=False)  # training turns them off, process-wide
    if kind.length is not None:
        one = st.lists(one, min_size=kind.length or 0, max_size=kind.length or 4).map(tuple)
    return st.none() | one if kind.optional else one


@st.composite
def sections(draw, cls):
    fields, defaults = fields_by_name(cls), {name: one.default for name, one in fields_by_name(cls).items()}
    recorded = [one for one in fields.values() if one.metadata["record"] != "never"]
    values = defaults | {field.name: draw(values_of(field)) for field in recorded}
    for group in cls.exclusive:
        for name in group[1:]:
            values[name] = defaults[name]
    if not getattr(cls, "batch_norm", True):
        values["virtual_batch_norm"] = "none"
    if cls is schema.DataConfig:  # rules of its own
        low, more = draw(st.tuples(st.integers(-9, 9), st.integers(1, 9)))
        values["value_range"] = draw(st.sampled_from([None, (float(low), float(low + more))]))
        values["group_by"] = draw(st.sampled_from([None, "(.*)_", "a.csv:b"]))
        values["labels"] = draw(st.sampled_from([None, "name:(.*)_", "labels.csv:class", "folders"]))
    return cls(**values)


@st.composite
def experiments(draw):
    arch = draw(st.sampled_from(list(catalog.ARCHITECTURES)))
    spec = architectures.spec_class(arch)
    names = ("data", "recipe", "budget", "sampler", "transforms", "classifier", "compare", "runtime")
    drawn = {name: draw(sections(files.SECTIONS[name])) for name in names}
    method = draw(sections(methods.options_class(spec.method)))
    return schema.ComparisonConfig(arch=arch, spec=draw(sections(spec)), method=method, **drawn)


@limits(max_examples=60, deadline=None)
@given(experiments())
def test_dump_and_resolve_are_inverse(tmp_path_factory, config):
    path = tmp_path_factory.getbasetemp() / "round-trip.yaml"
    path.write_text(resolve.dump(config), encoding="utf-8")
    assert resolve.resolve({}, {}, path).pick(schema.ComparisonConfig) == config


def test_a_record_says_where_values_come_from_and_is_read_without_it(write, tmp_path):
    path = tmp_path / "config.yaml"
    source = write("arch: gan\nrecipe: {beta1: 0.3}\n")
    found = resolve.resolve({("recipe", "lr"): "0.5"}, {"GANGDA_SEED": "4"}, source).pick(schema.TrainConfig)
    path.write_text(resolve.record(found, path))
    sources = yaml.safe_load(path.read_text())["sources"]
    names = ("recipe.lr", "runtime.seed", "recipe.beta1", "method.r1")
    assert [sources[name] for name in names] == ["flag", "environment", str(source), "preset of gan"]
    assert "recipe.ema" not in sources
    again = resolve.resolve({("runtime", "seed"): "4"}, {}, path).pick(schema.TrainConfig)
    assert again == found
    assert resolve.dump(again) == resolve.dump(found) == path.read_text().partition("sources:")[0]
    sources["runtime.seed"] = "flag"  # all others come from the file itself
    assert yaml.safe_load(resolve.record(again, path))["sources"] == sources
    path.write_text("sources: [1]\n")
    assert yaml.safe_load(resolve.record(again, path))["sources"] == {"runtime.seed": "flag"}


def test_dump_of_a_training_names_the_architecture_first():
    text = resolve.dump(schema.TrainConfig(arch="madgan", spec=architectures.MadganSpec()))
    assert text.startswith("format_version: 1\n")
    assert "arch:\n  name: madgan\n" in text


def test_what_is_changed_in_a_section():
    found = resolve.resolve({("data", "image_size"): "16"}, {"GANGDA_DOWNLOAD": "1"})
    assert found.changed("data") == {"image_size": 16, "download": True}
    assert found.changed("runtime") == {}


def test_environment_names_follow_the_flags():
    found = resolve.resolve({}, {"GANGDA_DATA": "mnist", "GANGDA_SOURCE": "cifar10", "GANGDA_LR": "0.5"})
    assert (found.data.source, found.recipe.lr) == ("mnist", 0.5)


@pytest.mark.parametrize(
    ("key", "value", "flag"), [(("recipe", "lr"), "0.1", "--lr"), (("budget", "steps"), "5", "--steps")]
)
@pytest.mark.parametrize("arch", ["pca", "ppca"])
def test_what_is_fitted_takes_no_options_of_training(key, value, flag, arch):
    with pytest.raises(UsageError, match=f"^{flag}: {arch} is fitted at once, not trained; leave it out$"):
        resolve.resolve({("arch", "name"): arch, key: value}, {})


def test_a_word_stands_for_its_values():
    chosen = resolve.resolve({("compare", "ratios"): "auto"}, {})
    assert chosen.compare.ratios == schema.AUTO_RATIOS
    assert chosen.compare.ratios[0] == 0.0


@pytest.mark.parametrize(
    ("typed", "ratio"),
    [("auto", schema.AUTO_RATIOS), ("0.5", 0.5), ("0,0.5, 2", (0.0, 0.5, 2.0))],
)
def test_one_ratio_or_several(typed, ratio):
    assert resolve.resolve({("augment", "ratio"): typed}, {}).augment.ratio == ratio


@pytest.mark.parametrize("typed", ["", "0.5,", "some", "0,x"])
def test_what_is_no_ratio_is_refused(typed):
    with pytest.raises(UsageError, match=r"--ratio .*: expected a number, or several with commas, or auto"):
        resolve.resolve({("augment", "ratio"): typed}, {})


def test_variables_that_nothing_reads_are_said():
    environ = {
        "GANGDA_PERCLASS": "3",
        "GANGDA_PER_CLASS": "3",
        "GANGDA_CELL": "1",
        "GANGDA_CACHE": "x",
        "HOME": "y",
    }
    assert resolve.unread_variables(environ, ["--cell"]) == [
        "GANGDA_CELL: no option is read from this variable; give --cell",
        "GANGDA_PERCLASS: no option is read from this variable; did you mean 'GANGDA_PER_CLASS'?",
    ]
    assert resolve.unread_variables({"GANGDA_ZZZZZZ": "1"}) == [
        "GANGDA_ZZZZZZ: no option is read from this variable; unset it"
    ]
