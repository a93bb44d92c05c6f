"""Data sources, one file each.

A named source is a function `load(config) -> RawSource` and a line in `catalog.SOURCES`; its module may have
`find(name)`: where the set lies (None: not here). A kind of path is a function `read`, see `loading.py`.
"""
