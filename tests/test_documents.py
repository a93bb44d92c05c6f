"""The documents: their commands and Python snippets run, every option they name exists, links and tables are right.

The blocks of a document are run one after the other in a folder of its own, as a reader would run them. A comment on
the line before a block says what else it is:

    <!-- long -->           takes minutes; run by `pytest -m long` only
    <!-- parsed only -->    needs data or hours; its `gangda` lines are parsed
    <!-- command: NAME -->  run by .ci/run; its `gangda` lines are parsed
    <!-- file: PATH -->     is written to PATH; below gangda/ or tests/ in a copy of the package, which later blocks use
    <!-- add to NAME in PATH -->  goes to the top of the table or class NAME of that file, in the copy
    <!-- append to PATH -->       goes to the end of that file, in the copy

A text block shows what the commands since the last one printed: each of its lines begins, up to the first figure or
gap, with words that they printed.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gangda.cli.main import COMMANDS, command
from gangda.cli.options import section_flags
from gangda.config import resolve

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(
    path.relative_to(ROOT)
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)
# Documents of the past, whose options may be gone.
HISTORY = {Path("CHANGELOG.md")}
# Options of torchrun and of the shell's completion, and those that every command has.
OF_OTHERS = {
    "--standalone",
    "--nproc-per-node",
    "--max-restarts",
    "--signals-to-handle",
    "--ntasks-per-node",
    "--gres",
    "--array",
    "--gpus-per-task",
    "--install-completion",
    "--help",
    "--help-all",
}
NOT_RUN = ("long", "parsed only", "command")
CHANGES = ("file", "add to", "append to")
MARKED = re.compile(r"<!-- (long|parsed only|command|file|add to|append to)(?:: | )?(.*?) ?-->")
PATHS = re.compile(r"(?:gangda|tests|completions)/[\w./-]*[\w/]")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, text and first line's number, and the comment on the line before it."""

    language: str
    text: str
    line: int
    mark: str = ""
    argument: str = ""


def blocks_of(text: str) -> Iterator[Block]:
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        if lines[at].startswith("```"):
            end = next(i for i in range(at + 1, len(lines)) if lines[i].startswith("```"))
            mark = MARKED.fullmatch(lines[at - 1].strip()) if at else None
            body = "\n".join(lines[at + 1 : end]) + "\n"
            yield Block(lines[at][3:].strip(), body, at + 2, *(mark.groups() if mark else ()))
            at = end
        at += 1


def commands_of(block: Block) -> list[str]:
    """The commands of a bash block, continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", block.text)
    return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def prose_of(text: str) -> str:
    """A document without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)


BLOCKS = [(path, block) for path in DOCUMENTS for block in blocks_of((ROOT / path).read_text())]
LINES = [
    pytest.param(line, id=f"{path}:{block.line}")
    for path, block in BLOCKS
    if block.language == "bash" and block.mark in NOT_RUN
    for line in commands_of(block)
    if re.search(r"(^|\s|/)gangda ", line)
]


# ---- parsing


def words_of(line: str) -> list[list[str]]:
    """The arguments of each `gangda` in a line of shell."""
    words = shlex.split(line, comments=True)
    found = []
    for at, word in enumerate(words):
        if word == "gangda" or word.endswith("/gangda"):
            ends = [i for i in range(at, len(words)) if words[i] in ("&&", "|", ";", "||")]
            found.append(words[at + 1 : ends[0] if ends else None])
    return found


def parse(words: list[str]) -> None:
    """Parse and resolve all options of a command line, as `gangda` does before any work."""
    name, *rest = words
    assert name in COMMANDS, name
    given = command(name).make_context(name, rest).params
    sections = COMMANDS[name].sections
    typed = {
        (section, field): given.get(flag.name)
        for section in sections
        for field, flag in section_flags(section).items()
    }
    resolve.resolve(
        {key: value for key, value in typed.items() if value is not None}, {}, None, used=sections
    )


