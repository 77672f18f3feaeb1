"""Loss functions that start from what a frozen part of the model made of the texts, computed once and cached.

They fit ``training.fit`` and ``train_epoch`` with the whole classifier as the model: the batches' ``rows`` say which
texts they hold, and what is measured after an epoch runs the model as it is. The frozen part has run in evaluation
mode, so it has no dropout, which is all that differs from running it every step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import BertForSequenceClassification

from bertft_helpers.batching import Batch, BucketBatchSampler, EncodedTexts, column_of
from bertft_helpers.features import encode_once, run_layers
from bertft_helpers.losses import IGNORE, LossFn

__all__ = ["RowBatches", "encode_pooled", "head_loss", "head_of", "upper_loss"]


def encode_pooled(model: BertForSequenceClassification, examples: EncodedTexts, batch_size: int = 32) -> torch.Tensor:
    """What the model's pooler makes of each text ``[examples, width]``: all that a head above a frozen base sees."""
    pooler = _pooler_of(model)
    return encode_once(model.bert, examples, lambda hidden, attention_mask: pooler(hidden), batch_size)


def head_of(model: BertForSequenceClassification) -> nn.Sequential:
    """The model's dropout and classifier as a model of their own; training it trains the model's very weights."""
    return nn.Sequential(model.dropout, model.classifier)


def head_loss(pooled: torch.Tensor) -> LossFn:
    """Summed cross-entropy of a classifier's head on the vectors of ``encode_pooled``; the base is never run.

    Freeze the base (``models.freeze(model)``). Batches need ``rows`` and ``labels`` alone (``RowBatches``).
    """

    def loss_fn(model: BertForSequenceClassification, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        rows = column_of(batch, "rows")
        return _sum_and_count(head_of(model)(pooled[rows.cpu()].to(rows.device)), column_of(batch, "labels"))

    return loss_fn


class RowBatches:
    """The batches of ``make_loader`` with rows and labels alone, for losses that need no token ids."""

    def __init__(self, examples: EncodedTexts, batch_size: int, seed: int | None) -> None:
        self.batch_sampler = BucketBatchSampler(examples.lengths, batch_size, seed)
        self.labels = torch.tensor(examples.labels)

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[Batch]:
        for batch in self.batch_sampler:
            rows = torch.tensor(batch)
            yield {"rows": rows, "labels": self.labels[rows]}


def upper_loss(states: Sequence[torch.Tensor], layers: int) -> LossFn:
    """Summed cross-entropy from the states that ``features.cache_boundary`` made above the lowest ``layers`` layers.

    Embeddings and lower layers are never run; freeze them (``models.freeze(model, layers)``). Batches need ``rows`` and
    ``labels`` alone (``RowBatches``).
    """

    def loss_fn(model: BertForSequenceClassification, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        labels, chosen = column_of(batch, "labels"), [states[row] for row in column_of(batch, "rows").tolist()]
        hidden = pad_sequence(chosen, batch_first=True).to(labels.device)  # [batch, length, width]
        ends = torch.tensor([len(state) for state in chosen], device=labels.device)
        attention_mask = (torch.arange(hidden.shape[1], device=labels.device) < ends[:, None]).long()
        hidden = run_layers(model.bert.encoder.layer[layers:], hidden, attention_mask)
        return _sum_and_count(head_of(model)(_pooler_of(model)(hidden)), labels)

    return loss_fn


def _pooler_of(model: BertForSequenceClassification) -> nn.Module:
    return cast(nn.Module, model.bert.pooler)  # an encoder may lack one, a classifier has it


def _sum_and_count(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    summed = functional.cross_entropy(logits.float(), labels, ignore_index=IGNORE, reduction="sum")
    return summed, (labels != IGNORE).sum()
