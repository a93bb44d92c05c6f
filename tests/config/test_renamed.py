"""The old name of an option says the new one, whether it is a flag, an environment variable or a YAML key."""

import pytest

from gangda.config import files, renamed, resolve
from gangda.config.fields import fields_by_name, flag_of, variable_of
from gangda.config.methods import MadganOptions
from gangda.errors import UsageError

CURRENT = {
    flag_of(field): (section, field.name)
    for section, cls in {**files.SECTIONS, "method": MadganOptions}.items()
    for field in fields_by_name(cls).values()
}


@pytest.mark.parametrize("old", renamed.FLAGS)
def test_only_names_that_are_gone_lead_to_names_that_exist(old):
    assert old not in CURRENT
    assert set(renamed.FLAGS[old]) <= set(CURRENT)


@pytest.mark.parametrize("old", renamed.FLAGS)
def test_environment_variable(old):
    new = " or ".join(map(variable_of, renamed.FLAGS[old]))
    with pytest.raises(UsageError, match=f"^{variable_of(old)} is now called {new}$"):
        resolve.resolve({("arch", "name"): "madgan"}, {variable_of(old): "1"})
    resolve.resolve({}, {variable_of(old): "1"}, used=("data",))
    resolve.resolve({}, {variable_of(old): ""})


@pytest.mark.parametrize("old", renamed.FLAGS)
def test_key_of_a_configuration_file(old, tmp_path):
    section = CURRENT[renamed.FLAGS[old][0]][0]
    name = " or ".join(CURRENT[new][1] for new in renamed.FLAGS[old])
    key = old[2:].replace("-", "_")
    path = tmp_path / "c.yaml"
    path.write_text(f"{section}: {{{key}: 1}}\n")
    with pytest.raises(UsageError, match=f"{path}: {section}.{key} is now called {name}$"):
        resolve.resolve({}, {}, path)
    path.write_text(f"data: {{{key}: 1}}\n")
    with pytest.raises(UsageError, match=f"unknown key data.{key}"):
        resolve.resolve({}, {}, path)
