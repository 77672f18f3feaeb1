"""Train with a word-embedding table of only the word pieces that occur: the same numbers, less work and memory.

A row of the table whose word piece never occurs gets no gradient; all that AdamW does to it is weight decay, the same
known factor for every such row. So the rows that occur are trained in a small table, the others are scaled when they
are needed, and nothing is approximated.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional
from torch.optim import Optimizer
from transformers import PreTrainedModel

from bertft_helpers.errors import UserError

__all__ = ["CompactEmbedding", "compact_vocabulary", "restore_vocabulary"]


class CompactEmbedding(nn.Module):
    """Stands in for a word-embedding table while a model trains on known texts.

    ``weight`` ``[used rows, width]`` is trained, unless the table was frozen; ``full`` keeps all rows, frozen. In
    evaluation mode any word piece may come; in training mode one outside the used rows raises UserError, since its
    gradient would be lost.
    """

    rows: torch.Tensor  # [used ids], the ids of the small table's rows
    position: torch.Tensor  # [vocabulary], each id's row in the small table, or -1

    def __init__(self, full: nn.Embedding, used_ids: Sequence[int]) -> None:
        super().__init__()
        rows = torch.tensor(used_ids, device=full.weight.device)
        self.weight = nn.Parameter(full.weight[rows].clone(), requires_grad=full.weight.requires_grad)
        self.full = full.requires_grad_(False)
        self.register_buffer("rows", rows, persistent=False)
        position = torch.full((full.num_embeddings,), -1, device=rows.device)
        position[rows] = torch.arange(len(rows), device=rows.device)
        self.register_buffer("position", position, persistent=False)
        self.decay = 1.0  # what weight decay has left of the rows outside the small table

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Vectors ``[batch, length, width]`` for ids ``[batch, length]``."""
        position = self.position[input_ids]
        known = position >= 0
        padding = int(self.position[self.full.padding_idx]) if self.full.padding_idx is not None else None
        vectors = functional.embedding(position.clamp(min=0), self.weight, padding_idx=padding)
        if known.all():
            return vectors
        if self.training:
            unknown = sorted(set(input_ids[~known].tolist()))[:5]
            raise UserError(f"token ids {unknown} are not in the compact vocabulary: build it from all training texts")
        return torch.where(known.unsqueeze(-1), vectors, self.full(input_ids) * self.decay)

    def follow(self, optimizer: Optimizer) -> None:
        """Apply the optimizer's weight decay to the other rows too, step by step; to a frozen table nothing happens.

        Raises UserError when a small table that learns is not among the optimizer's parameters.
        """
        if self.weight.requires_grad:
            self._group_in(optimizer)

        def decay(optimizer: Optimizer, *_: object) -> None:
            if self.weight.grad is None or _is_skipped(optimizer):
                return  # AdamW leaves the small table as it is, so the other rows stay too
            group = self._group_in(optimizer)  # looked up each time: loading a state replaces the groups
            self.decay *= 1 - group["lr"] * group["weight_decay"]

        optimizer.register_step_pre_hook(decay)

    def _group_in(self, optimizer: Optimizer) -> dict[str, Any]:
        for group in optimizer.param_groups:
            if any(parameter is self.weight for parameter in group["params"]):
                return group
        raise UserError("the optimizer was built before the vocabulary was made compact; build it afterwards")

    def get_extra_state(self) -> torch.Tensor:
        """The decay, so that a saved state or a copy of the best weights holds all of the table."""
        return torch.tensor([self.decay], dtype=torch.float64)

    def set_extra_state(self, state: torch.Tensor) -> None:
        """Take over a saved decay."""
        self.decay = float(state[0])

    @torch.no_grad()
    def restored(self) -> nn.Embedding:
        """The full table with the trained rows put back and all others decayed."""
        self.full.weight.mul_(self.decay)
        self.full.weight[self.rows] = self.weight
        return self.full.requires_grad_(self.weight.requires_grad)


def _is_skipped(optimizer: Optimizer) -> bool:
    """Whether a gradient scaler has found an overflow and left it to a fused optimizer to do nothing in this step."""
    found = getattr(optimizer, "found_inf", None)
    return found is not None and bool(found)


def compact_vocabulary(model: PreTrainedModel, texts: Iterable[Sequence[int]]) -> CompactEmbedding:
    """Replace the model's word embeddings by the rows that ``texts`` (token ids) use; returns the stand-in.

    Build the optimizer afterwards, then call ``follow(optimizer)``. Undo it with ``restore_vocabulary``.
    """
    full = cast(nn.Embedding, model.get_input_embeddings())
    used = set(itertools.chain.from_iterable(texts))
    if full.padding_idx is not None:
        used.add(full.padding_idx)
    compact = CompactEmbedding(full, sorted(used))
    compact.train(model.training)
    model.set_input_embeddings(compact)
    return compact


def restore_vocabulary(model: PreTrainedModel) -> None:
    """Put the full word-embedding table back, with everything that training changed. Without a stand-in, do nothing."""
    compact = model.get_input_embeddings()
    if isinstance(compact, CompactEmbedding):
        model.set_input_embeddings(compact.restored())
