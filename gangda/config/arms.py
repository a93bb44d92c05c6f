"""The arms that a comparison can have: what each trains on, and how. Nothing here imports torch or numpy.

An arm is a name of `ARMS`. One that uses generated images may name another architecture than the comparison's,
`generated+traditional@wgan-gp`, and one that adds images a ratio of its own, `held-back:0.25`, share of each batch,
`generated:25%`, or level that every class is filled up to, `smote:fill50%`. Of
`pseudo-labelled+traditional` the ratio or share is that of the pseudo-labelled images. Adding an arm is one line here,
where its parts exist already.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from gangda.config import catalog
from gangda.config.hints import suggestion
from gangda.errors import UsageError


@dataclass(frozen=True)
class FitRule:
    """How a classifier is trained on its images, beyond what all arms share."""

    # random changes of every image in every batch: "traditional" (`TransformConfig`), "trivial" (TrivialAugment), or
    # none
    transforms: str = ""
    balanced: bool = False  # every class is drawn equally often, whatever its size
    # "class-weights" (inverse to the class's size), "logit-adjusted" (Menon 2021), "ldam-drw" (Cao 2019), or plain
    # cross-entropy
    loss: str = ""
    # the last tenth of the steps trains the last layer only, anew, with every class equally often (Kang 2020)
    retrained: bool = False
    # alpha of the Beta distribution that images and labels are mixed by (Zhang 2018); 0 turns it off
    mixup: float = 0.0
    # the first half of the steps takes the added images only, the second half the real ones only
    pretrained: bool = False
    # targets are half the label, half the predictions of teachers trained on the same real images
    distilled: bool = False
    added_weight: float = 1.0  # weight in the loss of an image that is not real, relative to a real one
    annealed: bool = False  # `added_weight` falls to 0 over the last third of the steps
    synthetic_passes: int = 1  # passes over the real images in which every added image comes once
    # pseudo-labelled images for each real one of a pass, the next of them each time; None: all of them in every pass
    pseudo_ratio: float | None = None
    recalibrated: bool = False  # batch-norm statistics are computed again on the real images at the end

    @property
    def own_output(self) -> bool:
        """Whether it trains the classifier's last layer in its own way: it needs one that is linear."""
        return self.retrained or self.loss == "ldam-drw"


@dataclass(frozen=True)
class Arm:
    """What an arm trains on, and how."""

    summary: str
    # the source of the images beside the real ones; empty for none. "generator" is the cell's, "leaked" one trained
    # on all of the source's training images, "semi-supervised" one trained on the unlabelled images too; others are in
    # `comparing/controls.py`
    added: str = ""
    rule: FitRule = FitRule()  # how its classifier is trained
    altered: str = ""  # what is done to these images before they are added: another source, made of `added`
    replaces: bool = False  # whether they take the place of all real ones
    expected: str = ""  # for arms whose outcome is known: how they must compare with `real`
    # of the same total, more images are added of the classes with lower recall on the validation images, under the
    # classifier of the same rule without added ones
    by_recall: bool = False
    # unlabelled images, as many as have a pseudo-label in the last round, join the real ones whatever the ratio is
    pseudo_labelled: bool = False

    @property
    def source(self) -> str:
        """The source of its added images, a key of `comparing.added_images.SOURCES`; empty for none."""
        return self.altered or self.added

    @property
    def generated(self) -> bool:
        """Whether its images come from a generator whose architecture can be chosen."""
        return self.added in ("generator", "semi-supervised")

    @property
    def sampled(self) -> bool:
        """Whether its images come from any generator."""
        return self.generated or self.added == "leaked"

    @property
    def is_check(self) -> bool:
        """Whether it is there to check the protocol: what it adds is spoilt, copied, or leaked on purpose."""
        return bool(self.altered) or self.added in ("copies", "leaked")

    @property
    def is_other_real(self) -> bool:
        """Whether it adds real images that the other arms do not have."""
        return self.added == "held back"

    @property
    def unlabelled(self) -> bool:
        """Whether it needs images without labels (`--unlabelled`)."""
        return self.pseudo_labelled or self.added == "semi-supervised"


