"""Names of metrics for people: `diversity_ratio_randconv_271` is "diversity, random-convolution features (n = 271)"."""

import re
from collections.abc import Mapping

MEASURES: Mapping[str, str] = {  # how names begin, longer ones first
    "gan_test": "GAN-test",
    "cas": "CAS",
    "is": "Inception score",
    "fid": "FID",
    "kid": "KID",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "diversity_ratio": "diversity",
    "vendi": "Vendi score",
    "sharpness": "sharpness",
    "generators_told_apart": "generators told apart",
    "modes_kl": "modes, KL to uniform",
    "modes_of": "modes covered, of",
    "memorisation_auth": "authentic samples",
    "memorisation_ratio": "distance to training images",
    "memorisation_near": "nearly training images",
    "artefact_auc": "artefacts (AUC)",
}
FEATURES: Mapping[str, str] = {
    "randconv": "random-convolution features",
    "pca": "principal components",
    "pixels": "pixels",
    "spectrum": "spectrum",
    "lenet": "LeNet features",
    "resnet": "ResNet features",
}
DIRECTIONS: Mapping[str, str] = {"higher": "higher", "lower": "lower", "target": "as real vs real"}


def readable(name: str) -> str:
    """A metric's name in words; as it is where it is not known."""
    measure = next((known for known in MEASURES if re.match(rf"{known}(_|$)", name)), "")
    if not measure:
        return name
    rest = re.fullmatch(r"(?:_(.+?))??(?:_(\d+k?))?", name.removeprefix(measure))
    kind, count = rest.groups() if rest else (None, None)
    words = MEASURES[measure]
    if kind is not None:
        words += f" {kind}" if kind.isdigit() else f", {FEATURES.get(kind, f'{kind} features')}"
    if count is not None:
        words += f" (n = {int(count.rstrip('k')) * (1000 if count.endswith('k') else 1):,})"
    return words
