"""Loss functions: ``(model, batch) -> (summed loss, number of targets)``, so that sums and counts are divided once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import nn
from torch.nn import functional

from bertft_helpers.batching import IGNORE, Batch, column_of
from bertft_helpers.errors import UserError

__all__ = [
    "IGNORE",
    "LossFn",
    "balanced_weights",
    "classification_loss",
    "forward_logits",
    "smoothed_loss",
    "weighted_loss",
]

# Any: a loss may ask for its kind of model
LossFn = Callable[[Any, Batch], tuple[torch.Tensor, torch.Tensor]]


def classification_loss(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy summed over the batch, and the number of labels that are not ignored (both 0-d tensors).

    Labels are ``[batch]``, or ``[batch, length]`` for a model with logits for each token.
    Written out in lesson 17.
    """
    return _sum_and_count(forward_logits(model, batch), column_of(batch, "labels"))


def weighted_loss(weights: ArrayLike) -> LossFn:
    """Cross-entropy in which a label of class ``c`` counts ``weights[c]`` times; divided by the number of targets.

    torch's weighted mean divides by the sum of the weights instead, so that in a batch of one class the weights cancel.
    Take ``balanced_weights``, whose mean over the training labels is 1. ``weights`` is ``[labels]``. Raises ValueError
    for a weight that is negative or not finite, and when all are 0. Written out in lesson 17.
    """
    weights = torch.as_tensor(weights, dtype=torch.float32)
    if weights.ndim != 1 or not weights.isfinite().all() or weights.min() < 0 or weights.max() == 0:
        raise UserError(
            f"weights are {weights.tolist()}; one finite number of at least 0 per class, not all 0, is needed"
        )

    def loss_fn(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        logits = forward_logits(model, batch)
        return _sum_and_count(logits, column_of(batch, "labels"), weights=weights.to(logits.device))

    return loss_fn


def smoothed_loss(smoothing: float = 0.1) -> LossFn:
    """Cross-entropy against softened targets: ``1 - smoothing`` for the label, ``smoothing`` spread over all classes.

    Label smoothing of Szegedy et al. 2016. Raises ValueError for a share outside [0, 1). Written out in lesson 17.
    """
    if not 0 <= smoothing < 1:
        raise UserError(f"smoothing is {smoothing}; it must be in [0, 1): 0.1 is usual, 0 switches it off")

    def loss_fn(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        return _sum_and_count(forward_logits(model, batch), column_of(batch, "labels"), smoothing=smoothing)

    return loss_fn


def balanced_weights(labels: ArrayLike, num_labels: int) -> torch.Tensor:
    """Weights ``[num_labels]`` with which every class weighs the same in sum, and a label 1 on average.

    ``n / (num_labels * count)``, as scikit-learn's ``class_weight="balanced"``. Raises ValueError naming the classes
    that have no label, which no weight can bring back. Written out in lesson 17.
    """
    counts = torch.bincount(torch.as_tensor(labels), minlength=num_labels)
    missing = (counts == 0).nonzero().flatten().tolist()
    if missing or len(counts) > num_labels:
        found = f"labels up to {len(counts) - 1}" if len(counts) > num_labels else f"no label of class {missing}"
        raise UserError(f"{found} among {counts.sum()} labels; each of 0..{num_labels - 1} must occur, and no other")
    return counts.sum() / (num_labels * counts)


def forward_logits(model: nn.Module, batch: Batch) -> torch.Tensor:
    """The model's logits for a batch, ``[batch, labels]`` or ``[batch, length, labels]``.

    ``token_type_ids`` are read where a batch has them.

    Written out in lesson 17.
    """
    kinds = {"token_type_ids": batch["token_type_ids"]} if "token_type_ids" in batch else {}
    return model(
        input_ids=column_of(batch, "input_ids"), attention_mask=column_of(batch, "attention_mask"), **kinds
    ).logits


def _sum_and_count(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None = None, smoothing: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor]:
    each, labels = logits.float().flatten(0, -2), labels.flatten()  # [targets, labels] and [targets], also of tokens
    summed = functional.cross_entropy(
        each, labels, weight=weights, ignore_index=IGNORE, reduction="sum", label_smoothing=smoothing
    )
    return summed, (labels != IGNORE).sum()
