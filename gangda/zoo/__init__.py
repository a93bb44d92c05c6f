"""Architectures: networks only, one file each."""
