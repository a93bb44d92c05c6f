"""The value of every option and where it comes from: flag > GANGDA_* > --config > preset > default.

A configuration file is YAML with one section per configuration class (`SECTIONS`), `method`, and `arch`: a mapping
with the architecture's `name` and its own options. `dump` writes what `resolve` reads: the `config.yaml` of a run
folder is a valid `--config`.
"""

import contextlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, cast

from gangda.config import architectures, catalog, methods, renamed, schema
from gangda.config.fields import (
    Checked,
    convert,
    fields_by_name,
    flag_of,
    is_given,
    recorded,
    refuse_both,
    variable_of,
)
from gangda.config.files import (
    FORMAT_VERSION,
    SECTIONS,
    SOURCES,
    check_keys,
    load_yaml,
    options_of,
    read_config,
)
from gangda.config.hints import suggestion
from gangda.errors import UsageError

T = TypeVar("T")
OTHER_VARIABLES = ("GANGDA_CACHE", "GANGDA_DATA_FOLDER")  # folders, see data/paths.py
Layer = tuple[str, Mapping[str, Any]]  # where the values come from, and the values by field name


@dataclass(frozen=True)
class Settings(schema.ComparisonConfig):
    """Every section, resolved; `origins` has every option."""

    sample: schema.SampleConfig = schema.SampleConfig()
    augment: schema.AugmentConfig = schema.AugmentConfig()
    score: schema.ScoreConfig = schema.ScoreConfig()
    tune: schema.TuneConfig = schema.TuneConfig()

    def pick(self, target: type[T]) -> T:
        """A configuration made of several sections, such as `TrainConfig`, filled from here."""
        return target(**{field.name: getattr(self, field.name) for field in fields(cast(Any, target))})

    @property
    def asked(self) -> frozenset[str]:
        """The options that come from elsewhere than the defaults, as in "data.per_class"."""
        return frozenset(name for name, origin in self.origins.items() if origin != "default")

    @property
    def given_data(self) -> schema.DataConfig | None:
        """The data, where the user has named some."""
        return None if self.origins["data.source"] == "default" else self.data

    def changed(self, section: str) -> dict[str, Any]:
        """The values of a section that come from elsewhere than its defaults, by field name."""
        values = vars(getattr(self, section)).items()
        return {name: value for name, value in values if self.origins[f"{section}.{name}"] != "default"}


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

    Raises UsageError: an unknown key or value, options that exclude each other or are another architecture's.
    """
    if not isinstance(config, tuple):
        config = (str(config), read_config(config) if config else {})
    source, file = config
    candidates = (
        ("flag", flags.get(("arch", "name"))),
        ("environment", environ.get("GANGDA_ARCH") if "arch" in used else None),
        (source, file.get("arch", {}).get("name")),
        ("default", schema.ARCH.default),
    )
    arch_origin, arch = next((origin, str(name)) for origin, name in candidates if name)
    spec_class = architectures.spec_class(arch)
    method_class = methods.options_class(spec_class.method)
    _refuse_foreign_flags(arch, spec_class, method_class, flags)
    resolved: dict[str, Any] = {"arch": arch}
    origins = {"arch.name": arch_origin}
    for section, cls in {**SECTIONS, "method": method_class, "arch": spec_class}.items():
        preset = methods.preset(cls, spec_class.recipe) if section in ("recipe", "method") else {}
        own = fields_by_name(cls)
        typed = [name for name in own if (section, name) in flags]
        layers = [
            ("flag", {name: convert(own[name], flags[section, name], flag_of(own[name])) for name in typed}),
            ("environment", _environment_layer(cls, environ) if section in used else {}),
            (source, _file_layer(section, cls, arch, file, source)),
            (f"preset of {arch}", preset),
        ]
        values, found = _merge(cls, layers)
        resolved["spec" if section == "arch" else section] = cls(**values)
        origins.update({f"{section}.{name}": found.get(name, "default") for name in fields_by_name(cls)})
    return Settings(**resolved, origins=origins)


def dump(config: Any) -> str:
    """YAML text of a configuration made of sections (`TrainConfig`, ...), valid as `--config`."""
    import yaml

    return yaml.safe_dump({"format_version": FORMAT_VERSION, **as_mapping(config)}, sort_keys=False)


def record(config: Any, path: Path) -> str:
    """`dump` for the file `path`, and under `sources` where each value comes from that is no default.

    What comes from this very file, which is written anew, keeps its source.
    """
    import yaml

    before: Any = None
    with contextlib.suppress(OSError, ValueError, UsageError):
        before = load_yaml(path.read_text(encoding="utf-8"), str(path)).get(SOURCES)
    before = before if isinstance(before, dict) else {}
    sections = as_mapping(config)
    found = {
        key: before.get(key, "default") if Path(origin).absolute() == path.absolute() else origin
        for key, origin in config.origins.items()
        if key.partition(".")[0] in sections
    }
    sources = {key: origin for key, origin in found.items() if origin != "default"}
    return dump(config) + (yaml.safe_dump({SOURCES: sources}, sort_keys=False) if sources else "")


def as_mapping(config: Any) -> dict[str, Any]:
    """The sections of a configuration as plain values; `arch` and `spec` become one mapping with a `name`."""
    sections = {
        "arch" if section == "spec" else section: {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in recorded(values).items()
        }
        for section, values in sorted(vars(config).items(), key=lambda item: item[0] == "runtime")
        if isinstance(values, Checked)
    }
    sections["arch"] = {"name": config.arch, **sections["arch"]}
    return sections


def _refuse_foreign_flags(
    arch: str,
    spec: type[architectures.ArchSpec],
    method: type[methods.MethodOptions],
    flags: Mapping[tuple[str, str], Any],
) -> None:
    """Refuse options of other architectures and methods, and shared ones that mean nothing to this method."""
    for section, name in flags:
        own = {"arch": spec, "method": method}.get(section)
        if own is not None and name not in fields_by_name(own) and (section, name) != ("arch", "name"):
            owners = options_of(section)[name]
            flag, named = flag_of(next(iter(owners.values()))), _architectures_of(section, owners)
            raise UsageError(f"{flag}: {arch} has no such option; it belongs to --arch {named}")
        if section in ("recipe", "budget") and section not in method.sections:
            flag = flag_of(fields_by_name(SECTIONS[section])[name])
            raise UsageError(f"{flag}: {arch} is fitted at once, not trained; leave it out")


def _architectures_of(section: str, owners: Collection[str]) -> str:
    """Architectures that have an option, by the architectures ("arch") or methods that own it."""
    if section == "arch":
        return ", ".join(owners)
    methods = {arch: architectures.spec_class(arch).method for arch in catalog.ARCHITECTURES}
    return ", ".join(arch for arch, method in methods.items() if method in owners)


def _environment_layer(cls: type[Checked], environ: Mapping[str, str]) -> dict[str, Any]:
    known = fields_by_name(cls)
    if outdated := renamed.variable_message(environ, list(map(flag_of, known.values()))):
        raise UsageError(outdated)
    variables = {variable_of(flag_of(field)): field for field in known.values()}
    return {
        field.name: convert(field, environ[variable], variable)
        for variable, field in variables.items()
        if environ.get(variable)
    }


def unread_variables(environ: Mapping[str, str], own: Collection[str] = ()) -> list[str]:
    """A remark on each `GANGDA_*` variable that no command reads; `own` are flags that have no variable."""
    flags = [
        flag_of(field)
        for section in (*SECTIONS, "arch", "method")
        for owners in options_of(section).values()
        for field in owners.values()
    ]
    known = {*OTHER_VARIABLES, *map(variable_of, flags)}
    typed = {variable_of(flag): flag for flag in own}
    remarks = []
    for name in sorted(name for name in environ if name.startswith("GANGDA_") and name not in known):
        advice = (
            f"give {typed[name]}"
            if name in typed
            else suggestion(name, known, "GANGDA_").strip() or "unset it"
        )
        remarks.append(f"{name}: no option is read from this variable; {advice}")
    return remarks


def _file_layer(
    section: str, cls: type[Checked], arch: str, file: Mapping[str, dict[str, Any]], source: str
) -> dict[str, Any]:
    """The file's values of a section, without those of an architecture that the file names and was not chosen."""
    values, known = dict(file.get(section, {})), fields_by_name(cls)
    named = str(file.get("arch", {}).get("name") or arch)
    if section == "arch":
        values.pop("name", None)
        check_keys(values, fields_by_name(architectures.spec_class(named)), f"--config {source}", "arch.")
        values = values if named == arch else {}
    if section == "method":
        foreign = [name for name in values if name not in known]
        if foreign and named == arch:
            owners = _architectures_of("method", options_of("method")[foreign[0]])
            where = f"--config {source}: method.{foreign[0]}"
            raise UsageError(f"{where}: {arch} has no such option; it belongs to {owners}")
        values = {name: value for name, value in values.items() if name in known}
    return {
        name: convert(known[name], value, f"{source}: {section}.{name}") for name, value in values.items()
    }


def _merge(cls: type[Checked], layers: Iterable[Layer]) -> tuple[dict[str, Any], dict[str, str]]:
    """Highest layer first. What excludes an option given in a higher layer is dropped; two flags are a UsageError."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, layer in layers:
        if origin == "flag":
            refuse_both(cls, [name for name, value in layer.items() if is_given(value)])
        taken = {name for name, value in values.items() if is_given(value)}
        blocked = {name for group in cls.exclusive if taken.intersection(group) for name in group}
        for name, value in layer.items():
            if name not in values and name not in blocked:
                values[name], origins[name] = value, origin
    return values, origins
