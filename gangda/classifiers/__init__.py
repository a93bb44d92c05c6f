"""Classifier networks."""
