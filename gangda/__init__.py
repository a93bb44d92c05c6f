"""gangda: does generative data augmentation help this classifier on this data, and how much of it?"""

__version__ = "0.2.0"
