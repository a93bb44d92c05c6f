"""Kinds of features, each made when a metric first asks for it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from gangda.classifying.fitted_classifier import FittedClassifier
from gangda.data.images import LabelledImages, UInt8Array
from gangda.data.splits import DataSplits
from gangda.metrics.extractors import Extractor, Features, pixel_components, random_convolutions
from gangda.metrics.neighbours import spectrum
from gangda.runtime.device import DeviceContext

PCA_LEAST = 200  # validation images below which principal components are fitted on the reference itself

T = TypeVar("T")
Kinds = Mapping[str, Extractor]
Makers = dict[str, Callable[[], Extractor]]


class LazyFeatures(Mapping[str, T]):
    """Values made when first asked for: a metric that is not wanted costs nothing."""

    def __init__(self, names: Iterable[str], make: Callable[[str], T]) -> None:
        self._names, self._make, self._made = tuple(names), make, dict[str, T]()

    def __getitem__(self, name: str) -> T:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def label_free(splits: DataSplits, heldout: LabelledImages, context: DeviceContext) -> Makers:
    """The kinds no label has touched; components from images neither trained on nor scored, if any."""
    other = splits.validation if len(splits.validation) >= PCA_LEAST else heldout
    return {
        "randconv": lambda: random_convolutions(splits.train.image_shape, context),
        "pca": lambda: pixel_components(other.pixels),
        "spectrum": lambda: Extractor("spectrum", "1", spectrum),
    }


def of_scorer(name: str, scorer: Callable[[], FittedClassifier]) -> Makers:
    """The classifier's features, under its name, and its logits."""

    def kind(name: str, embed: Callable[[UInt8Array], Features]) -> Extractor:
        return Extractor(name, f"{scorer().fingerprint}-{scorer().context.precision}", embed)

    return {
        name: lambda: kind(name, scorer().features),
        "logits": lambda: kind("logits", scorer().logits),
    }
