"""The walk through the Python API, and the examples in its docstrings, run as they stand."""

import doctest
from pathlib import Path

import pytest

import gangda.api.augmenter
from tests.test_documents import blocks_of

DOCUMENT = Path(gangda.api.__file__).with_name("README.md")
OPTIONS = doctest.ELLIPSIS


def run(test, capsys):
    runner = doctest.DocTestRunner(optionflags=OPTIONS, verbose=False)
    failed, tried = runner.run(test)
    assert tried
    assert not failed, capsys.readouterr().out


def test_the_walk(tmp_path, monkeypatch, capsys, empty_figures):
    monkeypatch.chdir(tmp_path)
    text = "".join(block.text for block in blocks_of(DOCUMENT.read_text()) if block.language == "pycon")
    run(doctest.DocTestParser().get_doctest(text, {}, "README.md", str(DOCUMENT), 0), capsys)


@pytest.mark.parametrize("module", [gangda.api, gangda.api.augmenter], ids=lambda module: module.__name__)
def test_examples_in_docstrings(module, capsys):
    examples = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    assert examples
    for test in examples:
        run(test, capsys)
