"""Optimizers with the initial rate that the schedule multiplies."""

import torch
from torch import nn

from gangda.config.recipes import Recipe


def adam(module: nn.Module, lr: float, recipe: Recipe) -> torch.optim.Optimizer:
    """Adam over a network's trainable parameters."""
    group, fused = _group(module, lr)
    return torch.optim.Adam([group], lr=lr, betas=(recipe.beta1, recipe.beta2), fused=fused)


def adamw(module: nn.Module, lr: float, recipe: Recipe, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW (Loshchilov 2019)."""
    group, fused = _group(module, lr)
    betas = (recipe.beta1, recipe.beta2)
    return torch.optim.AdamW([group], lr=lr, betas=betas, weight_decay=weight_decay, fused=fused)


def _group(module: nn.Module, lr: float) -> tuple[dict[str, object], bool]:
    """The parameter group, and whether the fused update exists on their device."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    fused = all(p.device.type in ("cpu", "cuda") for p in parameters)  # elsewhere not in every torch
    return {"params": parameters, "initial_lr": lr}, fused
