"""Paired tests, intervals, verdicts; arrays in, values out."""