_TRADITIONAL, _TRIVIAL = FitRule(transforms="traditional"), FitRule(transforms="trivial")
_BALANCED = replace(_TRADITIONAL, balanced=True)
_TEACHER = replace(_TRADITIONAL, distilled=True)
_PRETRAINED = replace(_TRADITIONAL, pretrained=True)
_MIXUP = FitRule(transforms="trivial", balanced=True, mixup=0.2)
_WEIGHTS, _LOGITS = FitRule(loss="class-weights"), FitRule(loss="logit-adjusted")
_TRADITIONAL_LOGITS, _MARGINS = (
    replace(_TRADITIONAL, loss="logit-adjusted"),
    replace(_TRADITIONAL, loss="ldam-drw"),
)
_RETRAINED = replace(_TRADITIONAL, retrained=True)
_RECALL = "more of the classes with lower recall on validation images"

ARMS: Mapping[str, Arm] = {
    "real": Arm("the real training subset"),
    "traditional": Arm("real, with the traditional transforms on the fly", rule=_TRADITIONAL),
    "trivial": Arm("real, with TrivialAugment (Mueller 2021) on the fly", rule=_TRIVIAL),
    "oversampling": Arm("real, every class drawn equally often", rule=FitRule(balanced=True)),
    "class-weights": Arm("real, classes weighted inversely to their size", rule=_WEIGHTS),
    "logit-adjusted": Arm("real, under the logit-adjusted loss", rule=_LOGITS),
    "balanced+trivial+mixup": Arm("real, classes equally often, TrivialAugment and mixup", rule=_MIXUP),
    "balanced+traditional": Arm("the transforms, classes equally often", rule=_BALANCED),
    "logit-adjusted+traditional": Arm(
        "the transforms, under the logit-adjusted loss (Menon 2021)", rule=_TRADITIONAL_LOGITS
    ),
    "crt+traditional": Arm(
        "the transforms, the last layer trained again with classes equally often (cRT, Kang 2020)",
        rule=_RETRAINED,
    ),
    "ldam-drw+traditional": Arm(
        "the transforms, larger margins for smaller classes, reweighted late (LDAM-DRW, Cao 2019)",
        rule=_MARGINS,
    ),
    "smote": Arm("real + images between neighbours of one class (SMOTE)", "smote"),
    "smote+balanced": Arm("the same, classes equally often", "smote", FitRule(balanced=True)),
    "traditional+teacher": Arm(
        "traditional, labels softened by teachers: a control without a GAN", rule=_TEACHER
    ),
    "generated": Arm("real + generated images", "generator"),
    "generated+traditional": Arm("the transforms on real + generated", "generator", _TRADITIONAL),
    "generated+balanced+traditional": Arm(
        "the transforms on real + generated, classes equally often", "generator", _BALANCED
    ),
    "generated-by-recall": Arm(f"real + generated images, {_RECALL}", "generator", by_recall=True),
    "generated-by-recall+traditional": Arm(
        f"the transforms on real + generated, {_RECALL}", "generator", _TRADITIONAL, by_recall=True
    ),
    "generated+trivial": Arm("TrivialAugment on real + generated", "generator", _TRIVIAL),
    "generated+traditional+teacher": Arm(
        "the transforms on real + generated, labels softened by teachers", "generator", _TEACHER
    ),
    "pretrained+traditional": Arm(
        "first generated images alone, then real alone, both with the transforms", "generator", _PRETRAINED
    ),
    "pseudo-labelled+traditional": Arm(
        "the transforms on real + unlabelled images under pseudo-labels",
        rule=_TRADITIONAL,
        pseudo_labelled=True,
    ),
    "generated-unlabelled+traditional": Arm(
        "the transforms on real + images of a generator trained on unlabelled ones too",
        "semi-supervised",
        _TRADITIONAL,
    ),
    "generated-unlabelled+pseudo-labelled+traditional": Arm(
        "the transforms on all three: real, pseudo-labelled, and images of a generator trained on both",
        "semi-supervised",
        _TRADITIONAL,
        pseudo_labelled=True,
    ),
    "generated-only": Arm("generated images in place of all real ones", "generator", replaces=True),
    "leaky": Arm("real + images of a generator trained on all of the source's training images", "leaked"),
    "permuted-labels": Arm(
        "real + generated images under wrong labels", "generator", altered="permuted labels"
    ),
    "wrong-range": Arm("real + generated images in half the value range", "generator", altered="wrong range"),
    "wrong-size": Arm("real + generated images shrunk into a corner", "generator", altered="wrong size"),
    "copies": Arm("real + exact copies", "copies", expected="equal"),
    "shuffled": Arm("real + copies under shuffled labels", "copies", altered="shuffled", expected="worse"),
    "held-back": Arm("real + other real images", "held back", expected="better"),
    "other-real": Arm(
        "other real images in place of the real ones", "held back", replaces=True, expected="equal"
    ),
    "held-back+traditional": Arm("the transforms on real + other real images", "held back", _TRADITIONAL),
}

