"""What is wrong with a source's images as data: copies, contradicting labels, leaks, synthetic, constant, confounds."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gangda.data.class_names import doubts
from gangda.data.confounds import PART, remarks, some_of
from gangda.data.images import REAL, IntArray, LabelledImages
from gangda.data.sources.raw import RawSource
from gangda.data.twins import Twins, first_positions, images_at, joined
from gangda.data.values import CONSTANT, ValueRange, part_values
from gangda.errors import DataError

SERIOUS = 0.01  # share of the test images from which nearly identical, mirrored or turned ones are told
CONSTANT_SHARE = 0.02  # of all images, from which nearly constant ones are told
_SHOWN = 3
_ALARM = "ALARM: "


def alarms_among(notes: Iterable[str]) -> tuple[str, ...]:
    """Those of the notes that bear on every result."""
    return tuple(note for note in notes if note.startswith(_ALARM))


def notes_on(where: str, notes: Iterable[str]) -> tuple[str, ...]:
    """The notes with what they are about, behind the word that makes an alarm of one."""
    return tuple(f"{_ALARM * note.startswith(_ALARM)}{where}: {note.removeprefix(_ALARM)}" for note in notes)


def refuse_synthetic(count: int, total: int, where: str) -> None:
    """A DataError about `where` for test images of ordinary files that gangda made."""
    if count:
        what = f"{count:,} of {total:,} test images were made by gangda, by their names or text"
        raise DataError(f"{where}: {what}; take them out: accuracy on them says nothing about real images")


@dataclass(frozen=True, eq=False)
class Findings:
    """About all images of a source, its training images first; positions count over both parts."""

    labels: IntArray  # int64 (N,)
    class_names: tuple[str, ...]
    twins: Twins
    groups: IntArray | None  # int64 (N,): images that stay in one split; None where every image is alone
    synthetic: IntArray  # int64 (K,), images of each class that gangda made, met in ordinary files
    constant: IntArray  # int64 (K,), nearly constant images of each class
    values: ValueRange | None = None  # None where they are known, as of named sets
    dropped: int = 0  # copies left out by --deduplicate
    confounds: tuple[str, ...] = ()
    own_test: bool = False  # the test split is the source's own, not drawn

    def across(self, trained: IntArray, tested: IntArray) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Alarms, and all counts as plain values, where these positions are trained on and tested on."""
        exact, near, labels = self.twins.exact, self.twins.near, self.labels
        copies = exact != np.arange(len(exact))
        classes = len(self.class_names)
        contradicting = _contradicting(exact, labels)
        alike, leaked = self.leaks(trained, tested)
        checks = {
            "values": "" if self.values is None else self.values.note,
            "copies": np.bincount(labels[copies], minlength=classes).tolist(),
            "dropped": self.dropped,
            "contradicting": len(contradicting),
            "near_copies": len(_twinned(near)) - len(_twinned(exact)),
            **leaked,
            "synthetic": self.synthetic.tolist(),
            "constant": self.constant.tolist(),
            "confounds": list(self.confounds),
        }
        in_train = leaked["test_images_in_train"]
        words = [self._copies(int(copies.sum()), contradicting, in_train, len(tested)), *alike]
        words += [self._synthetic(), self._constant(), *self.confounds]
        return tuple(word for word in words if word), checks

    def leaks(self, trained: IntArray, tested: IntArray) -> tuple[list[str], dict[str, int]]:
        """Alarms about images tested on that resemble one trained on; how many equal, resemble or mirror one."""
        exact, near = self.twins.exact, self.twins.near
        leaked = np.isin(exact[tested], exact[trained])
        near_leaked = np.isin(near[tested], near[trained]) & ~leaked
        # Of the same class: a 6 on its head may be a 9, an arrow mirrored the other arrow.
        turned = self.twins.turned * len(self.class_names) + self.labels
        turned_leaked = np.isin(turned[tested], turned[trained]) & ~leaked & ~near_leaked
        words = []
        for found, what in (
            (near_leaked, "nearly the same as one trained on"),
            (turned_leaked, "mirrored or turned copies of images trained on"),
        ):
            if (many := int(found.sum())) > SERIOUS * len(tested):
                drawn = "keep such groups together with --group-by"
                cure = "keep them out of one of the parts" if self.own_test else drawn
                flattered = f"accuracy is flattered; {cure}"
                words.append(f"ALARM: {many:,} of {len(tested):,} test images are {what}: {flattered}")
        counts = {
            "test_images_in_train": int(leaked.sum()),
            "test_images_nearly_in_train": int(near_leaked.sum()),
            "test_images_turned_in_train": int(turned_leaked.sum()),
        }
        return words, counts

    def _copies(self, copies: int, contradicting: IntArray, leaked: int, tested: int) -> str:
        """One sentence on identical images; empty where there are none."""
        if not copies:
            return ""
        parts = [f"{copies:,} of {len(self.labels):,} images are identical to another"]
        if leaked:
            parts.append(f"{leaked:,} of {tested:,} test images are also trained on")
        if len(contradicting):
            names = [self.class_names[label] for label in np.unique(self.labels[contradicting])[:_SHOWN]]
            parts.append(f"{len(contradicting):,} stand under different classes ({', '.join(names)})")
        cure = "--deduplicate keeps the first of each"
        rest = "" if leaked else "identical ones stay in one split; "
        serious = leaked or len(contradicting)
        return f"{'ALARM: ' if serious else ''}{', '.join(parts)}; {rest}{cure}"

    def _synthetic(self) -> str:
        if not self.synthetic.any():
            return ""
        what = f"{int(self.synthetic.sum()):,} of {len(self.labels):,} images were made by gangda"
        cure = "some may be made from test images: give the set's own folder, with its index.json"
        return f"ALARM: {what}, by their names or text; none is held back for testing, but {cure}"

    def _constant(self) -> str:
        have = np.bincount(self.labels, minlength=len(self.constant))
        total = int(self.constant.sum())
        if total <= CONSTANT_SHARE * len(self.labels) and not (2 * self.constant > have).any():
            return ""
        what = f"{total:,} of {len(self.labels):,} images are nearly constant"
        return f"ALARM: {what}: look at them, and at their values (--value-range LOW,HIGH scales others)"


