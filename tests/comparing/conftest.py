"""Comparisons whose figures are not looked at: drawing them is most of their time."""

from collections.abc import Iterator

import pytest
from matplotlib.figure import Figure

EMPTY = '<svg width="1" height="1" ></svg>'


@pytest.fixture(autouse=True, scope="module")
def _figures_are_empty(request: pytest.FixtureRequest) -> Iterator[None]:
    """Pages are written whole, with empty figures; a module with `DRAWS_FIGURES = True` gets real ones."""
    save = Figure.savefig

    def save_empty(figure, file, **how):
        return file.write(EMPTY) if how["format"] == "svg" else save(figure, file, **how)

    with pytest.MonkeyPatch.context() as patch:
        if not getattr(request.module, "DRAWS_FIGURES", False):
            patch.setattr(Figure, "savefig", save_empty)
        yield
