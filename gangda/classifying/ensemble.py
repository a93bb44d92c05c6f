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
from gangda.runtime.files import lock_folder
from gangda.runtime.hashed_file import read_hashed_json, write_hashed_json
from gangda.runtime.progress import Reporter


@dataclass(frozen=True, eq=False)
class ClassifierEnsemble:
    """Classifiers, and what was measured when they were trained (plain values)."""

    members: tuple[FittedClassifier, ...]
    about: dict[str, Any]


def cached_ensemble(
    folder: Path,
    roles: Sequence[str],
    config: ClassifierConfig,
    context: DeviceContext,
    fit: Callable[[], ClassifierEnsemble],
    reporter: Reporter,
    *,
    shares: Mapping[str, type | UnionType],
) -> ClassifierEnsemble:
    """The ensemble of a folder, a file for each role; trained by `fit` and saved there if there is none yet.

    `shares`: the entries of `about`, each in [0, 1] or None, and the type of each.

    One process trains it, others that want the same one wait for it.
    """

    def load() -> ClassifierEnsemble | None:
        """None if there is none, a damaged one, or one of another configuration."""
        with contextlib.suppress(DataError):
            about = read_hashed_json(folder / f"{folder.name}.json")
            members = tuple(FittedClassifier.load(folder / f"{role}.safetensors", context) for role in roles)
            prints = [member.fingerprint for member in members]
            found = {name: about.get(name, ...) for name in shares}
            same = (about.get("config"), about.get("classifiers")) == (asdict(config), prints)
            if same and all(_is_share(found[name], kind) for name, kind in shares.items()):
                return ClassifierEnsemble(members, found)
        return None

    if (kept := load()) is not None:
        return kept
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(RunError):  # it cannot be locked: at worst several processes train the same
            stack.enter_context(lock_folder(folder, wait=True))
        if (kept := load()) is not None:  # another process may have trained it meanwhile
            return kept
        ensemble = fit()
        try:
            _save(folder, roles, config, ensemble)
        except RunError as error:  # a run folder that is read-only, say: only the next command trains again
            reporter.line(f"the classifiers are not saved for the next command: {error}")
    return ensemble


def _is_share(value: Any, kind: type | UnionType) -> bool:
    within = isinstance(value, float) and 0 <= value <= 1
    return isinstance(value, kind) and (value is None or within)


def _save(folder: Path, roles: Sequence[str], config: ClassifierConfig, ensemble: ClassifierEnsemble) -> None:
    for role, member in zip(roles, ensemble.members, strict=True):
        member.save(folder / f"{role}.safetensors")
    prints = [member.fingerprint for member in ensemble.members]
    values = {"classifiers": prints, **ensemble.about, "config": asdict(config)}
    write_hashed_json(folder / f"{folder.name}.json", values)
