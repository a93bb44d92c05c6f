"""Analyses beside the verdict."""
