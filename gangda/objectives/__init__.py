"""Losses, penalties and limited-data augmentation for training GANs; pure functions of tensors."""
