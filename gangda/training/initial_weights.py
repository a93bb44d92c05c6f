"""`--init-from`: the weights that a run starts with, from another run's networks."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gangda.config.schema import TrainConfig
from gangda.data.splits import DataSplits
from gangda.errors import RunError, UsageError
from gangda.runtime.runs import RunFolder
from gangda.training.saved_model import WEIGHTS, Model, load_model, load_network

MOST_NAMES = 6  # of tensors that start fresh, in a message


@dataclass(frozen=True, eq=False)
class InitialWeights:
    """The last weights of a run's networks. `digest`: hex hash (16 digits) of its files."""

    run: Path
    digest: str
    tensors: Mapping[str, Mapping[str, Tensor]]  # by network and name

    def load_into(self, modules: Mapping[str, nn.Module]) -> "Started":
        """Copy what is of the same name and shape; everything else stays as it was drawn.

        What a network takes from its data, such as a reference batch, is not copied.
        """
        copied, fresh = 0, []
        for network, module in modules.items():
            known, by_data = self.tensors.get(network, {}), getattr(module, "sized_by_data", ())
            for name, tensor in module.state_dict().items():
                found = known.get(name)
                if name in by_data or found is None or found.shape != tensor.shape:
                    fresh.append(f"{network}.{name}")
                    continue
                with torch.no_grad():
                    tensor.copy_(found)
                copied += 1
        return Started(str(self.run), self.digest, copied, tuple(fresh))


@dataclass(frozen=True)
class Started:
    """How a run has started, for `run.json`."""

    run: str
    weights: str
    copied: int  # tensors
    fresh: tuple[str, ...]  # names of those that were drawn

    def sentence(self) -> str:
        """In words."""
        total = self.copied + len(self.fresh)
        if not self.fresh:
            return f"starts from {self.run}: all {total} tensors"
        names = ", ".join(self.fresh[:MOST_NAMES])
        more = f" and {len(self.fresh) - MOST_NAMES} more" if len(self.fresh) > MOST_NAMES else ""
        fresh = f"{len(self.fresh)} do not fit and start fresh ({names}{more})"
        return f"starts from {self.run}: {self.copied} of {total} tensors; {fresh}"


def load_initial(config: TrainConfig, splits: DataSplits) -> InitialWeights | None:
    """What `--init-from` names, if anything.

    Raises UsageError: a run of another architecture; RunError: no trained run, or one that saw images of this data
    that this run must not see.
    """
    if config.recipe.init_from is None:
        return None
    run = Path(config.recipe.init_from)
    model = load_model(run, "last")
    if model.card.arch != config.arch:
        raise UsageError(
            f"--init-from {run}: is a {model.card.arch}, not a {config.arch}; give --arch {model.card.arch}"
        )
    _refuse_leak(run, model, splits)
    tensors: dict[str, Mapping[str, Any]] = {"generator": model.generator.state_dict()}
    for file in model.card.hashes:
        name = file.removesuffix(".safetensors")
        if file not in (*WEIGHTS.values(), name):
            tensors[name] = load_network(model, name).state_dict()
    digest = hashlib.sha256(repr(sorted(model.card.hashes.items())).encode()).hexdigest()[:16]
    return InitialWeights(run, digest, tensors)


def _refuse_leak(run: Path, model: Model, splits: DataSplits) -> None:
    """What the other run, and those that it started from, saw of the same source must be part of this run's subset."""
    place, known = run, {run}
    while True:
        outside = int((~np.isin(model.row_ids, splits.usable_rows)).sum())
        if outside and model.card.fingerprint == splits.fingerprint:
            who = "" if place == run else f"starts from {place}, which "
            raise RunError(
                f"--init-from {run}: {who}saw {outside} images of {splits.name} outside this subset, test images "
                f"perhaps; train it on the same subset (--seed {model.card.seed}), or on other data"
            )
        before = (RunFolder(place).state().get("init_from") or {}).get("run")
        if before is None or (place := Path(before)) in known:
            return
        known.add(place)
        try:
            model = load_model(place, "last")
        except RunError as error:
            what = f"starts from {place}, and what that saw cannot be told ({error})"
            raise RunError(f"--init-from {run}: {what}; put it back") from None
