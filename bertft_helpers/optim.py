"""What AdamW needs: parameter groups and a learning-rate schedule."""

from __future__ import annotations

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def parameter_groups(
    model: nn.Module, learning_rate: float, weight_decay: float = 0.01, head_learning_rate: float | None = None
) -> list[dict]:
    """AdamW groups of the trainable parameters: encoder and head, each with and without weight decay.

    Biases and LayerNorm weights (everything with fewer than two dimensions) get no decay, as in BERT. The head is what
    lies outside the encoder (``bert.`` or ``encoder.``); its rate is ``head_learning_rate``, or the encoder's.
    """
    rates = {"encoder": learning_rate, "head": head_learning_rate or learning_rate}
    decays = {"decay": weight_decay, "no decay": 0.0}
    members: dict[tuple[str, str], list[nn.Parameter]] = {(part, kind): [] for part in rates for kind in decays}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            part = "encoder" if name.startswith(("bert.", "encoder.")) else "head"
            members[part, "decay" if parameter.ndim >= 2 else "no decay"].append(parameter)
    return [
        {"name": f"{part}, {kind}", "params": parameters, "lr": rates[part], "weight_decay": decays[kind]}
        for (part, kind), parameters in members.items()
        if parameters
    ]


def linear_warmup(optimizer: Optimizer, total_steps: int, warmup_share: float = 0.1) -> LambdaLR:
    """A schedule that climbs from 0 to each group's rate in ``warmup_share`` of the steps and falls back to 0.

    The same factors as transformers' ``get_linear_schedule_with_warmup``. Raises ValueError for no steps.
    """
    if total_steps < 1 or not 0 <= warmup_share < 1:
        raise ValueError(f"total_steps={total_steps} must be at least 1 and warmup_share={warmup_share} in [0, 1)")
    warmup_steps = int(warmup_share * total_steps)

    def factor(step: int) -> float:
        if step < warmup_steps:
            return step / warmup_steps
        return max(0.0, (total_steps - step) / max(1, total_steps - warmup_steps))

    return LambdaLR(optimizer, factor)
