"""Configuration files: YAML with one section per configuration class (`SECTIONS`), `arch` and `method`."""

import difflib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from gangda.config import catalog, renamed, schema
from gangda.config.architectures import spec_class
from gangda.config.fields import Checked, Field, fields_by_name, shortened
from gangda.config.methods import options_class
from gangda.errors import UsageError

FORMAT_VERSION = 1
SOURCES = "sources"  # of a recorded configuration: where its values came from; nothing is read from it
SECTIONS: Mapping[str, type[Checked]] = {
    "data": schema.DataConfig,
    "recipe": schema.Recipe,
    "budget": schema.Budget,
    "transforms": schema.TransformConfig,
    "classifier": schema.ClassifierConfig,
    "sampler": schema.SamplerOptions,
    "sample": schema.SampleConfig,
    "augment": schema.AugmentConfig,
    "score": schema.ScoreConfig,
    "compare": schema.CompareConfig,
    "tune": schema.TuneConfig,
    "runtime": schema.Runtime,
}

Sections = dict[str, dict[str, Any]]  # section -> key -> value


def read_config(path: Path) -> Sections:
    """A YAML file's sections; a UsageError where it is missing, not YAML, newer, or has unknown sections or keys."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"--config {path}: no such file") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"--config {path}: not readable as YAML ({error})") from None
    loaded = load_yaml(text, f"--config {path}")
    loaded.pop(SOURCES, None)
    return check_sections(loaded, f"--config {path}")


def load_yaml(text: str, where: str) -> dict[str, Any]:
    """A YAML mapping, without its `format_version`, or UsageError. `where` begins the messages."""
    import yaml  # 20 ms that --help need not pay

    try:
        loaded = yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:150]
        raise UsageError(f"{where}: not readable as YAML ({reason})") from None
    loaded = _mapping(loaded, where)
    version = loaded.pop("format_version", FORMAT_VERSION)
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise UsageError(f"{where}: format {shortened(version)} is newer than this gangda; update it")
    return loaded


def check_sections(loaded: Any, where: str) -> Sections:
    """Known sections with known keys, or UsageError; `arch: NAME` becomes a section. `where` begins the messages."""
    loaded = _mapping(loaded, where)
    check_keys(loaded, [*SECTIONS, "arch", "method"], where, "")
    sections = {name: _section(where, name, value) for name, value in loaded.items()}
    known = {name: list(options_of(name)) for name in (*SECTIONS, "method")}
    for name in sections.keys() & known.keys():
        for key in sections[name]:
            others = [other for other in ("recipe", "method", "sampler") if key in known[other]]
            if others and key not in known[name]:
                raise UsageError(f"{where}: unknown key {name}.{key}; did you mean {others[0]}.{key}?")
        check_keys(sections[name], known[name], where, f"{name}.")
    return sections


def merge_sections(
    below: Mapping[str, Mapping[str, Any]], above: Mapping[str, Mapping[str, Any]]
) -> Sections:
    """Both, key by key; where both have a value, the one above."""
    merged = {name: {**below.get(name, {}), **above.get(name, {})} for name in {**below, **above}}
    if above.get("arch", {}).get("name") not in (None, below.get("arch", {}).get("name")):
        merged["arch"] = dict(above["arch"])  # the other architecture's options mean nothing here
        merged.pop("method", None)
        merged |= {"method": dict(above["method"])} if "method" in above else {}
    return merged


def options_of(section: str) -> dict[str, dict[str, Field]]:
    """The options of a section: name -> {architecture or training method that has it, or "": its field}."""
    found: dict[str, dict[str, Field]] = {}
    classes: dict[str, type[Checked]] = {}
    if section == "arch":
        found["name"] = {"": schema.ARCH}
        classes.update((name, spec_class(name)) for name in catalog.ARCHITECTURES)
    elif section == "method":
        classes.update((name, options_class(name)) for name in catalog.METHODS)
    else:
        classes[""] = SECTIONS[section]
    for owner, kind in classes.items():
        for name, field in fields_by_name(kind).items():
            found.setdefault(name, {})[owner] = field
    return found


def _mapping(loaded: Any, where: str) -> dict[str, Any]:
    if loaded is not None and not isinstance(loaded, dict):
        raise UsageError(f"{where}: expected sections such as data:, arch:, runtime:")
    return loaded or {}


def _section(where: str, name: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if name == "arch" and isinstance(value, str):
        return {"name": value}
    if not isinstance(value, dict):
        raise UsageError(f"{where}: {name}: expected keys and values")
    if name == "arch" and not isinstance(value.get("name") or "", str):
        raise UsageError(f"{where}: arch.name {shortened(value['name'])}: expected text")
    return value


def check_keys(keys: Iterable[Any], known: Collection[str], where: str, prefix: str) -> None:
    """Raise UsageError at the first key that is not known; the nearest known one is named."""
    for key in (key for key in keys if key not in known):
        text = key if isinstance(key, str) and len(key) <= 60 else shortened(key)
        if outdated := renamed.key_message(text, known):
            raise UsageError(f"{where}: {prefix}{outdated}")
        near = difflib.get_close_matches(text, list(known), n=1)
        hint = f"did you mean {prefix}{near[0]}?" if near else f"known: {', '.join(known)}"
        raise UsageError(f"{where}: unknown key {prefix}{text}; {hint}")
