"""A classifier of the user's own: `--classifier module:callable`."""

import contextlib
import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch
from torch import nn

from gangda.errors import UsageError

Build = Callable[[int, int, int], nn.Module]


def _refusal(name: str, reason: str, error: Exception | None = None) -> UsageError:
    """Why a classifier cannot be used, with kind and first line of an error."""
    if error is not None:
        reason += f": {type(error).__name__}: {(str(error).splitlines() or [''])[0][:120]}"
    return UsageError(f"--classifier {name}: {reason}")


def find(name: str) -> Build:
    """The callable behind "module:callable"; modules of the current directory can be imported too.

    The callable takes (num_classes, channels, size) and returns a module that maps (B, C, H, W) in [-1, 1] to (B,
    num_classes) logits. It may have a method `features(x) -> (B, F)`; otherwise its logits serve as features.

    Raises UsageError: it cannot be imported or called.
    """
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise _refusal(name, "give module:callable, as in my_networks:build")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        build = getattr(importlib.import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        raise _refusal(name, f"no module '{error.name}' here or among the installed ones") from None
    except AttributeError:
        raise _refusal(name, f"module {module_name} has no '{attribute}'") from None
    except Exception as error:
        raise _refusal(name, "importing it failed", error) from error
    if not callable(build):
        raise _refusal(name, f"must be callable(num_classes, channels, size), not {type(build).__name__}")
    return cast(Build, build)


def build(name: str, num_classes: int, channels: int, size: int) -> nn.Module:
    """The user's network, tried on a batch of two blank images.

    It is tried in eval mode, so that batch statistics and dropout streams stay as they were.

    Raises UsageError: it fails, is no module, or answers with another shape.
    """
    maker, shape = find(name), (2, channels, size, size)
    try:
        network = maker(num_classes, channels, size)
    except Exception as error:
        raise _refusal(name, f"{name}({num_classes}, {channels}, {size}) failed", error) from error
    if not isinstance(network, nn.Module):
        raise _refusal(name, f"must return a torch.nn.Module, not {type(network).__name__}")
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise _refusal(name, "the network has no parameters to train")
    network.eval()
    try:
        with torch.inference_mode():
            logits = network(torch.zeros(shape))
    except Exception as error:
        raise _refusal(name, f"fails on images of shape {shape}", error) from error
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != (2, num_classes):
        gave = f"shape {tuple(logits.shape)}" if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise _refusal(name, f"must answer logits of shape (B, {num_classes}), gave {gave} for B = 2")
    return network.train()


def code_of(name: str) -> str:
    """The text of the module behind "module:callable"; empty for catalog names and compiled modules."""
    if ":" not in name:
        return ""
    find(name)
    with contextlib.suppress(OSError, TypeError):
        return inspect.getsource(sys.modules[name.partition(":")[0]])
    return ""
