"""A comparison in a notebook: the verdict, the arms and the differences; the rest is in the report."""

from pathlib import Path

from gangda.comparing.analyses import rendered
from gangda.comparing.comparison import Comparison


def fragment(comparison: Comparison, report: Path) -> str:
    """HTML without scripts and styles of its own."""
    return rendered(
        "notebook.html",
        comparison=comparison,
        judged=comparison.judgement,
        report=report,
        uri=report.resolve().as_uri(),
    )