def _twinned(groups: IntArray) -> IntArray:
    """Positions of the images that are not alone in their group."""
    return np.flatnonzero(np.bincount(groups, minlength=len(groups))[groups] > 1)


def _contradicting(exact: IntArray, labels: IntArray) -> IntArray:
    """Positions of images whose identical ones stand under another class."""
    members = _twinned(exact)
    if not len(members):
        return members
    order = members[np.argsort(exact[members], kind="stable")]
    starts = np.flatnonzero(np.r_[True, np.diff(exact[order]) > 0])
    low, high = (ufunc.reduceat(labels[order], starts) for ufunc in (np.minimum, np.maximum))
    sizes = np.diff(np.r_[starts, len(order)])
    return np.sort(order[np.repeat(low != high, sizes)])


def findings_of(
    train: LabelledImages, test: LabelledImages | None, twins: Twins, raw: RawSource | None, dropped: int = 0
) -> Findings:
    """What is wrong with these images as data; `raw`: where they come from, None for a set that gangda wrote."""
    parts = [train] if test is None else [train, test]
    labels = np.concatenate([part.labels for part in parts])
    row_ids = np.concatenate([part.row_id for part in parts])
    extremes = [part_values("images", part.pixels) for part in parts]
    flat = np.concatenate([part.highs - part.lows for part in extremes]) < CONSTANT
    made = np.concatenate([part.origin for part in parts]) != REAL
    groups, classes = twins.exact, train.num_classes
    confounds: tuple[str, ...] = ()
    if raw is not None:
        if raw.groups is not None:
            groups = joined(groups, first_positions(raw.groups[row_ids]))
        # A picture that is there several times would seem to tell its class.
        rows = some_of(np.unique(twins.near))
        facts = None if raw.facts is None else raw.facts.take(row_ids[rows])
        shown = images_at([part.pixels for part in parts], rows)
        tested = (rows >= len(train)).astype(np.int64)
        confounds = (
            *doubts(train.class_names),
            *remarks(shown, labels[rows], train.class_names, facts),
            *remarks(shown, tested, ("training images", "test images")[: len(parts)], facts, PART),
        )
    return Findings(
        labels=labels,
        class_names=train.class_names,
        twins=twins,
        groups=groups if len(np.unique(groups)) < len(groups) else None,
        synthetic=np.bincount(labels[made & (raw is not None)], minlength=classes),
        constant=np.bincount(labels[flat], minlength=classes),
        values=None if raw is None else raw.value_range,
        dropped=dropped,
        confounds=confounds,
        own_test=test is not None,
    )
