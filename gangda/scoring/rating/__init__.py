"""Rating samples by eye: a page that shows them blind, and the summary of its answers.

rating.html        one file without network: images in random order, scores by keyboard, answers as CSV
ratings-*.csv      what a rater downloads from it: the key to the images in the first line, then an answer a line
"""

from gangda.scoring.rating.answers import RatingResult, summarise_ratings
from gangda.scoring.rating.pages import PageResult, make_page

__all__ = ["PageResult", "RatingResult", "make_page", "summarise_ratings"]
