import sys
from pathlib import Path

import pytest

from gangda.classifying import custom
from gangda.errors import UsageError

MODULE = """
import torch
from torch import nn

def good(num_classes, channels, size):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size * size, num_classes))

def wide(num_classes, channels, size):
    return good(num_classes + 1, channels, size)

def small(num_classes, channels, size):
    return good(num_classes, channels, size - 1)

def broken(num_classes, channels, size):
    raise RuntimeError("no such luck\\nsecond line")

def number(num_classes, channels, size):
    return 3

def frozen(num_classes, channels, size):
    return nn.Flatten()

class Pair(nn.Linear):
    def forward(self, x):
        return x, x

def pair(num_classes, channels, size):
    return Pair(2, 2)

constant = 5
"""


@pytest.fixture(autouse=True)
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_networks.py").write_text(MODULE)
    (tmp_path / "my_typo.py").write_text("import not_there_at_all\n")
    (tmp_path / "my_syntax.py").write_text("def broken(:\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("my_networks", "my_typo", "my_syntax"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_a_module_of_the_current_directory() -> None:
    network = custom.build("my_networks:good", 4, 3, 8)
    assert network.training
    assert network[1].out_features == 4
    assert "def good" in custom.code_of("my_networks:good")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no_such_module:good", "no module 'no_such_module'"),
        ("my_networks:absent", "has no 'absent'"),
        ("my_networks:", "give module:callable"),
        (":good", "give module:callable"),
        ("my_typo:good", "no module 'not_there_at_all'"),
        ("my_syntax:good", "SyntaxError"),
        ("my_networks:constant", "must be callable"),
        ("my_networks:broken", "no such luck$"),
        ("my_networks:number", "must return a torch.nn.Module, not int"),
        ("my_networks:frozen", "no parameters to train"),
        ("my_networks:small", r"fails on images of shape \(2, 1, 8, 8\)"),
        ("my_networks:wide", r"logits of shape \(B, 4\), gave shape \(2, 5\)"),
        ("my_networks:pair", "gave tuple"),
    ],
)
def test_what_cannot_be_used_is_one_line(name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        custom.build(name, 4, 1, 8)
    assert "\n" not in str(caught.value)
