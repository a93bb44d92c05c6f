"""The networks of the five student reports."""
