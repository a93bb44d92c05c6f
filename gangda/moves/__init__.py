"""Moves that several engines need: the game, drawing samples, fitting a classifier, judging samples."""
