"""The order of the packages: who imports whom, who prints, and that --help loads neither torch nor numpy nor rich."""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gangda

PACKAGE = Path(gangda.__file__).parent
# A package imports only from itself and from those before it.
ORDER = [
    "errors",
    "config",
    "experiments",
    "search_spaces",
    "examples",
    "runtime",
    "data",
    "statistics",
    "report",
    "zoo",
    "traditional",
    "classifying",
    "metrics",
    "training",
    "sampling",
    "scoring",
    "augmenting",
    "comparing",
    "tuning",
    "api",
    "cli",
    "__main__",
]
OPENS_NO_FILES = {"statistics", "zoo", "traditional", "metrics"}
FILES = sorted(PACKAGE.rglob("*.py"))
COMMANDS = ("train", "sample", "augment", "classify", "score", "compare", "tune", "examples", "doctor")


def module_of(path: Path) -> str:
    """`data.images` of gangda/data/images.py; `data` of its __init__.py."""
    return (
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")
    )


MODULES = {module_of(path): path for path in FILES}


def imports_of(path: Path) -> Iterator[str]:
    """Modules of gangda that a file imports anywhere, as names below the package."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            below = name.removeprefix("gangda.")
            if name != below:
                yield below if below in MODULES else below.rpartition(".")[0]


def complaint(importer: str, imported: str) -> str | None:
    """What is wrong with an import, if anything."""
    here, there = importer.split(".")[0], imported.split(".")[0]
    if not there or not here or ORDER.index(there) <= ORDER.index(here):
        return None
    return f"{importer} imports {imported}, whose package comes later"


@pytest.mark.parametrize("module", MODULES)
def test_imports_only_from_packages_before(module):
    if module:
        assert module.split(".")[0] in ORDER, f"{module}: give its package a place in the order"
        assert not list(filter(None, (complaint(module, other) for other in imports_of(MODULES[module]))))


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("data.idx", "classifying.fit"),
        ("zoo.gan.gan", "training.adversarial.losses"),
        ("sampling", "scoring"),
        ("report.page", "comparing"),
        ("config.resolve", "runtime.files"),
    ],
)
def test_the_rules_can_fail(importer, imported):
    assert complaint(importer, imported)


def test_no_module_imports_itself_through_others():
    graph = {module: set(imports_of(path)) - {module, ""} for module, path in MODULES.items()}
    list(graphlib.TopologicalSorter(graph).static_order())  # CycleError names the circle


def calls(tree: ast.AST, name: str) -> list[int]:
    """Lines where the builtin `name` is called."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]


@pytest.mark.parametrize("module", [module for module in MODULES if module.split(".")[0] != "cli"])
def test_only_the_command_line_prints(module):
    assert not calls(ast.parse(MODULES[module].read_text()), "print")


@pytest.mark.parametrize("module", [module for module in MODULES if module.split(".")[0] in OPENS_NO_FILES])
def test_the_science_opens_no_files(module):
    tree = ast.parse(MODULES[module].read_text())
    assert not calls(tree, "open")
    assert not {name.split(".")[0] for name in _all_imports(tree)} & {"shutil", "tempfile"}


@pytest.mark.parametrize("module", MODULES)
def test_no_pickle_and_no_catching_everything(module):
    tree = ast.parse(MODULES[module].read_text())
    assert not any("pickle" in name for name in _all_imports(tree))
    assert not [
        node.lineno for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.type is None
    ]


@pytest.mark.parametrize("module", MODULES)
def test_no_module_needs_what_windows_lacks(module):
    tree = ast.parse(MODULES[module].read_text())
    lacking = {"fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog", "posix"}
    assert not {name.split(".")[0] for name in _all_imports(tree)} & lacking
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) not in {
                ("os", "fork"),
                ("signal", "SIGUSR1"),
                ("signal", "SIGHUP"),
            }


def _all_imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


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
heavy = {{"torch", "numpy", "pydantic", "yaml", "rich"}} & set(sys.modules)
assert not heavy, heavy
"""


def test_every_help_leaves_torch_and_numpy_unloaded():
    words = [["--help"], *([command, "--help"] for command in COMMANDS)]
    code = HELP.format(words=words)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
