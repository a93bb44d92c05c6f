"""Classifiers that were trained for a run's samples, kept in the run folder for the next command."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import UnionType
from typing import Any

from gangda.classifying.fit import FittedClassifier
from gangda.config.schema import ClassifierConfig
from gangda.errors import DataError, RunError
from gangda.runtime.device import DeviceContext
from gangda.runtime.locks import lock_folder
from gangda.runtime.progress import Reporter
from gangda.runtime.results import read_result, write_result


@dataclass(frozen=True, eq=False)
class ClassifierEnsemble:
    """Classifiers, and what was found out about them when they were trained (plain values)."""

    members: tuple[FittedClassifier, ...]
    about: dict[str, Any]


def kept_panel(
    folder: Path,
    roles: Sequence[str],
    config: ClassifierConfig,
    context: DeviceContext,
    fit: Callable[[], ClassifierEnsemble],
    reporter: Reporter,
    *,
    shares: Mapping[str, type | UnionType],
) -> ClassifierEnsemble:
    """The panel kept in a folder, a file for each role; made by `fit` and put there if there is none yet.

    `shares`: what `about` holds, each in [0, 1] or None, and the type of each.

    One process trains it, others that want the same one wait for it.
    """
    kept = _kept(folder, roles, config, context, shares)
    if kept is not None:
        return kept
    with contextlib.ExitStack() as held:
        with contextlib.suppress(RunError):  # it cannot be locked: at worst several processes train the same
            held.enter_context(lock_folder(folder, wait=True))
        kept = _kept(folder, roles, config, context, shares)  # another shard may have trained it meanwhile
        if kept is not None:
            return kept
        panel = fit()
        try:
            _keep(folder, roles, config, panel)
        except RunError as error:  # somebody else's run folder, say: only the next command trains anew
            reporter.line(f"what was trained is not kept: {error}")
    return panel


def _kept(
    folder: Path,
    roles: Sequence[str],
    config: ClassifierConfig,
    context: DeviceContext,
    shares: Mapping[str, type | UnionType],
) -> ClassifierEnsemble | None:
    """The panel of a folder; None if there is none, a damaged one, or one of another configuration."""
    with contextlib.suppress(DataError):
        about = read_result(folder / f"{folder.name}.json")
        members = tuple(FittedClassifier.load(folder / f"{role}.safetensors", context) for role in roles)
        prints = [member.fingerprint for member in members]
        if about.pop("config", None) == asdict(config) and about.pop("classifiers", None) == prints:
            found = {name: about.get(name, ...) for name in shares}
            if all(_is_share(found[name], kind) for name, kind in shares.items()):
                return ClassifierEnsemble(members, found)
    return None


def _is_share(value: Any, kind: type | UnionType) -> bool:
    within = isinstance(value, float) and 0 <= value <= 1
    return isinstance(value, kind) and (value is None or within)


def _keep(folder: Path, roles: Sequence[str], config: ClassifierConfig, panel: ClassifierEnsemble) -> None:
    for role, member in zip(roles, panel.members, strict=True):
        member.save(folder / f"{role}.safetensors")
    prints = [member.fingerprint for member in panel.members]
    write_result(
        folder / f"{folder.name}.json", {"classifiers": prints, **panel.about, "config": asdict(config)}
    )
