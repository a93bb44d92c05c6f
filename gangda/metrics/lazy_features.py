"""The feature extractors of a score, each made when a metric first asks for it."""

import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from gangda.classifying.fit import FittedClassifier
from gangda.config.schema import ClassifierConfig
from gangda.data.images import LabelledImages, UInt8Array
from gangda.data.splits import DataSplits
from gangda.metrics.extractors import Extractor, Features, pixel_components, random_convolutions
from gangda.metrics.mode_counting import mode_extractor
from gangda.metrics.neighbours import spectrum
from gangda.metrics.scorer import cached_classifier, scorer_name
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import Reporter
from gangda.runtime.seeding import seed_for

PCA_LEAST = 200  # validation images below which principal components are fitted on the reference itself


class LazyFeatures(Mapping[str, Extractor]):
    """Extractors by name, each made when first asked for: a metric that is not wanted costs nothing."""

    def __init__(self, makers: Mapping[str, Callable[[], Extractor]]) -> None:
        self._makers = {name: functools.cache(make) for name, make in makers.items()}

    def __getitem__(self, name: str) -> Extractor:
        return self._makers[name]()

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def feature_extractors(
    splits: DataSplits,
    heldout: LabelledImages,
    classifier: ClassifierConfig,
    seed: int,
    context: DeviceContext,
    cache: Path | None,
    reporter: Reporter,
) -> LazyFeatures:
    """All extractors; the scorer's features (under its name) and logits, and the modes, need labels.

    Principal components are fitted on images that were neither trained on nor scored, if there are enough.
    """
    other = splits.validation if len(splits.validation) >= PCA_LEAST else heldout
    makers: dict[str, Callable[[], Extractor]] = {
        "randconv": lambda: random_convolutions(splits.train.image_shape, context),
        "pca": lambda: pixel_components(other.pixels),
        "spectrum": lambda: Extractor("spectrum", "1", spectrum),
    }
    if not splits.labelled:
        return LazyFeatures(makers)

    @functools.cache
    def scorer() -> FittedClassifier:
        own = seed_for(seed, "scorer")
        return cached_classifier(
            splits.train, classifier, seed=own, context=context, cache=cache, reporter=reporter
        )

    def of_scorer(name: str, embed: Callable[[UInt8Array], Features]) -> Extractor:
        return Extractor(name, f"{scorer().fingerprint}-{scorer().context.precision}", embed)

    name = scorer_name(classifier)
    makers[name] = lambda: of_scorer(name, scorer().features)
    makers["logits"] = lambda: of_scorer("logits", scorer().logits)
    modes = mode_extractor(splits.train, classifier, seed, context, reporter)
    if modes is not None:
        makers["modes"] = lambda: modes
    return LazyFeatures(makers)
