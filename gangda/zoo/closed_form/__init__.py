"""Generators that are fitted in closed form."""
