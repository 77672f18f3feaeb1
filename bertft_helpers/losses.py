"""Loss functions: ``(model, batch) -> (summed loss, number of targets)``, so that sums and counts are divided once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from bertft_helpers.batching import Batch

LossFn = Callable[[nn.Module, Batch], tuple[torch.Tensor, torch.Tensor]]
IGNORE = -100  # a label that no loss counts


def classification_loss(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy summed over the batch, and the number of labels that are not ignored (both 0-d tensors)."""
    logits = forward_logits(model, batch)
    labels = batch["labels"]
    summed = functional.cross_entropy(logits.float(), labels, ignore_index=IGNORE, reduction="sum")
    return summed, (labels != IGNORE).sum()


def forward_logits(model: nn.Module, batch: Batch) -> torch.Tensor:
    """The model's logits ``[batch, labels]`` for a batch."""
    return model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
