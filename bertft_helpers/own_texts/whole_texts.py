"""Whole texts instead of cut ones: read in windows, in training as in use, with the memory of a batch of cut texts.

The vectors of a text's windows are averaged. The head is linear, so the mean of the logits is the same number.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import NamedTuple

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from bertft_helpers.batching import Batch, EncodedTexts
from bertft_helpers.errors import UserError
from bertft_helpers.inference import TextClassifier, mean_over_windows
from bertft_helpers.own_texts.settings import SHARED, TaskSettings
from bertft_helpers.speed.dropout import byte_generator
from bertft_helpers.windows import cut_windows

__all__ = ["WholeTexts", "WindowSize", "about_longer", "windows_for"]


class WindowSize(NamedTuple):
    """How texts are cut into windows: ``max_length`` tokens, of which each shares ``stride`` with the one before."""

    max_length: int
    stride: int

    def cut(self, ids: list[int]) -> list[list[int]]:
        """The windows of a text; a short one has one, itself."""
        return cut_windows(ids, *self)

    def over(self, model: nn.Module, batch_size: int, pad_id: int) -> WholeTexts:
        """``model`` for whole texts, in the memory that ``batch_size`` texts of ``max_length`` tokens need."""
        return WholeTexts(model, self, batch_size * self.max_length, pad_id)

    def apart(self, examples: EncodedTexts) -> tuple[EncodedTexts, list[int]]:
        """The windows of all texts as examples of their own, and how many each text has."""
        cut = [self.cut(ids) for ids in examples.input_ids]
        labels = [label for label, own in zip(examples.labels, cut, strict=True) for _ in own]
        return EncodedTexts([ids for own in cut for ids in own], labels, examples.pad_id), [len(own) for own in cut]


def windows_for(settings: TaskSettings, max_length: int) -> WindowSize | None:
    """The windows that a run reads longer texts in; None where it cuts them.

    Raises UserError for a stride that leaves a window no new token.
    """
    if not settings.in_windows:
        return None
    stride = max(1, max_length // SHARED) if settings.stride is None else settings.stride
    if stride >= max_length - 2:
        raise UserError(
            f"the stride is {stride}, and windows hold {max_length} tokens, [CLS] and [SEP] among them: they can share "
            f"at most {max_length - 3}; lower --stride ({max_length // SHARED} is usual), or raise --max-length"
        )
    return WindowSize(max_length, stride)


class WholeTexts(nn.Module):
    """A classifier for texts of any length: its logits are the means over a text's windows.

    Windows run together while they have at most ``token_budget`` tokens. Where a batch of texts has more, what a window
    keeps for its gradient is thrown away and computed once more when it is needed, with the same dropout: memory is
    that of one batch of windows and next to nothing for every other, for a third more time.
    """

    def __init__(self, model: nn.Module, windows: WindowSize, token_budget: int, pad_id: int = 0) -> None:
        super().__init__()
        self.model = model
        self.windows = windows
        self.token_budget = token_budget
        self.pad_id = pad_id
        self.train(model.training)  # the mode that comes back to the model, too

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SimpleNamespace:
        """Logits of each text for ids and mask ``[batch, length]`` of any length."""
        texts = [ids[mask.bool()].tolist() for ids, mask in zip(input_ids, attention_mask, strict=True)]
        cut = [self.windows.cut(ids) for ids in texts]
        tokens = sum(map(len, cut)) * max(len(ids) for own in cut for ids in own)
        keep = not torch.is_grad_enabled() or tokens <= self.token_budget

        def run(batch: Batch) -> torch.Tensor:
            given = batch["input_ids"].to(input_ids.device), batch["attention_mask"].to(input_ids.device)
            return self._logits(*given) if keep else self._logits_again(*given)

        return SimpleNamespace(logits=mean_over_windows(run, cut, self.token_budget, self.pad_id))

    def _logits(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    def _logits_again(self, *given: torch.Tensor) -> torch.Tensor:
        return checkpoint(self._logits, *given, use_reentrant=False, context_fn=self._same_draws)

    def _same_draws(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """Contexts of the first and the second computation: torch's own generator is looked after, ours is not."""
        generator = byte_generator(self)
        again = contextlib.nullcontext() if generator is None else _drawing_from(generator, generator.get_state())
        return contextlib.nullcontext(), again


@contextlib.contextmanager
def _drawing_from(generator: torch.Generator, state: torch.Tensor) -> Iterator[None]:
    here = generator.get_state()
    generator.set_state(state)
    try:
        yield
    finally:
        generator.set_state(here)


def about_longer(classifier: TextClassifier) -> str:
    """What a saved classifier does with texts longer than its limit, for its card."""
    if classifier.stride is None:
        return f"cut by the policy {classifier.policy!r}"
    return f"read in windows that share {classifier.stride} tokens"