@pytest.mark.parametrize("line", LINES)
def test_command_lines_parse(line):
    for words in words_of(line):
        parse(words)


@pytest.mark.parametrize(
    "line", ["gangda train --stepz 5", "gangda train --steps five", "ls | gangda sampl run"]
)
def test_parsing_can_fail(line):
    (words,) = words_of(line)
    with pytest.raises(Exception, match=r"stepz|five|sampl"):
        parse(words)


def options() -> set[str]:
    """Every option of every command."""
    params = [param for name in COMMANDS for param in command(name).params]
    return {word for param in params for word in (*param.opts, *param.secondary_opts)} | OF_OTHERS


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if path not in HISTORY], ids=str)
def test_options_named_in_prose_exist(path):
    spans = re.findall(r"`([^`]*)`", prose_of((ROOT / path).read_text()))
    named = {word for span in spans for word in re.findall(r"(?<![\w-])--[a-z][\w-]*", span)}
    assert not named - options()


# ---- links and paths


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives headings."""
    headings = re.findall(r"^#+ (.*)$", prose_of(text), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_links_lead_somewhere(path):
    prose = prose_of((ROOT / path).read_text())
    targets = re.findall(r"\]\(([^)\s]+)\)", prose) + re.findall(r"src=\"([^\"]+)\"", prose)
    for target in targets:
        if re.match(r"https?://", target):
            continue
        file, _, anchor = target.partition("#")
        place = (ROOT / path).parent / file if file else ROOT / path
        assert place.exists(), f"{path}: no {target}"
        assert not anchor or anchor in anchors(place.read_text()), f"{path}: no heading for {target}"


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if path not in HISTORY], ids=str)
def test_paths_named_in_prose_exist(path):
    text = (ROOT / path).read_text()
    own = {block.argument.split(" in ")[-1] for block in blocks_of(text) if block.mark in CHANGES}
    spans = re.findall(r"`([^`\s]*)`", prose_of(text))
    named = {span for span in spans if PATHS.fullmatch(span)} - own
    missing = [
        name
        for name in named
        if not (ROOT / name).exists() and not (ROOT / path).parent.joinpath(name).exists()
    ]
    assert not missing


# ---- running


class Preloaded:
    """Runs Python commands; see preloaded.py."""

    def __init__(self, cache: Path) -> None:
        own = {name: value for name, value in os.environ.items() if not name.startswith("GANGDA_")}
        self.environment = {**own, "GANGDA_CACHE": str(cache), "COLUMNS": "100", "OMP_NUM_THREADS": "1"}
        words = [sys.executable, str(Path(__file__).with_name("preloaded.py"))]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, env=self.environment)
        assert self._process.stdout.readline() == "ready\n"

    def run(self, words: list[str], cwd: Path, root: Path) -> tuple[int, str]:
        """Exit code, and stdout and stderr together."""
        output = cwd.parent / "output.txt"
        request = {"words": words, "cwd": str(cwd), "root": str(root), "output": str(output)}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return code, output.read_text(errors="replace")

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


@pytest.fixture(scope="module")
def preloaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preloaded]:
    server = Preloaded(tmp_path_factory.mktemp("documents") / "cache")
    yield server
    server.close()


class Reader:
    """Follows a document: runs its blocks in `here`, changes a copy of the package where it says so."""

    def __init__(self, server: Preloaded, folder: Path) -> None:
        self.server, self.here, self.copy = server, folder / "here", folder / "copy"
        self.here.mkdir()
        self.printed = ""

    @property
    def root(self) -> Path:
        """Where gangda is imported from."""
        return self.copy if self.copy.exists() else ROOT

    def follow(self, block: Block, where: str) -> None:
        if block.mark == "file":
            place = self._place(block.argument)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(block.text)
        elif block.mark == "add to":
            self._add(block, where)
        elif block.mark == "append to":
            place = self._place(block.argument)
            place.write_text(place.read_text() + "\n\n" + block.text)
        elif block.language == "python":
            (self.here / "snippet.py").write_text(block.text)
            self._check(["snippet.py"], where)
        elif block.language == "text":
            self._compare(block, where)
        elif block.language == "bash":
            for line in commands_of(block):
                self._command(line, where)

    def _command(self, line: str, where: str) -> None:
        words = shlex.split(line)
        if words[0] == "gangda" and not {"|", "&&", ";", ">"} & set(words):
            return self._check(words, where)
        if words[:2] == ["python", "-m"]:
            return self._check(words[1:], where)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where gangda is installed
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=self.here,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(self.root)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{where}: {line}\n{done.stdout}{done.stderr}"

    def _check(self, words: list[str], where: str) -> None:
        code, output = self.server.run(words, self.here, self.root)
        assert code == 0, f"{where}: {shlex.join(words)}\n{output}"
        self.printed += output

    def _compare(self, block: Block, where: str) -> None:
        """What a document shows of the output must be in it, but for the figures."""
        for line in filter(str.strip, block.text.splitlines()):
            label = re.split(r"\s{2,}|\d", line.strip())[0].strip()
            assert label == "..." or label in self.printed, (
                f"{where}: '{label}' is not printed\n{self.printed}"
            )
        self.printed = ""

    def _place(self, name: str) -> Path:
        if name.split("/")[0] not in ("gangda", "tests"):
            return self.here / name
        if not self.copy.exists():
            ignore = shutil.ignore_patterns("__pycache__")
            for part in ("gangda", "tests"):
                shutil.copytree(ROOT / part, self.copy / part, ignore=ignore)
            shutil.copy(ROOT / "pyproject.toml", self.copy)
        return self.copy / name

    def _add(self, block: Block, where: str) -> None:
        name, _, file = block.argument.partition(" in ")
        place = self._place(file)
        text = place.read_text()
        found = re.search(rf'^(class {name}\b.*?"""\n\n|{name}\b[^\n]*[{{(]\n)', text, flags=re.M | re.S)
        assert found, f"{where}: no {name} in {file}"
        place.write_text(text[: found.end()] + block.text + text[found.end() :])


def to_run(path: Path, long: bool) -> list[Block]:
    """The blocks that are run; the long ones need those before them, so all are run then."""
    skipped = ("parsed only", "command") if long else NOT_RUN
    found, shown = [], False
    for block in blocks_of((ROOT / path).read_text()):
        if block.language != "text":
            shown = block.mark not in skipped
        if shown:
            found.append(block)
    return found


RUN = [
    path for path in DOCUMENTS if any(block.language in ("bash", "python") for block in to_run(path, False))
]
LONG = [path for path in DOCUMENTS if any(block.mark == "long" for block in to_run(path, True))]


# They train for long enough to be worth a picture, or start many processes.
CODE = [f"gangda/{name}README.md" for name in ("", "training/", "augmenting/", "comparing/")]
SLOW = dict.fromkeys(map(Path, ("README.md", *CODE)), pytest.mark.faults)


@pytest.mark.parametrize("path", [pytest.param(path, marks=SLOW.get(path, ()), id=str(path)) for path in RUN])
def test_blocks_run(path, preloaded, tmp_path):
    reader = Reader(preloaded, tmp_path)
    for block in to_run(path, long=False):
        reader.follow(block, f"{path}:{block.line}")


@pytest.mark.long
@pytest.mark.parametrize("path", LONG, ids=str)
def test_long_blocks_run(path, preloaded, tmp_path):
    reader = Reader(preloaded, tmp_path)
    for block in to_run(path, long=True):
        reader.follow(block, f"{path}:{block.line}")


def test_a_block_that_fails_is_reported(preloaded, tmp_path):
    with pytest.raises(AssertionError, match="unknown architecture"):
        Reader(preloaded, tmp_path).follow(Block("bash", "gangda train --arch nosuch\n", 1), "here")


def test_readme_is_read_in_five_minutes():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200
