"""Traditional augmentation: rotation, translation, scaling, mirroring, blur and erasing."""
