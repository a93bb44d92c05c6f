"""Adversarial training: the method, its losses, penalties and regularisers."""
