"""Readers: one data source each, to `LabelledImages`."""
