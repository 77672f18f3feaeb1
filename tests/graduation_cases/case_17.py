"""Lesson 17: loss functions on uneven, partly ignored batches."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from graduation import Case, Functions
from torch import nn


class Counter(nn.Module):
    """Logits as weighted counts of the real tokens of each text."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(20, 5)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> SimpleNamespace:
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        return SimpleNamespace(logits=(self.table(input_ids) * mask.unsqueeze(-1)).sum(dim=1))


BATCH = {
    "input_ids": torch.arange(24).remainder(20).reshape(6, 4),
    "attention_mask": torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]] * 3),
    "labels": torch.tensor([0, 3, -100, 4, 1, 1]),
}


def loss_and_gradient(loss_fn) -> list[torch.Tensor]:
    model = Counter()
    summed, targets = loss_fn(model, BATCH)
    summed.backward()
    return [summed.detach(), targets, model.table.weight.grad]


def run_logits(functions: Functions) -> torch.Tensor:
    return functions["forward_logits"](Counter(), BATCH).detach()


def run_plain(functions: Functions) -> list[torch.Tensor]:
    return loss_and_gradient(functions["classification_loss"])


def run_balanced(functions: Functions) -> torch.Tensor:
    return functions["balanced_weights"]([0, 0, 0, 1, 2, 2, 3, 4], 5)


def run_weighted(functions: Functions) -> list[torch.Tensor]:
    return loss_and_gradient(functions["weighted_loss"]([0.5, 2.0, 1.0, 3.0, 0.0]))


def run_smoothed(functions: Functions) -> list[torch.Tensor]:
    return loss_and_gradient(functions["smoothed_loss"](0.2)) + loss_and_gradient(functions["smoothed_loss"]())


MEAN = ('reduction="sum"', 'reduction="mean"')
COUNTS_IGNORED = ("(labels != IGNORE).sum()", "torch.tensor(len(labels))")
CASES = [
    Case(
        "losses.forward_logits",
        run_logits,
        mutants={
            "padding is read": (', attention_mask=batch["attention_mask"]', ""),
            "probabilities instead of logits": (").logits", ").logits.softmax(dim=1)"),
        },
    ),
    Case(
        "losses.classification_loss",
        run_plain,
        mutants={"a mean instead of a sum": MEAN, "ignored labels are counted": COUNTS_IGNORED},
    ),
    Case(
        "losses.balanced_weights",
        run_balanced,
        mutants={
            "labels do not weigh 1 on average": ("(num_labels * counts)", "counts"),
            "frequent classes weigh more": (
                "counts.sum() / (num_labels * counts)",
                "num_labels * counts / counts.sum()",
            ),
        },
    ),
    Case(
        "losses.weighted_loss",
        run_weighted,
        mutants={"a weighted mean": MEAN, "no weights": ("weight=weights.to(logits.device)", "weight=None")},
    ),
    Case(
        "losses.smoothed_loss",
        run_smoothed,
        mutants={
            "no smoothing": ("label_smoothing=smoothing", "label_smoothing=0.0"),
            "ignored labels are counted": COUNTS_IGNORED,
            "another default": ("smoothing=0.1", "smoothing=0.2"),
        },
    ),
]
