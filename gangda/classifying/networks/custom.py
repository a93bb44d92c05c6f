"""A classifier of the user's own: `--classifier module:callable`."""

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from gangda.errors import UsageError

Build = Callable[[int, int, int], nn.Module]


def find(name: str) -> Build:
    """The callable behind "module:callable"; modules of the current directory can be imported too.

    The callable takes (num_classes, channels, size) and returns a module that maps (B, C, H, W) in [-1, 1] to
    (B, num_classes) logits. It may have a method `features(x) -> (B, F)`; otherwise its logits serve as
    features.

    Raises:
        UsageError: it cannot be imported or called.
    """
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise UsageError(f"--classifier {name}: give module:callable, as in my_networks:build")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        build = getattr(importlib.import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--classifier {name}: no module '{error.name}' here or among the installed ones"
        ) from None
    except AttributeError:
        raise UsageError(f"--classifier {name}: module {module_name} has no '{attribute}'") from None
    except Exception as error:
        raise UsageError(f"--classifier {name}: importing it failed: {_short(error)}") from error
    if not callable(build):
        raise UsageError(
            f"--classifier {name}: must be callable(num_classes, channels, size), not {type(build).__name__}"
        )
    found: Build = build
    return found


def build(name: str, num_classes: int, channels: int, size: int) -> nn.Module:
    """The user's network, tried on a batch of two blank images.

    Raises:
        UsageError: it fails, is no module, or answers with another shape.
    """
    maker = find(name)
    try:
        network = maker(num_classes, channels, size)
    except Exception as error:
        raise UsageError(
            f"--classifier {name}: {name}({num_classes}, {channels}, {size}) failed: {_short(error)}"
        ) from error
    if not isinstance(network, nn.Module):
        raise UsageError(f"--classifier {name}: must return a torch.nn.Module, not {type(network).__name__}")
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise UsageError(f"--classifier {name}: the network has no parameters to train")
    _try(name, network, num_classes, channels, size)
    return network


def _try(name: str, network: nn.Module, num_classes: int, channels: int, size: int) -> None:
    """One forward pass in eval mode, so that batch statistics and dropout streams stay as they were."""
    network.eval()
    try:
        with torch.inference_mode():
            logits = network(torch.zeros(2, channels, size, size))
    except Exception as error:
        shape = f"(2, {channels}, {size}, {size})"
        raise UsageError(f"--classifier {name}: fails on images of shape {shape}: {_short(error)}") from error
    finally:
        network.train()
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != (2, num_classes):
        shape = f"shape {tuple(logits.shape)}" if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise UsageError(
            f"--classifier {name}: must answer logits of shape (B, {num_classes}), gave {shape} for B = 2"
        )


def _short(error: Exception) -> str:
    """First line of an error, with its kind."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:120]}"


def code_of(name: str) -> str:
    """The text of the module behind "module:callable"; empty for catalog names and compiled modules."""
    if ":" not in name:
        return ""
    find(name)
    try:
        return inspect.getsource(sys.modules[name.partition(":")[0]])
    except (OSError, TypeError):
        return ""
