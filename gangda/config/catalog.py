"""Every name a user can type, and where it is built. Nothing here imports torch or numpy.

Adding a thing is one file (or one small function) and one line below; `--help`, completion, the
README's tables and the parametrised checks read these tables.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gangda.errors import UsageError, suggestion


@dataclass(frozen=True)
class Entry:
    """One name: what it is, where it lives, and where it comes from.

    `target` is "module:attribute"; so is `spec`, the dataclass of what has options of its own.
    """

    target: str
    summary: str
    source: str = ""
    spec: str = ""


ARCHITECTURES: Mapping[str, Entry] = {
    "cdcgan": Entry(
        "gangda.zoo.gan.cdcgan:build",
        "class-conditional DCGAN: conditional batch norm, projection discriminator (the default)",
        "Mirza 2014; Radford 2016; Miyato 2018",
        "gangda.config.architectures:CdcganSpec",
    ),
    "acgan": Entry(
        "gangda.zoo.gan.acgan:build",
        "class-conditional, with a discriminator that also names the class",
        "Odena 2017",
        "gangda.config.architectures:AcganSpec",
    ),
    "sagan": Entry(
        "gangda.zoo.gan.sagan:build",
        "class-conditional, with self-attention and spectral norm in both networks",
        "Zhang 2019",
        "gangda.config.architectures:SaganSpec",
    ),
    "biggan": Entry(
        "gangda.zoo.gan.biggan:build",
        "class-conditional residual networks, small: shared class embedding, z in every block, attention",
        "Brock 2019",
        "gangda.config.architectures:BigganSpec",
    ),
    "wgan-gp": Entry(
        "gangda.zoo.gan.cdcgan:build",
        "the default's layers under the Wasserstein loss with gradient penalty",
        "Gulrajani 2017",
        "gangda.config.architectures:WganGpSpec",
    ),
    "dcgan": Entry(
        "gangda.zoo.gan.dcgan:build",
        "deep convolutional GAN, unconditional",
        "Radford 2016",
        "gangda.config.architectures:DcganSpec",
    ),
    "gan": Entry(
        "gangda.zoo.gan.gan:build",
        "the original GAN of fully connected layers, unconditional",
        "Goodfellow 2014",
        "gangda.config.architectures:GanSpec",
    ),
    "madgan": Entry(
        "gangda.zoo.gan.madgan:build",
        "K generators against one (K+1)-way discriminator; conditional or not",
        "Ghosh 2018",
        "gangda.config.architectures:MadganSpec",
    ),
    "gan-mlp": Entry(
        "gangda.zoo.gan.gan:build_tutorial",
        "fully connected GAN with batch norm, as tutorials build it; unconditional",
        "Goodfellow 2014",
        "gangda.config.presets:GanMlpSpec",
    ),
    "cgan": Entry(
        "gangda.zoo.gan.cgan:build",
        "the original conditional GAN of fully connected layers",
        "Mirza 2014",
        "gangda.config.presets:CganSpec",
    ),
    "dcgan-5x5": Entry(
        "gangda.zoo.reports.dcgan5x5:build",
        "DCGAN with 5x5 kernels as in Keras's tutorial, unconditional",
        "Radford 2016",
        "gangda.config.presets:FiveByFiveSpec",
    ),
    "dcgan-upsample": Entry(
        "gangda.zoo.reports.dcgan_upsample:build",
        "DCGAN that upsamples and convolves; width and depth factors; unconditional",
        "Radford 2016",
        "gangda.config.presets:UpsampleSpec",
    ),
    "ccgan": Entry(
        "gangda.zoo.reports.dcgan_upsample:build",
        "dcgan-upsample with labels: one-hot for the generator, a plane for the discriminator",
        "Mirza 2014; Radford 2016",
        "gangda.config.presets:CcganSpec",
    ),
    "sagan-batchnorm": Entry(
        "gangda.zoo.reports.sagan_batchnorm:build",
        "self-attention GAN with batch norm for 32x32, unconditional",
        "Zhang 2019",
        "gangda.config.presets:SaganBatchnormSpec",
    ),
    "madgan-separate": Entry(
        "gangda.zoo.reports.dcgan5x5:build_separate",
        "MAD-GAN whose generators share nothing, unconditional",
        "Ghosh 2018",
        "gangda.config.presets:MadganSeparateSpec",
    ),
    "flow": Entry(
        "gangda.zoo.flow.unet:build",
        "small flow-matching U-Net, class-conditional",
        "Lipman 2023; Liu 2023; Ronneberger 2015",
        "gangda.config.architectures:FlowSpec",
    ),
    "pca": Entry(
        "gangda.zoo.closed_form.pca:build",
        "a Gaussian in each class's principal components: the non-neural control",
        "Hotelling 1933",
        "gangda.config.architectures:PcaSpec",
    ),
    "ppca": Entry(
        "gangda.zoo.closed_form.pca:build_ppca",
        "probabilistic PCA of each class: components, and noise for what they leave out",
        "Tipping 1999",
        "gangda.config.architectures:PpcaSpec",
    ),
}

METHODS: Mapping[str, Entry] = {
    "adversarial": Entry(
        "gangda.training.adversarial.method:AdversarialMethod",
        "a generator (or a mixture) against a discriminator",
        "Goodfellow 2014",
        "gangda.config.methods:AdversarialOptions",
    ),
    "madgan": Entry(
        "gangda.training.adversarial.madgan:MadganMethod",
        "K generators against a discriminator that says which of them made an image",
        "Ghosh 2018",
        "gangda.config.methods:MadganOptions",
    ),
    "flow-matching": Entry(
        "gangda.training.flow_matching:FlowMatchingMethod",
        "a network learns the velocity from noise to images",
        "Lipman 2023; Liu 2023",
        "gangda.config.methods:FlowMatchingOptions",
    ),
    "closed-form": Entry(
        "gangda.training.closed_form:ClosedFormMethod",
        "a fit without training steps",
        spec="gangda.config.methods:ClosedFormOptions",
    ),
}

LOSSES: Mapping[str, Entry] = {
    "nonsaturating": Entry(
        "gangda.training.adversarial.losses:nonsaturating",
        "-log D(G(z)) for the generator",
        "Goodfellow 2014",
    ),
    "minimax": Entry(
        "gangda.training.adversarial.losses:minimax", "log(1 - D(G(z))) for the generator", "Goodfellow 2014"
    ),
    "hinge": Entry(
        "gangda.training.adversarial.score_losses:hinge", "hinge loss on raw scores", "Lim and Ye 2017"
    ),
    "lsgan": Entry(
        "gangda.training.adversarial.score_losses:lsgan", "least squares to the targets 0 and 1", "Mao 2017"
    ),
    "wasserstein": Entry(
        "gangda.training.adversarial.score_losses:wasserstein",
        "difference of mean scores; wants --gp or --clip",
        "Arjovsky 2017",
    ),
    "relativistic": Entry(
        "gangda.training.adversarial.score_losses:relativistic",
        "each fake against a real image; wants --r1, --r2",
        "Huang 2024",
    ),
}

# DiffAugment's: what may be changed in all that the discriminator sees.
POLICIES: Mapping[str, Entry] = {
    "translation": Entry(
        "gangda.training.adversarial.diffaugment:translate", "shift by whole pixels", "Zhao 2020"
    ),
    "color": Entry(
        "gangda.training.adversarial.diffaugment:colour",
        "other brightness, saturation and contrast",
        "Zhao 2020",
    ),
    "cutout": Entry(
        "gangda.training.adversarial.diffaugment:cutout",
        "a square hole in some images",
        "Zhao 2020",
    ),
}

SOURCES: Mapping[str, Entry] = {
    "digits": Entry(
        "gangda.data.sources.digits:load", "1,797 handwritten digits, 8x8 grey, embedded (no download)"
    ),
    "mnist": Entry("gangda.data.sources.torchvision_sets:load", "70,000 handwritten digits, 28x28 grey"),
    "fashion-mnist": Entry(
        "gangda.data.sources.torchvision_sets:load", "70,000 articles of clothing, 28x28 grey"
    ),
    "cifar10": Entry(
        "gangda.data.sources.torchvision_sets:load", "60,000 photographs, 32x32 RGB, 10 classes"
    ),
    "cifar100": Entry(
        "gangda.data.sources.torchvision_sets:load", "60,000 photographs, 32x32 RGB, 100 classes"
    ),
}

CLASSIFIERS: Mapping[str, Entry] = {
    "lenet": Entry(
        "gangda.classifying.networks.lenet:LeNet", "LeNet-5 with ReLU and max pooling", "LeCun 1998"
    ),
    "resnet": Entry(
        "gangda.classifying.networks.resnet:ResNet", "small pre-activation residual network", "He 2016"
    ),
    "logistic": Entry(
        "gangda.classifying.networks.logistic:Logistic", "logistic regression on pixels: a floor", "Cox 1958"
    ),
}

TRANSFORMS: Mapping[str, Entry] = {
    "rotation": Entry("gangda.traditional.transforms:rotation", "rotation by up to some degrees either way"),
    "translation": Entry(
        "gangda.traditional.transforms:translation", "shift by up to a fraction of the side"
    ),
    "scaling": Entry("gangda.traditional.transforms:scaling", "zoom by a factor from a range"),
    "flip": Entry("gangda.traditional.transforms:flip", "mirroring left and right, at random"),
    "blur": Entry("gangda.traditional.transforms:blur", "Gaussian blur with a random sigma"),
    "erasing": Entry("gangda.traditional.erasing:erasing", "Random Erasing: a blank rectangle, at random"),
}

# What may stay of the samples of a trained generator. A sample counts for the first, in this order, that rejects it.
FILTERS: Mapping[str, Entry] = {
    "agreement": Entry(
        "gangda.sampling.filters.agreement:Agreement",
        "drop samples whose class classifiers trained on the same real images find improbable",
        "Lampis 2023 (GaFi)",
    ),
    "discriminator": Entry(
        "gangda.sampling.filters.discriminator:DiscriminatorRejection",
        "keep samples by chance, the likelier the more real the discriminator finds them",
        "Azadi 2019",
    ),
    "duplicates": Entry(
        "gangda.sampling.filters.duplicates:Duplicates",
        "drop copies of training images, shifted ones too, and repeats",
    ),
}

# The order is the order of the printed table.
METRICS: Mapping[str, Entry] = {
    "gan_test": Entry(
        "gangda.metrics.classifier_scores:gan_test", "real-trained classifier's accuracy on intended labels"
    ),
    "cas": Entry(
        "gangda.metrics.classifier_scores:cas", "accuracy on real test images after training on samples only"
    ),
    "is": Entry("gangda.metrics.classifier_scores:inception_score", "exp E KL(p(y|x) || p(y))"),
    "fid": Entry("gangda.metrics.distances:fid", "Frechet distance between feature Gaussians"),
    "kid": Entry("gangda.metrics.distances:kid", "unbiased polynomial-kernel MMD between features"),
    "precision_recall": Entry("gangda.metrics.manifolds:precision_recall", "k-NN manifold precision, recall"),
    "density_coverage": Entry("gangda.metrics.manifolds:density_coverage", "k-NN density and coverage"),
    "diversity": Entry("gangda.metrics.diversity:diversity", "spread inside each class, as a ratio to real"),
    "generators": Entry(
        "gangda.metrics.generators:generators", "how much the generators of an ensemble differ"
    ),
    "modes": Entry("gangda.metrics.modes:modes", "modes covered, and KL to uniform; stacked sets only"),
    "memorisation": Entry(
        "gangda.metrics.memorisation:memorisation", "closeness to training images; an alarm"
    ),
    "artefact": Entry("gangda.metrics.artefact:artefact", "AUC of a classifier that tells samples from real"),
}

# What a comparison finds beside the verdict, in the order of the report.
ANALYSES: Mapping[str, Entry] = {
    "second_classifier": Entry(
        "gangda.comparing.analyses.second_classifier:SecondClassifier", "whether another classifier agrees"
    ),
    "tuned_steps": Entry(
        "gangda.comparing.analyses.tuned_steps:TunedSteps", "every arm with steps chosen on validation images"
    ),
    "calibration": Entry(
        "gangda.comparing.analyses.calibration:Calibration", "arms whose outcome is known beforehand"
    ),
    "exchange_rate": Entry(
        "gangda.comparing.analyses.exchange_rate:ExchangeRateAnalysis",
        "how many real images the added ones are worth",
    ),
}


def lookup(kind: str, table: Mapping[str, Entry], name: str) -> Entry:
    """The entry called `name`; `kind` is the word for it in the message.

    Raises:
        UsageError: no such name; the message names the nearest one and all of them.
    """
    if name in table:
        return table[name]
    raise UsageError(f"unknown {kind} '{name}': {suggestion(name, table)}choose one of {', '.join(table)}")


def load_target(target: str) -> Any:
    """Import "module:attribute" and return the attribute."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def builder(kind: str, table: Mapping[str, Entry], name: str) -> Callable[..., Any]:
    """The callable behind a catalog name."""
    built: Callable[..., Any] = load_target(lookup(kind, table, name).target)
    return built
