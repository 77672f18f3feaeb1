"""Classifiers on a pre-trained BERT: poolings, a head written out, transformers' own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import nn
from transformers import BertForSequenceClassification, BertModel, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from bertft_helpers.errors import UserError
from bertft_helpers.model_files.contents import require_kind
from bertft_helpers.model_files.loading import HEADS, POOLER, load_model
from bertft_helpers.model_files.weights import weight_names
from bertft_helpers.pretrained import find_checkpoint
from bertft_helpers.runtime import set_seeds

__all__ = [
    "HEAD",
    "PooledClassifier",
    "build_classifier",
    "build_with_head",
    "check_names",
    "encoder_of",
    "freeze",
    "has_head",
    "pool_cls",
    "pool_mean",
    "unfreeze",
]

HEAD = "classifier."  # how the names of its weights begin


def pool_cls(hidden: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """The vector of [CLS]: ``[batch, length, width] -> [batch, width]``. Written out in lesson 14."""
    return hidden[:, 0]


def pool_mean(hidden: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """The mean over real tokens, padding left out: ``[batch, length, width] -> [batch, width]``.

    Written out in lesson 14.
    """
    weights = attention_mask.unsqueeze(-1).to(hidden.dtype)  # [batch, length, 1]
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)


class PooledClassifier(nn.Module):
    """An encoder, a pooling, dropout and one linear layer. Written out in lesson 14."""

    def __init__(
        self,
        encoder: BertModel,
        num_labels: int,
        pooling: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = pool_mean,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.pooling = pooling
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(encoder.config.hidden_size, num_labels)
        nn.init.normal_(self.classifier.weight, std=encoder.config.initializer_range)  # BERT's own spread
        nn.init.zeros_(self.classifier.bias)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
    ) -> SequenceClassifierOutput:
        """Logits ``[batch, labels]`` for ids and mask ``[batch, length]``."""
        hidden = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state
        pooled = self.pooling(hidden, attention_mask)
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(pooled)))


def build_classifier(checkpoint: str, label_names: Sequence[str], seed: int) -> BertForSequenceClassification:
    """transformers' BERT classifier: pre-trained encoder, a new head drawn from ``seed``, label names in its config.

    The head is new also where the checkpoint is a classifier already. Raises UserError for fewer than two labels or a
    repeated name (one label would silently train a regression) and what ``loading.load_model`` raises.
    Written out in lesson 14.
    """
    check_names(label_names)
    model = build_with_head(BertForSequenceClassification, checkpoint, label_names, seed)
    return cast(BertForSequenceClassification, model)


def build_with_head(
    model_class: type[PreTrainedModel], checkpoint: str, label_names: Sequence[str], seed: int
) -> PreTrainedModel:
    """The same for any class of transformers whose head is called ``classifier``, and any names: ``check_names`` first.

    The head may label tokens, or guess a number that has one name.
    """
    folder = find_checkpoint(checkpoint)
    require_kind(folder, "bert")
    set_seeds(seed)
    model: Any = load_model(
        model_class,
        folder,
        new=(HEAD, *POOLER),
        unused=(*HEADS, *POOLER),
        num_labels=len(label_names),
        id2label=dict(enumerate(label_names)),
        label2id={name: number for number, name in enumerate(label_names)},
        problem_type=None,  # that of a classifier for another task would stay
    )
    if has_head(checkpoint):
        set_seeds(seed)
        nn.init.normal_(model.classifier.weight, std=model.config.initializer_range)
        nn.init.zeros_(model.classifier.bias)
    return model


def check_names(label_names: Sequence[str]) -> None:
    """Raise UserError for fewer than two labels and for a name that comes twice."""
    if len(label_names) < 2 or len(set(label_names)) != len(label_names):
        raise UserError(f"label_names is {list(label_names)}; at least two different names are needed")


def has_head(checkpoint: str) -> bool:
    """Whether a checkpoint is a fine-tuned classifier; what it learned about other classes is not gone on with."""
    return any(name.startswith(HEAD) for name in weight_names(find_checkpoint(checkpoint)))


def encoder_of(model: nn.Module) -> BertModel:
    """The BERT inside a classifier of this series (``encoder``) or of transformers (``bert``).

    Raises ValueError for a model that has neither. Written out in lesson 15.
    """
    encoder = getattr(model, "bert", None) or getattr(model, "encoder", None)
    if not isinstance(encoder, BertModel):
        raise UserError(f"{type(model).__name__} has no BERT under the name 'encoder' or 'bert'")
    return encoder


def freeze(model: nn.Module, layers: int | None = None) -> None:
    """Stop the gradients of the embeddings and the lowest ``layers`` layers; None stops everything but the head.

    Call it before the optimizer is made. What else was frozen stays frozen. Raises ValueError for a number of layers
    that the encoder does not have. Written out in lesson 15.
    """
    encoder = encoder_of(model)
    _require_layers(encoder, layers)
    blocks = [encoder] if layers is None else [encoder.embeddings, *encoder.encoder.layer[:layers]]
    for block in blocks:
        block.requires_grad_(False)


def unfreeze(model: nn.Module, layers: int | None = None) -> list[nn.Parameter]:
    """Let the pooler and the top ``layers`` layers learn, or with None the whole encoder; the embeddings come last.

    Returns the parameters that were frozen until now, for ``optimizer.add_param_group``. Raises ValueError for a
    number of layers that the encoder does not have. Written out in lesson 16.
    """
    encoder = encoder_of(model)
    _require_layers(encoder, layers)
    depth = len(encoder.encoder.layer)
    above = [block for block in (encoder.pooler,) if block is not None]  # some encoders are built without a pooler
    blocks = [encoder] if layers is None else [*above, *encoder.encoder.layer[depth - layers :]]
    thawed = [parameter for block in blocks for parameter in block.parameters() if not parameter.requires_grad]
    for parameter in thawed:
        parameter.requires_grad_(True)
    return thawed


def _require_layers(encoder: BertModel, layers: int | None) -> None:
    depth = len(encoder.encoder.layer)
    if layers is not None and not 0 <= layers <= depth:
        raise UserError(f"layers is {layers}; this encoder has {depth}, so 0 to {depth} can be chosen, or None")
