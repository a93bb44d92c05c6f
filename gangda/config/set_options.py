"""Options of the sets that are written: samples and augmented sets; and of the metrics of a set."""

from dataclasses import dataclass, replace

from gangda.config import catalog
from gangda.config.fields import Checked, option

AUTO = "auto"
AUTO_RATIOS = (0.0, 0.25, 0.5, 1.0, 2.0)  # candidates where the ratio is chosen on validation images
CHECKPOINT = "weights of the best step on validation images, or of the last step"
FILTER = "drop samples that a filter rejects; auto: none or one of them, the best on validation images"
RATIO_FOR = "ratio of one class, as NAME=R or #INDEX=R; repeatable"
FILL = "fill every class up to this many times the largest, as in 0.5; 1 is --balance"
SCORES = ("accuracy", "balanced")
SHARD = "write part i of n, as in 2/8; the images do not depend on n"
SHARD_PATTERN = r"[1-9]\d*/[1-9]\d*"


@dataclass(frozen=True)
class SampleConfig(Checked):
    """How many samples of which classes, in which format."""

    exclusive = (("per_class", "counts"),)

    per_class: int | None = option(None, "samples of every class", minimum=1, maximum=10_000_000)
    counts: str | None = option(None, "samples of some classes, as in NAME=50,#3=200")
    format: str = option("png", "how the samples are written", choices=tuple(catalog.FORMATS))
    shard: str = option("1/1", SHARD, pattern=SHARD_PATTERN)
    checkpoint: str = option("best", CHECKPOINT, choices=("best", "last"))
    generator: int | None = option(None, "use only this generator of an ensemble (0 to K-1)", minimum=0)
    min_confidence: float = option(
        0.0, "unconditional generators: least confidence of a pseudo-label", minimum=0.0, maximum=1.0
    )
    filter: tuple[str, ...] = option((), "drop samples that a filter rejects", choices=tuple(catalog.FILTERS))


@dataclass(frozen=True)
class AugmentConfig(Checked):
    """What is added to the real set, or replaces a part of it. A ratio is synthetic images per real image."""

    exclusive = (
        ("ratio", "replace", "fill"),
        ("balance", "replace", "fill"),
        ("allocate", "replace", "fill"),
        ("allocate", "balance"),
    )

    method: str = option(
        "generated", "source of the synthetic images", choices=("generated", "traditional", "both")
    )
    balance: bool = option(
        False, "fill every class to the largest; with --ratio: add that many images, smallest classes first"
    )
    ratio: float | tuple[float, ...] | None = option(
        None,
        "synthetic images per real image; default 1 without --balance; auto (0,0.25,0.5,1,2) or several values: "
        "the best on validation images",
        minimum=0.0,
        words={"auto": AUTO_RATIOS},
    )
    fill: float | tuple[float, ...] | None = option(
        None, f"{FILL}; several values: as for --ratio", minimum=0.0
    )
    replace: float | None = option(
        None, "make this fraction of each class synthetic and keep its size", minimum=0.0, maximum=1.0
    )
    ratio_for: tuple[str, ...] = option((), RATIO_FOR, repeat=True)
    checkpoint: str = option("best", CHECKPOINT, choices=("best", "last"))
    format: str = option("npz", "how the set is written", choices=tuple(catalog.FORMATS))
    shard: str = option("1/1", SHARD, pattern=SHARD_PATTERN)
    filter: tuple[str, ...] = option((), FILTER, choices=(*catalog.FILTERS, AUTO))
    pseudo_label: bool = option(
        False,
        "also add the images of --unlabelled of whose class self-training is most certain, under that class",
    )
    allocate: str | None = option(
        None,
        "recall: same total, more images for classes with low recall on validation images",
        choices=("recall",),
    )
    score_by: str = option(
        "accuracy", "score on validation images: accuracy or balanced accuracy", choices=SCORES
    )

    @property
    def ratios(self) -> tuple[float | None, ...]:
        """The candidate ratios, or with `fill` levels; one where there is no choice."""
        given = self.ratio if self.fill is None else self.fill
        return given if isinstance(given, tuple) else (given,)

    @property
    def is_open(self) -> bool:
        """Whether something is to be found out on validation images."""
        return len(self.ratios) > 1 or AUTO in self.filter or self.allocate is not None

    def at(self, ratio: float | None) -> "AugmentConfig":
        """The same with one of the ratios: of several, 0 is the real images alone, whatever `ratio_for` says."""
        alone = ratio == 0 and len(self.ratios) > 1
        own = () if alone else self.ratio_for
        if self.fill is None:
            return replace(self, ratio=ratio, ratio_for=own)
        return replace(self, fill=ratio, ratio_for=own)


@dataclass(frozen=True)
class ScoreConfig(Checked):
    """Metrics, and the size of a rating page."""

    metrics: tuple[str, ...] = option(
        tuple(catalog.METRICS), "metrics to compute, comma-separated", choices=tuple(catalog.METRICS)
    )
    rating_images: int = option(
        16, "images of each set on a --rating-page, and as many real ones", minimum=1, maximum=1000
    )
