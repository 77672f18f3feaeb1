"""Let the top layer of a BERT classifier compute [CLS] alone, since the pooler reads nothing else.

The same function of the same weights: the other tokens' outputs of the top layer are never used, and their gradients
are zero. They are a seventh of a six-layer model's work, forward and backward. Predictions always do it
(``inference``). In training it is a choice, since dropout draws fewer numbers, so that a run differs from the plain one
as it would with another seed; without dropout they agree.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import nn
from transformers import AttentionInterface, BertForSequenceClassification
from transformers.models.bert.modeling_bert import BertLayer, eager_attention_forward

__all__ = ["first_token_only", "use_all_tokens", "use_first_token"]


@contextlib.contextmanager
def first_token_only(model: nn.Module) -> Iterator[None]:
    """Let a BERT classifier's top layer compute [CLS] alone inside; any other model stays as it is."""
    if not isinstance(model, BertForSequenceClassification) or model.config.is_decoder or _is_shortened(model):
        yield
        return
    use_first_token(model)
    try:
        yield
    finally:
        use_all_tokens(model)


def use_first_token(model: BertForSequenceClassification) -> None:
    """Compute only the first token in the top layer; ``last_hidden_state`` becomes ``[batch, 1, width]``.

    Parameters and their names stay. Not for a model that pools over all tokens. Undo it with ``use_all_tokens``.
    """
    layer = cast(BertLayer, model.bert.encoder.layer[-1])
    vars(layer)["forward"] = functools.partial(_first_token_forward, layer)


def use_all_tokens(model: BertForSequenceClassification) -> None:
    """Compute every token in every layer again, which also saves the model from carrying the change into copies."""
    vars(model.bert.encoder.layer[-1]).pop("forward", None)


def _is_shortened(model: BertForSequenceClassification) -> bool:
    return "forward" in vars(model.bert.encoder.layer[-1])


def _first_token_forward(
    layer: BertLayer, hidden: torch.Tensor, attention_mask: torch.Tensor | None = None, *_decoder: Any, **_options: Any
) -> torch.Tensor:
    attention, first = layer.attention.self, hidden[:, :1]  # [batch, 1, width]
    query, key, value = (
        projected.unflatten(-1, (attention.num_attention_heads, -1)).transpose(1, 2)
        for projected in (attention.query(first), attention.key(hidden), attention.value(hidden))
    )
    attend = AttentionInterface().get_interface(attention.config._attn_implementation, eager_attention_forward)
    mask = None if attention_mask is None else attention_mask[..., :1, :]
    rate = attention.dropout.p if layer.training else 0.0
    context, _ = attend(attention, query, key, value, mask, dropout=rate, scaling=attention.scaling)
    return layer.feed_forward_chunk(layer.attention.output(context.flatten(2), first))
