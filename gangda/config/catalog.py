"""Every name a user can type, and where it is built. Nothing here imports torch or numpy.

A new thing is one file (or one small function) and one line below; `--help`, completion, the tables in the documents
and the parametrised tests read these tables.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gangda.config.hints import suggestion
from gangda.errors import UsageError


@dataclass(frozen=True)
class Entry:
    """One name: where it is built ("module:attribute"), what it is, its paper, and the dataclass of its own options."""

    target: str
    summary: str
    source: str = ""
    spec: str = ""


def _within(package: str, specs: str = "") -> Callable[..., Entry]:
    """`Entry` with targets in a package (`build` unless named) and specs in the module `specs`."""

    def entry(target: str, summary: str, source: str = "", spec: str = "") -> Entry:
        target = target if ":" in target else f"{target}:build"
        return Entry(f"{package}.{target}", summary, source, spec and f"{specs}:{spec}")

    return entry


_net = _within("gangda.zoo", "gangda.config.architectures")
_report = _within("gangda.zoo", "gangda.config.presets")  # reproduces a published report or tutorial
_method = _within("gangda.training", "gangda.config.methods")
_loss = _within("gangda.training.adversarial")
_source = _within("gangda.data.sources")
_classifier = _within("gangda.classifying")
_transform = _within("gangda.traditional")
_filter = _within("gangda.sampling.filters")
_metric = _within("gangda.metrics")
_analysis = _within("gangda.comparing.analyses")
_format = _within("gangda.data.sample_set")

FORMATS: Mapping[str, Entry] = {
    "png": _format(
        "png:PNG", "class folders with one PNG per image: torchvision's and Hugging Face's imagefolder"
    ),
    "npz": _format(
        "npz_files:NPZ", "NPZ files of some thousand images: `images`, `labels`, `class_names`, ..."
    ),
    "idx": _format("idx_files:IDX", "IDX files: opens as `torchvision.datasets.MNIST(root)` if grey"),
    "tar": _format(
        "archives:TAR", "tar shards of PNGs for WebDataset, for file systems that hate small files"
    ),
    "zip": _format("archives:ZIP", "one zip of the class folders"),
    "parquet": _format("parquet:PARQUET", "a Parquet file for Hugging Face's `datasets` (needs pyarrow)"),
    "npz-keras": _format("npz_files:NPZ", "one NPZ file with Keras's `x_train`, `y_train`"),
    "npz-medmnist": _format("npz_files:NPZ", "one NPZ file with MedMNIST's `train_images`, `train_labels`"),
    "npz-guided-diffusion": _format("npz_files:NPZ", "one NPZ file with guided-diffusion's `arr_0`, `arr_1`"),
}

ARCHITECTURES: Mapping[str, Entry] = {
    "cdcgan": _net(
        "gan.cdcgan",
        "class-conditional DCGAN: conditional batch norm and a projection discriminator (the default)",
        "Mirza 2014; Radford 2016; Miyato 2018",
        "CdcganSpec",
    ),
    "acgan": _net("gan.acgan", "class-conditional, with an auxiliary classifier", "Odena 2017", "AcganSpec"),
    "sagan": _net("gan.sagan", "class-conditional, self-attention, spectral norm", "Zhang 2019", "SaganSpec"),
    "biggan": _net("gan.biggan", "class-conditional, small residual networks", "Brock 2019", "BigganSpec"),
    "wgan-gp": _net(
        "gan.cdcgan", "cdcgan with Wasserstein loss and gradient penalty", "Gulrajani 2017", "WganGpSpec"
    ),
    "dcgan": _net("gan.dcgan", "deep convolutional GAN, unconditional", "Radford 2016", "DcganSpec"),
    "gan": _net(
        "gan.gan", "original GAN: fully connected layers, unconditional", "Goodfellow 2014", "GanSpec"
    ),
    "madgan": _net(
        "gan.madgan", "K generators, (K+1)-way discriminator; conditional or not", "Ghosh 2018", "MadganSpec"
    ),
    "mixture-gan": _net(
        "gan.madgan:build_mixture",
        "K generators, discriminator that does not tell them apart; conditional or not",
        "Hoang 2018",
        "MixtureGanSpec",
    ),
    "gan-mlp": _report(
        "gan.gan:build_tutorial",
        "fully connected GAN with batch norm, unconditional",
        "Goodfellow 2014",
        "GanMlpSpec",
    ),
    "cgan": _report("gan.cgan", "original conditional GAN: fully connected layers", "Mirza 2014", "CganSpec"),
    "dcgan-5x5": _report(
        "reports.dcgan5x5", "DCGAN with 5x5 kernels (Keras), unconditional", "Radford 2016", "FiveByFiveSpec"
    ),
    "dcgan-upsample": _report(
        "reports.dcgan_upsample",
        "DCGAN with upsampling layers, unconditional",
        "Radford 2016",
        "UpsampleSpec",
    ),
    "ccgan": _report(
        "reports.dcgan_upsample", "class-conditional dcgan-upsample", "Mirza 2014; Radford 2016", "CcganSpec"
    ),
    "sagan-batchnorm": _report(
        "reports.sagan_batchnorm",
        "self-attention GAN with batch norm, unconditional",
        "Zhang 2019",
        "SaganBatchnormSpec",
    ),
    "madgan-separate": _report(
        "reports.dcgan5x5",
        "MAD-GAN without shared layers, unconditional",
        "Ghosh 2018",
        "MadganSeparateSpec",
    ),
    "flow": _net(
        "flow.generator",
        "flow matching with a U-Net or a transformer; conditional or not",
        "Lipman 2023; Liu 2023; Ronneberger 2015",
        "FlowSpec",
    ),
    "edm": _net(
        "flow.generator:build_edm",
        "denoising diffusion with EDM's preconditioning; conditional or not",
        "Karras 2022",
        "EdmSpec",
    ),
    "pca": _net(
        "closed_form.pca", "a Gaussian over each class's principal components", "Hotelling 1933", "PcaSpec"
    ),
    "ppca": _net("closed_form.pca", "probabilistic PCA of each class", "Tipping 1999", "PpcaSpec"),
}

METHODS: Mapping[str, Entry] = {
    "adversarial": _method(
        "adversarial.method:AdversarialMethod",
        "a generator against a discriminator",
        "Goodfellow 2014",
        "AdversarialOptions",
    ),
    "madgan": _method(
        "adversarial.madgan:MadganMethod",
        "K generators against a (K+1)-way discriminator",
        "Ghosh 2018",
        "MadganOptions",
    ),
    "flow-matching": _method(
        "flow_matching:FlowMatchingMethod",
        "a network learns the velocity from noise to images",
        "Lipman 2023; Liu 2023",
        "FlowMatchingOptions",
    ),
    "edm": _method(
        "flow_matching:EdmMethod",
        "a network learns to remove noise of any size",
        "Karras 2022",
        "FlowMatchingOptions",
    ),
    "closed-form": _method(
        "closed_form:ClosedFormMethod", "a fit without training steps", spec="ClosedFormOptions"
    ),
}

LOSSES: Mapping[str, Entry] = {
    "nonsaturating": _loss("losses:nonsaturating", "-log D(G(z)) for the generator", "Goodfellow 2014"),
    "minimax": _loss("losses:minimax", "log(1 - D(G(z))) for the generator", "Goodfellow 2014"),
    "hinge": _loss("losses:hinge", "hinge loss on raw scores", "Lim and Ye 2017"),
    "lsgan": _loss("losses:lsgan", "least squares to the targets 0 and 1", "Mao 2017"),
    "wasserstein": _loss(
        "losses:wasserstein", "difference of mean scores; needs --gp or --clip", "Arjovsky 2017"
    ),
    "relativistic": _loss(
        "losses:relativistic", "each fake against a real one; use with --r1, --r2", "Huang 2024"
    ),
}

# DiffAugment's changes of the discriminator's input.
POLICIES: Mapping[str, Entry] = {
    "translation": _loss("diffaugment:translate", "random shift by whole pixels", "Zhao 2020"),
    "color": _loss("diffaugment:colour", "random brightness, saturation and contrast", "Zhao 2020"),
    "cutout": _loss("diffaugment:cutout", "a blank square in some images", "Zhao 2020"),
}

SOURCES: Mapping[str, Entry] = {
    "digits": _source("digits:load", "1,797 handwritten digits, 8x8 grey, embedded (no download)"),
    "mnist": _source("torchvision_sets:load", "70,000 handwritten digits, 28x28 grey"),
    "fashion-mnist": _source("torchvision_sets:load", "70,000 articles of clothing, 28x28 grey"),
    "cifar10": _source("torchvision_sets:load", "60,000 photographs, 32x32 RGB, 10 classes"),
    "cifar100": _source("torchvision_sets:load", "60,000 photographs, 32x32 RGB, 100 classes"),
}

CLASSIFIERS: Mapping[str, Entry] = {
    "lenet": _classifier("networks:LeNet", "LeNet-5 with ReLU and max pooling", "LeCun 1998"),
    "resnet": _classifier("networks:ResNet", "small pre-activation residual network", "He 2016"),
    "logistic": _classifier("networks:Logistic", "logistic regression on pixels, a baseline", "Cox 1958"),
}

TRANSFORMS: Mapping[str, Entry] = {
    "rotation": _transform("transforms:rotation", "random rotation"),
    "translation": _transform("transforms:translation", "random shift"),
    "scaling": _transform("transforms:scaling", "random zoom"),
    "flip": _transform("transforms:flip", "random horizontal flip"),
    "blur": _transform("transforms:blur", "Gaussian blur with a random sigma"),
    "erasing": _transform("transforms:erasing", "Random Erasing: a blank rectangle at random"),
}

# A rejected sample counts for the first filter, in this order, that rejects it.
FILTERS: Mapping[str, Entry] = {
    "agreement": _filter(
        "agreement:Agreement",
        "drop samples that classifiers of real images take for another class",
        "Lampis 2023 (GaFi)",
    ),
    "discriminator": _filter(
        "discriminator:DiscriminatorRejection", "discriminator rejection sampling", "Azadi 2019"
    ),
    "duplicates": _filter(
        "duplicates:Duplicates", "drop copies of training images, shifted ones too, and repeated samples"
    ),
}

# In the order of the printed table.
METRICS: Mapping[str, Entry] = {
    "gan_test": _metric(
        "classifier_scores:gan_test", "accuracy on samples of a classifier trained on real images"
    ),
    "cas": _metric(
        "classifier_scores:cas", "accuracy on real test images of a classifier trained on samples"
    ),
    "is": _metric("classifier_scores:inception_score", "Inception Score, exp E KL(p(y|x) || p(y))"),
    "fid": _metric("distances:fid", "Frechet distance between Gaussians fitted to features"),
    "kid": _metric("distances:kid", "unbiased polynomial-kernel MMD between features"),
    "precision_recall": _metric("manifolds:precision_recall", "k-NN precision and recall"),
    "density_coverage": _metric("manifolds:density_coverage", "k-NN density and coverage"),
    "diversity": _metric("diversity:diversity", "diversity within each class, as a ratio to real images"),
    "sharpness": _metric("sharpness:sharpness", "variance of the Laplacian, as a ratio to real images"),
    "generators": _metric("generators:generators", "how much the generators of an ensemble differ"),
    "modes": _metric("modes:modes", "modes covered, and KL to uniform; stacked sets only"),
    "memorisation": _metric("memorisation:memorisation", "closeness to training images; an alarm"),
    "artefact": _metric("artefact:artefact", "AUC of a classifier that separates samples from real images"),
}

# Of a comparison, beside the verdict, in the order of the report.
ANALYSES: Mapping[str, Entry] = {
    "second_classifier": _analysis("second_classifier:SecondClassifier", "whether another classifier agrees"),
    "tuned_steps": _analysis("tuned_steps:TunedSteps", "every arm with steps chosen on validation images"),
    "policy": _analysis("policy:PolicyAnalysis", "traditional transforms chosen by cross-validation"),
    "repeat_check": _analysis(
        "repeat_check:RepeatCheck", "how far rounding alone moves the first difference"
    ),
    "plateau": _analysis("plateau:PlateauCheck", "whether each arm had reached its plateau"),
    "calibration": _analysis("calibration:Calibration", "arms whose outcome is known beforehand"),
    "exchange_rate": _analysis(
        "exchange_rate:ExchangeRateAnalysis", "how many real images the added ones are worth"
    ),
}


def lookup(kind: str, table: Mapping[str, Entry], name: str) -> Entry:
    """The entry called `name`, a `kind` of thing; a UsageError, with the nearest name and all of them, if none is."""
    if name in table:
        return table[name]
    raise UsageError(f"unknown {kind} '{name}': {suggestion(name, table)}choose one of {', '.join(table)}")


def load_target(target: str) -> Any:
    """Import "module:attribute" and return the attribute."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def builder(kind: str, table: Mapping[str, Entry], name: str) -> Callable[..., Any]:
    """The callable behind a catalog name."""
    return load_target(lookup(kind, table, name).target)  # type: ignore[no-any-return]