AUTO_POLICY = ":auto"  # after an arm that has the traditional transforms and adds nothing: `--policy auto`
DEFAULT = ("real", "traditional", "generated", "generated+traditional")
CALIBRATION = tuple(name for name, arm in ARMS.items() if arm.expected)


def parse_arm(name: str) -> tuple[Arm, str | None]:
    """An arm by its name, and its own architecture (`ARM@ARCHITECTURE`) or None; a UsageError for a wrong name."""
    plain = ARMS.get(name.removesuffix(AUTO_POLICY))
    if name.endswith(AUTO_POLICY) and plain and plain.rule.transforms == "traditional" and not plain.added:
        return plain, None
    stem = name.partition(":")[0]
    word, _, arch = stem.partition("@")
    if word not in ARMS:
        of_arch = f"did you mean 'generated@{word}'? " if word in catalog.ARCHITECTURES else ""
        meant = suggestion(word, ARMS) or of_arch
        raise UsageError(f"--arms {name}: no such arm; {meant}choose from {', '.join(ARMS)}")
    arm, own = ARMS[word], name.removeprefix(stem)
    of_pseudo = arm.pseudo_labelled and not arm.added and not (arch or own.startswith(":fill"))
    if own and not of_pseudo and (not arm.added or arm.replaces):
        raise UsageError(f"--arms {name}: {word} adds no images; leave out {own}")
    amount = amount_of(name)
    if of_pseudo and amount:
        return replace(arm, rule=replace(arm.rule, pseudo_ratio=amount.value)), None
    if arch:
        catalog.lookup("architecture", catalog.ARCHITECTURES, arch)
        if not arm.generated:
            raise UsageError(f"--arms {name}: {word} has no generated images; leave out @{arch}")
    return arm, arch or None


@dataclass(frozen=True)
class Amount:
    """What an arm adds of its own: `value` images per real one, or (`fill`) up to `value` times the largest class."""

    value: float
    fill: bool = False


def amount_of(name: str) -> Amount | None:
    """What an arm adds of its own, or None; a UsageError where it is not above 0.

    It is written as a ratio (`ARM:0.5`), as the share of a batch that is added images (`ARM:25%` is `ARM:0.333...`), or
    as the level that every class is filled up to (`ARM:fill50%`, half of the largest class).
    """
    stem, colon, text = name.partition(":")
    if not colon:
        return None
    fill = text.startswith("fill")
    try:
        value = float(text.removeprefix("fill").removesuffix("%"))
        if text.endswith("%"):
            value = value / 100 if fill else value / (100 - value) if value < 100 else 0.0
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        cure = f"write a number above 0, as in {stem}:0.5, or a share below 100%, as in {stem}:25%"
        cure += f", or {stem}:fill50%" if fill else ""
        raise UsageError(f"--arms {name}: '{text}' is not a ratio; {cure}")
    return Amount(value, fill)
