"""What AdamW needs: parameter groups and a learning-rate schedule."""

from __future__ import annotations

import math
import re

from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from bertft_helpers.errors import UserError


def build_optimizer(
    model: nn.Module,
    learning_rate: float,
    steps: int,
    weight_decay: float = 0.01,
    warmup_share: float = 0.1,
    head_learning_rate: float | None = None,
    layer_decay: float = 1.0,
) -> tuple[Optimizer, LambdaLR]:
    """AdamW over ``parameter_groups`` and the ``linear_warmup`` of its rates over ``steps`` optimizer steps.

    ``learning_rate`` is the highest rate, ``warmup_share`` the share of the steps spent climbing to it. Freeze and move
    the model before. Raises UserError naming the argument, its value and what is allowed.

    Written out in lesson 18.
    """
    check_rate("learning_rate", learning_rate)
    if head_learning_rate is not None:
        check_rate("head_learning_rate", head_learning_rate)
    if not 0 <= weight_decay < math.inf:
        raise UserError(f"weight_decay is {weight_decay}; it must be at least 0, which switches it off")
    groups = parameter_groups(model, learning_rate, weight_decay, head_learning_rate, layer_decay)
    if not groups:
        raise UserError("every parameter of the model is frozen: there is nothing to train (see models.unfreeze)")
    optimizer = AdamW(groups, fused=True)
    return optimizer, linear_warmup(optimizer, steps, warmup_share)


def check_rate(name: str, value: float) -> None:
    """Raise UserError unless a learning rate is a number above 0."""
    if not 0 < value < math.inf:
        raise UserError(f"{name} is {value}; it must be above 0, such as 2e-5 to 5e-4 for BERT")


def parameter_groups(
    model: nn.Module,
    learning_rate: float,
    weight_decay: float = 0.01,
    head_learning_rate: float | None = None,
    layer_decay: float = 1.0,
) -> list[dict]:
    """AdamW groups of the trainable parameters: encoder and head, each with and without weight decay.

    Biases and LayerNorm weights (everything with fewer than two dimensions) get no decay, as in BERT. The head is what
    lies outside the encoder (``bert.`` or ``encoder.``); its rate is ``head_learning_rate``, or the encoder's. With
    ``layer_decay`` below 1 each layer has that share of the rate of the layer above it, the embeddings lowest (Sun et
    al. 2019), and groups are per layer. Raises UserError for a ``layer_decay`` outside (0, 1].

    Written out in lesson 18.
    """
    if not 0 < layer_decay <= 1:
        raise UserError(
            f"layer_decay is {layer_decay}; it must be above 0 and at most 1, which gives all layers one rate"
        )
    parameters = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    head_rate = learning_rate if head_learning_rate is None else head_learning_rate
    top = max((layer_of(name) or 0 for name, _ in parameters), default=0)
    members: dict[tuple[str, bool], dict] = {}
    for name, parameter in parameters:
        part, rate = part_and_rate(name, top, learning_rate, head_rate, layer_decay)
        decayed = parameter.ndim >= 2
        kind, decay = ("decay", weight_decay) if decayed else ("no decay", 0.0)
        new = {"name": f"{part}, {kind}", "params": [], "lr": rate, "weight_decay": decay}
        members.setdefault((part, decayed), new)["params"].append(parameter)
    return list(members.values())


def part_and_rate(
    name: str, top: int, learning_rate: float, head_learning_rate: float, layer_decay: float
) -> tuple[str, float]:
    """The part of the model that a parameter belongs to, and its rate; ``top`` is the number of the top layer.

    Written out in lesson 18.
    """
    if not name.startswith(("bert.", "encoder.")):
        return "head", head_learning_rate
    if layer_decay == 1.0:
        return "encoder", learning_rate
    layer = layer_of(name)
    if layer is not None:
        return f"layer {layer}", learning_rate * layer_decay ** (top - layer)
    if "embeddings" in name:
        return "embeddings", learning_rate * layer_decay ** (top + 1)
    return "pooler", learning_rate


def layer_of(name: str) -> int | None:
    """The encoder layer in a parameter's name, counted from 0, or None. Written out in lesson 18."""
    found = re.search(r"\blayer\.(\d+)\.", name)
    return int(found[1]) if found else None


def linear_warmup(optimizer: Optimizer, total_steps: int, warmup_share: float = 0.1) -> LambdaLR:
    """A schedule that climbs from 0 to each group's rate in ``warmup_share`` of the steps and falls back to 0.

    The same factors as transformers' ``get_linear_schedule_with_warmup``. Raises UserError for no steps.
    Written out in lesson 18.
    """
    if total_steps < 1:
        raise UserError(f"the number of steps is {total_steps}; it must be at least 1 (training.steps_per_run)")
    if not 0 <= warmup_share < 1:
        raise UserError(f"warmup_share is {warmup_share}; it must be in [0, 1), where 0 means no warm-up")
    warmup_steps = int(warmup_share * total_steps)

    def factor(step: int) -> float:
        if step < warmup_steps:
            return step / warmup_steps
        return max(0.0, (total_steps - step) / max(1, total_steps - warmup_steps))

    return LambdaLR(optimizer, factor)
