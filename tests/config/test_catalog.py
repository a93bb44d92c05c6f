"""Every name of the catalog leads somewhere."""

import dataclasses
import importlib.util

import pytest

from gangda.config import architectures, catalog, methods, schema
from gangda.errors import UsageError

TABLES = {
    "architecture": catalog.ARCHITECTURES,
    "game": catalog.METHODS,
    "loss": catalog.LOSSES,
    "policy": catalog.POLICIES,
    "data set": catalog.SOURCES,
    "classifier": catalog.CLASSIFIERS,
    "transform": catalog.TRANSFORMS,
    "filter": catalog.FILTERS,
    "metric": catalog.METRICS,
}
ENTRIES = [(kind, name) for kind, table in TABLES.items() for name in table]


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_target_can_be_called(kind, name):
    target = TABLES[kind][name].target
    if importlib.util.find_spec(target.partition(":")[0]) is None:
        pytest.fail(f"{target}: no such module")
    assert callable(catalog.builder(kind, TABLES[kind], name))


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_summary_is_one_short_line(kind, name):
    summary = TABLES[kind][name].summary
    assert summary
    assert "\n" not in summary
    assert len(summary) <= 100


@pytest.mark.parametrize("name", catalog.ARCHITECTURES)
def test_architecture_has_a_spec_with_defaults_and_a_valid_preset(name):
    spec = architectures.spec_class(name)
    assert isinstance(spec(), architectures.ArchSpec)
    recipe, method = methods.default_options(spec.recipe, spec.method)
    known = {field.name for options in (recipe, method) for field in dataclasses.fields(options)}
    assert set(spec.recipe) <= known


@pytest.mark.parametrize("name", catalog.ARCHITECTURES)
def test_architecture_names_its_source(name):
    source = catalog.ARCHITECTURES[name].source
    assert source == "own" or any(character.isdigit() for character in source), "paper and year"


def test_lookup_names_the_nearest_and_all():
    with pytest.raises(UsageError, match=r"unknown architecture 'cdgan': did you mean 'cdcgan'\?.*madgan"):
        catalog.lookup("architecture", catalog.ARCHITECTURES, "cdgan")


def test_lookup_without_a_near_name():
    with pytest.raises(UsageError) as caught:
        catalog.lookup("loss", catalog.LOSSES, "zzz")
    assert "did you mean" not in str(caught.value)


def test_default_architecture_is_in_the_catalog_and_has_its_own_spec():
    default = schema.TrainConfig()
    assert type(default.spec) is architectures.spec_class(default.arch)
    assert dataclasses.is_dataclass(default.spec)
