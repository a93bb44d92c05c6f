"""Which experiment a folder belongs to: `plan.json`, written before anything else."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gangda.comparing.plan import ComparisonPlan, digest
from gangda.errors import RunError
from gangda.experiments import Experiment
from gangda.runtime.files import foreign_names, read_json, write_json
from gangda.runtime.locks import lock_folder

FILE, KIND = "plan.json", "experiment over settings"


@dataclass(frozen=True)
class Identity:
    """An experiment's name, and what may not change once its folder exists: anything but the number of seeds.

    `fixed`: plain values; metrics beside the one that variants are compared in may be added later.
    """

    name: str
    fixed: dict[str, Any]

    @classmethod
    def of(cls, asked: Experiment, plans: Mapping[str, ComparisonPlan], figure: str) -> "Identity":
        """Of a planned experiment; the order of its variants counts, as the first is the reference."""
        variants = [[name, plan.hash] for name, plan in plans.items()]
        fixed = {"measure": asked.measure, "figure": figure, "between": asked.between, "variants": variants}
        if asked.repeats > 1:
            fixed["repeats"] = asked.repeats
        return cls(asked.name, fixed)

    @property
    def hash(self) -> str:
        """SHA-256 (16 digits) of what is fixed."""
        return digest(self.fixed)

    def claim(self, out: Path) -> None:
        """Make the folder this experiment's, or see that it is.

        Raises:
            RunError: it is another experiment's, or somebody else's.
        """
        path = out / FILE
        # The plan is looked for after the names are read: what a start at the same time put there came after it.
        if foreign_names(out, (".lock",), (FILE,)) and not path.exists():
            raise RunError(f"{out}: not an experiment's folder, and not empty; choose another --out")
        with lock_folder(out, wait=True):
            if path.exists():
                self._refuse_another(read_json(path), out)
            else:
                write_json(path, {"kind": KIND, "name": self.name, "hash": self.hash, "fixed": self.fixed})

    def _refuse_another(self, there: Mapping[str, Any], out: Path) -> None:
        if there.get("kind") != KIND:
            raise RunError(f"{out / FILE}: not the plan of such an experiment; choose another --out")
        if there.get("name") != self.name:
            raise RunError(
                f"{out}: holds the experiment {there.get('name')}, not {self.name}; choose another --out"
            )
        if there.get("hash") != self.hash:
            raise RunError(
                f"{out}: holds {self.name} with other variants or settings than this command's; "
                f"a plan is not changed once made: choose another --out"
            )
