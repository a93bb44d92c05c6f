"""Traditional augmentation: rotation, translation, scaling and blur."""
