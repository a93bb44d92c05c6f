"""Classifiers that were trained for a run's samples, kept in the run folder for the next command."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from gangda.classifying.fit import FittedClassifier
from gangda.config.schema import ClassifierConfig
from gangda.errors import DataError, RunError
from gangda.runtime.device import DeviceContext
from gangda.runtime.hashed_file import read_hashed_json, write_hashed_json
from gangda.runtime.locks import lock_folder
from gangda.runtime.progress import Reporter


@dataclass(frozen=True, eq=False)
class ClassifierEnsemble:
    """Classifiers, and a share of images that was measured when they were trained: in [0, 1], or None."""

    members: tuple[FittedClassifier, ...]
    share: float | None


def cached_ensemble(
    folder: Path,
    roles: Sequence[str],
    measure: str,
    config: ClassifierConfig,
    context: DeviceContext,
    fit: Callable[[], ClassifierEnsemble],
    reporter: Reporter,
) -> ClassifierEnsemble:
    """The ensemble of a folder, a file for each role; trained by `fit` and saved there if there is none yet.

    `measure` names the share in the folder's JSON file. One process trains, others that want the same ensemble wait.
    """
    path = folder / f"{folder.name}.json"

    def load() -> ClassifierEnsemble | None:
        """None if there is none, a damaged one, or one of another configuration."""
        with contextlib.suppress(DataError):
            about = read_hashed_json(path)
            members = tuple(FittedClassifier.load(folder / f"{role}.safetensors", context) for role in roles)
            prints, share = [member.fingerprint for member in members], about.get(measure, "missing")
            same = (about.get("config"), about.get("classifiers")) == (asdict(config), prints)
            if same and (share is None or (isinstance(share, float) and 0 <= share <= 1)):
                return ClassifierEnsemble(members, share)
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
            for role, member in zip(roles, ensemble.members, strict=True):
                member.save(folder / f"{role}.safetensors")
            prints = [member.fingerprint for member in ensemble.members]
            values = {"classifiers": prints, measure: ensemble.share, "config": asdict(config)}
            write_hashed_json(path, values)
        except RunError as error:  # a run folder that is read-only, say: only the next command trains again
            reporter.line(f"the classifiers are not saved for the next command: {error}")
    return ensemble
