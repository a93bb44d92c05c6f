"""The value of every option and where it comes from: flag > GANGDA_* > --config > preset > default.

A configuration file is YAML with one section per configuration class (`SECTIONS`), `method`, and `arch`: a mapping
with the architecture's `name` and its own options. `dump` writes what `resolve` reads: the `config.yaml` of a run
folder is a valid `--config`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gangda.config import architectures, catalog, methods, renamed, schema
from gangda.config.field_types import convert
from gangda.config.fields import Checked, fields_of, flag_of, is_given, names_of, variable_of
from gangda.config.files import FORMAT_VERSION, SECTIONS, check_keys, method_fields, read_config, spec_fields
from gangda.errors import UsageError

Layer = tuple[str, Mapping[str, Any]]  # where the values come from, and the values by field name


@dataclass(frozen=True)
class Settings:
    """Every section, resolved. `origins` says where each value came from, keyed as in "data.per_class"."""

    data: schema.DataConfig
    arch: str
    spec: architectures.ArchSpec
    recipe: schema.Recipe
    method: methods.MethodOptions
    budget: schema.Budget
    transforms: schema.TransformConfig
    classifier: schema.ClassifierConfig
    sampler: schema.SamplerOptions
    sample: schema.SampleConfig
    augment: schema.AugmentConfig
    score: schema.ScoreConfig
    compare: schema.CompareConfig
    runtime: schema.Runtime
    origins: Mapping[str, str]

    def pick(self, target: type[Any], **replaced: Any) -> Any:
        """A configuration made of several sections, such as `TrainConfig`, filled from here."""
        return target(**{name: replaced.get(name, getattr(self, name)) for name in names_of(target)})

    @property
    def given_data(self) -> schema.DataConfig | None:
        """The data, where the user has named some."""
        return None if self.origins["data.source"] == "default" else self.data

    def changed(self, section: str) -> dict[str, Any]:
        """The values of a section that come from elsewhere than its defaults, by field name."""
        values = vars(getattr(self, section))
        return {
            name: value for name, value in values.items() if self.origins[f"{section}.{name}"] != "default"
        }

    def train_config(self) -> schema.TrainConfig:
        """What determines a generator."""
        config: schema.TrainConfig = self.pick(schema.TrainConfig)
        return config


def resolve(
    flags: Mapping[tuple[str, str], Any],
    environ: Mapping[str, str],
    config: Path | Layer | None = None,
    used: Collection[str] = (*SECTIONS, "arch", "method"),
) -> Settings:
    """Resolve all sections.

    Args:
        flags: values typed by the user, keyed by (section, field); the architecture is ("arch", "name").
        environ: the environment; `GANGDA_<FLAG>` counts for the sections in `used`.
        config: a YAML file, or its checked sections and what to call them.
        used: the sections of the command at hand.

    Raises:
        UsageError: an unknown key or value, options that exclude each other or are another architecture's.
    """
    source, file = (
        config if isinstance(config, tuple) else (str(config), read_config(config) if config else {})
    )
    arch, arch_origin = _arch_name(flags, environ if "arch" in used else {}, file, source)
    spec_class = architectures.spec_class(arch)
    method_class = methods.options_class(spec_class.method)
    _refuse_foreign_flags(arch, spec_class, method_class, flags)
    resolved: dict[str, Any] = {"arch": arch}
    origins = {"arch.name": arch_origin}
    for section, cls in {**SECTIONS, "method": method_class, "arch": spec_class}.items():
        preset = methods.preset(cls, spec_class.recipe) if section in ("recipe", "method") else {}
        layers = [
            ("flag", _flag_layer(section, cls, flags)),
            ("environment", _environment_layer(cls, environ) if section in used else {}),
            (source, _file_layer(section, cls, arch, file, source)),
            (f"preset of {arch}", preset),
        ]
        values, found = _merge(cls, layers)
        resolved["spec" if section == "arch" else section] = cls(**values)
        origins.update({f"{section}.{name}": found.get(name, "default") for name in names_of(cls)})
    return Settings(**resolved, origins=origins)


def dump(config: Any) -> str:
    """YAML text of a configuration made of sections (`TrainConfig`, ...), valid as `--config`."""
    import yaml

    text: str = yaml.safe_dump({"format_version": FORMAT_VERSION, **as_mapping(config)}, sort_keys=False)
    return text


def as_mapping(config: Any) -> dict[str, Any]:
    """The sections of a configuration as plain values; `arch` and `spec` become one mapping with a `name`."""
    values, sections = vars(config), {}
    for name, value in values.items():
        if name == "arch":
            sections["arch"] = {"name": value, **_plain(values["spec"])}
        elif name in SECTIONS or name == "method":
            sections[name] = _plain(value)
    return sections


def _plain(section: Checked) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(section).items()}


def _arch_name(
    flags: Mapping[tuple[str, str], Any],
    environ: Mapping[str, str],
    file: Mapping[str, dict[str, Any]],
    source: str,
) -> tuple[str, str]:
    candidates = (
        (flags.get(("arch", "name")), "flag"),
        (environ.get("GANGDA_ARCH"), "environment"),
        (file.get("arch", {}).get("name"), source),
        (schema.TrainConfig().arch, "default"),
    )
    return next((str(name), origin) for name, origin in candidates if name)


def _refuse_foreign_flags(
    arch: str,
    spec: type[architectures.ArchSpec],
    method: type[methods.MethodOptions],
    flags: Mapping[tuple[str, str], Any],
) -> None:
    """Refuse options of other architectures and methods, and shared ones that mean nothing to this method.

    Raises:
        UsageError: naming the architectures that have the option.
    """
    others = {"arch": (spec, spec_fields()), "method": (method, method_fields())}
    for section, name in flags:
        if section in others and (section, name) != ("arch", "name"):
            kind, owners = others[section]
            if name not in names_of(kind):
                field = next(iter(owners[name].values()))
                named = ", ".join(_architectures_of(section, owners[name]))
                raise UsageError(f"{flag_of(field)}: {arch} has no such option; it belongs to --arch {named}")
        elif section in ("recipe", "budget") and section not in method.sections:
            field = next(field for field in fields_of(SECTIONS[section]) if field.name == name)
            raise UsageError(f"{flag_of(field)}: {arch} is fitted at once, not trained; leave it out")


def _architectures_of(section: str, owners: Collection[str]) -> list[str]:
    """Architectures that have an option, by the architectures or methods that own it."""
    if section == "arch":
        return list(owners)
    return [arch for arch in catalog.ARCHITECTURES if architectures.spec_class(arch).method in owners]


def _flag_layer(section: str, cls: type[Checked], flags: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    given = {field: flags[section, field.name] for field in fields_of(cls) if (section, field.name) in flags}
    return {field.name: convert(field, value, flag_of(field)) for field, value in given.items()}


def _environment_layer(cls: type[Checked], environ: Mapping[str, str]) -> dict[str, Any]:
    if outdated := renamed.variable_message(environ, [flag_of(field) for field in fields_of(cls)]):
        raise UsageError(outdated)
    variables = {variable_of(flag_of(field)): field for field in fields_of(cls)}
    return {
        field.name: convert(field, environ[variable], variable)
        for variable, field in variables.items()
        if environ.get(variable)
    }


def _file_layer(
    section: str, cls: type[Checked], arch: str, file: Mapping[str, dict[str, Any]], source: str
) -> dict[str, Any]:
    """The file's values of a section. Options of an architecture (or method) other than the chosen one are left out.

    Raises:
        UsageError: an option that the file's own architecture, or its method, does not have.
    """
    values, known = dict(file.get(section, {})), {field.name: field for field in fields_of(cls)}
    named = str(file.get("arch", {}).get("name") or arch)
    if section == "arch":
        values.pop("name", None)
        check_keys(values, names_of(architectures.spec_class(named)), f"--config {source}", "arch.")
        values = values if named == arch else {}
    if section == "method":
        foreign = [name for name in values if name not in known]
        if foreign and named == arch:
            owners = ", ".join(_architectures_of("method", method_fields()[foreign[0]]))
            raise UsageError(
                f"--config {source}: method.{foreign[0]}: {arch} has no such option; it belongs to {owners}"
            )
        values = {name: value for name, value in values.items() if name in known}
    return {
        name: convert(known[name], value, f"{source}: {section}.{name}") for name, value in values.items()
    }


def _merge(cls: type[Checked], layers: Iterable[Layer]) -> tuple[dict[str, Any], dict[str, str]]:
    """Highest layer first. What excludes an option given in a higher layer is dropped, not a conflict."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, layer in layers:
        taken = {name for name, value in values.items() if is_given(value)}
        blocked = {name for group in cls.exclusive if taken.intersection(group) for name in group}
        for name, value in layer.items():
            if name not in values and name not in blocked:
                values[name], origins[name] = value, origin
    return values, origins
