import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner

from gangda.cli.main import app


@dataclass(frozen=True)
class Answer:
    """How a command ended: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def gangda(tmp_path, monkeypatch) -> Callable[..., Answer]:
    """Run a command line in an empty folder of its own, in this process; what is unexpected is raised."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Answer:
        done = CliRunner().invoke(app, [str(word) for word in words], prog_name="gangda")
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Answer(done.exit_code, done.stdout, done.stderr)

    return run
