"""The house holds: who imports whom, who prints, and that --help loads neither torch nor numpy."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gangda

PACKAGE = Path(gangda.__file__).parent
LAYERS = {
    0: {
        "errors",
        "catalog",
        "arms",
        "experiments",
        "config_files",
        "configs",
        "specs",
        "presets",
        "recipes",
        "fields",
        "fieldtypes",
        "settings",
        "__init__",
    },
    1: {"data", "runtime"},
    2: {"zoo", "objectives", "traditional", "classifiers", "metrics", "statistics"},
    3: {"moves"},
    4: {"engines", "report"},
    5: {"cli", "__main__"},
}
LAYER_OF = {room: layer for layer, rooms in LAYERS.items() for room in rooms}
MAY_USE_ENGINES = {"comparing", "experimenting", "tuning"}
FILES = sorted(PACKAGE.rglob("*.py"))
COMMANDS = ("train", "sample", "augment", "classify", "score", "compare", "doctor")


def parts_of(path: Path) -> tuple[str, ...]:
    """("data", "images") of gangda/data/images.py."""
    return path.relative_to(PACKAGE).with_suffix("").parts


def imports_of(tree: ast.AST) -> Iterator[tuple[str, ...]]:
    """Modules of gangda that a file imports anywhere, as parts below the package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            first, *rest = name.split(".")
            if first == "gangda" and rest:
                yield tuple(rest)


def complaint(importer: tuple[str, ...], imported: tuple[str, ...]) -> str | None:
    """What is wrong with an import, if anything. `gangda.__version__` is no room."""
    room, other = importer[0], imported[0]
    if other not in LAYER_OF or (room == other == "engines" and importer[1:2] == imported[1:2]):
        return None
    if LAYER_OF[other] > LAYER_OF[room]:
        return f"{'.'.join(importer)} (layer {LAYER_OF[room]}) imports {'.'.join(imported)} of a higher layer"
    if LAYER_OF[room] == 2 and LAYER_OF[other] == 2 and room != other:
        return f"{'.'.join(importer)} imports its sibling {'.'.join(imported)}"
    if room == other == "engines" and importer[1] not in MAY_USE_ENGINES:
        return f"engine {importer[1]} imports engine {'.'.join(imported)}"
    if room == "report" and other == "engines":
        return "report works from results only"
    return None


@pytest.mark.parametrize("path", FILES, ids=lambda path: ".".join(parts_of(path)))
def test_imports_only_from_layers_above(path):
    importer = parts_of(path)
    assert importer[0] in LAYER_OF, f"{path} is in no layer: name its room here and in DESIGN"
    found = [complaint(importer, imported) for imported in imports_of(ast.parse(path.read_text()))]
    assert not list(filter(None, found))


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        (("data", "idx"), ("moves", "fit")),
        (("zoo", "gan"), ("objectives", "losses")),
        (("engines", "sampling"), ("engines", "training")),
        (("moves", "fit"), ("cli", "output")),
        (("report", "comparison"), ("engines", "comparing")),
        (("settings",), ("runtime", "files")),
    ],
)
def test_the_rules_can_fail(importer, imported):
    assert complaint(importer, imported)


def calls(tree: ast.AST, name: str) -> list[int]:
    """Lines where the builtin `name` is called."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]


@pytest.mark.parametrize(
    "path", [path for path in FILES if parts_of(path)[0] != "cli"], ids=lambda path: ".".join(parts_of(path))
)
def test_only_the_command_line_prints(path):
    assert not calls(ast.parse(path.read_text()), "print")


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if LAYER_OF.get(parts_of(path)[0]) == 2],
    ids=lambda path: ".".join(parts_of(path)),
)
def test_the_science_opens_no_files(path):
    tree = ast.parse(path.read_text())
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not calls(tree, "open")
    assert not modules & {"shutil", "tempfile"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: ".".join(parts_of(path)))
def test_no_pickle_and_no_catching_everything(path):
    tree = ast.parse(path.read_text())
    assert not any("pickle" in ".".join(names) for names in _all_imports(tree))
    bare = [
        node.lineno for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.type is None
    ]
    assert not bare


def _all_imports(tree: ast.AST) -> Iterator[list[str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            yield [node.module or "", *(alias.name for alias in node.names)]


HELP = """
import io, contextlib, sys
from gangda.cli.main import app
for words in {words!r}:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            app(words, prog_name="gangda")
        except SystemExit as end:
            assert end.code == 0, (words, end.code)
    assert "Usage" in out.getvalue(), words
heavy = {{"torch", "numpy", "pydantic", "yaml"}} & set(sys.modules)
assert not heavy, heavy
"""


def test_every_help_leaves_torch_and_numpy_unloaded():
    words = [["--help"], *([command, "--help"] for command in COMMANDS)]
    code = HELP.format(words=words)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
