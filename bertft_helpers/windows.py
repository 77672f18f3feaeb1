"""Texts longer than the model: cut into windows that overlap, run window by window, pooled to one answer a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from transformers.modeling_outputs import SequenceClassifierOutput

from bertft_helpers.batching import pad_batch
from bertft_helpers.errors import UserError

POOLINGS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "max": lambda values: values.amax(dim=0),
    "mean": lambda values: values.mean(dim=0),
    "first": lambda values: values[0],
}


def cut_windows(ids: list[int], max_length: int, stride: int) -> list[list[int]]:
    """Windows of at most ``max_length`` ids, each with [CLS] and [SEP], that share ``stride`` ids with the one before.

    The same as a tokenizer's with ``return_overflowing_tokens``. Raises UserError for an overlap that leaves no room
    to go on. Written out in lesson A6.
    """
    room = max_length - 2
    if not 0 <= stride < room:
        raise UserError(
            f"the stride is {stride} and max_length {max_length}: windows share at least 0 and fewer than {room} tokens"
        )
    first, text, last = ids[:1], ids[1:-1], ids[-1:]
    starts = range(0, max(1, len(text) - stride), room - stride)
    return [first + text[start : start + room] + last for start in starts]


def pool_windows(values: torch.Tensor, counts: Sequence[int], pooling: str) -> torch.Tensor:
    """One value a text from those of its windows: ``[windows, …] -> [texts, …]``, ``counts`` windows to each text.

    Raises UserError for a pooling that is not in ``POOLINGS``. Written out in lesson A6.
    """
    if pooling not in POOLINGS:
        raise UserError(f"there is no pooling {pooling!r}; choose one of {', '.join(POOLINGS)}")
    return torch.stack([POOLINGS[pooling](own) for own in values.split(list(counts))])


class OverWindows(nn.Module):
    """A model for texts of any length: their windows run through ``model``, the logits are pooled text by text.

    It takes and gives what the model does, so it is trained, evaluated and asked in the same way. At most ``at_once``
    windows run together: without gradients memory does not grow with the length of the texts; with them it does, by
    what each window keeps for its gradient. Build the optimizer for ``model`` itself. Written out in lesson A6.
    """

    def __init__(self, model: nn.Module, max_length: int, stride: int, pooling: str = "max", at_once: int = 32) -> None:
        super().__init__()
        self.model = model
        self.max_length = max_length
        self.stride = stride
        self.pooling = pooling
        self.at_once = at_once

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SequenceClassifierOutput:
        """Logits of each text for ids and mask ``[batch, length]`` of any length."""
        texts = [ids[mask.bool()].tolist() for ids, mask in zip(input_ids, attention_mask, strict=True)]
        windows = [cut_windows(ids, self.max_length, self.stride) for ids in texts]
        flat = [{"input_ids": ids} for own in windows for ids in own]
        logits = []
        for start in range(0, len(flat), self.at_once):
            batch = pad_batch(flat[start : start + self.at_once])
            logits.append(self.model(**{name: column.to(input_ids.device) for name, column in batch.items()}).logits)
        return SequenceClassifierOutput(logits=pool_windows(torch.cat(logits), list(map(len, windows)), self.pooling))
