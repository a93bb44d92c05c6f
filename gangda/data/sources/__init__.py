"""Data sources: a named one is a `load(config) -> RawSource`, a kind of path a `read`, see `loading.py`.

A named one is a line in `catalog.SOURCES`; its module may have `find(name)`: where the set lies (None: not here).
"""
