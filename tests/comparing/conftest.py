"""Comparisons whose figures are not looked at: drawing them is most of their time."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def _figures_are_empty(request: pytest.FixtureRequest) -> None:
    """Pages are written whole, with empty figures; a module with `DRAWS_FIGURES = True` gets real ones."""
    if not getattr(request.module, "DRAWS_FIGURES", False):
        request.getfixturevalue("empty_figures")
