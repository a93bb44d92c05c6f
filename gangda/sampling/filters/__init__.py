"""Filters: what may stay of the samples of a trained generator. One file each; `catalog.FILTERS` names them."""
