"""Labelled images: the value itself, its sources, splits and files."""
