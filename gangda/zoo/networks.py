"""Networks of an architecture by its name in the catalog."""

from gangda.config import catalog
from gangda.config.architectures import ArchSpec
from gangda.zoo.base import ImageShape, Networks
from gangda.zoo.layers.options import apply_layer_options


def build_networks(arch: str, spec: ArchSpec, image_shape: ImageShape, num_classes: int) -> Networks:
    """Fresh networks, initialised from torch's global stream; image_shape: (C, H, W).

    Raises UsageError: no such architecture, or images too small or too large for it.
    """
    spec = spec.resolved(max(image_shape[1:]))
    build = catalog.builder("architecture", catalog.ARCHITECTURES, arch)
    return apply_layer_options(build(spec, image_shape, num_classes), spec)
