"""Figures and the HTML report, from results only."""
