"""A frozen BERT with a linear head on its mean vectors, as a folder that transformers opens by itself.

transformers' BERT classifier reads [CLS] through a pooler and has no mean. Its XLM classifier has one, and XLM's layers
are BERT's: attention, sum and normalisation, two linear layers, sum and normalisation (Lample and Conneau 2019). So the
same weights under XLM's names give the same numbers. One thing differs: XLM counts padding in its mean. The folder's
tokenizer therefore knows no padding, and transformers reads one text at a time or refuses; this class leaves padding
out of the mean, and pads.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    BertConfig,
    BertModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    XLMConfig,
    XLMForSequenceClassification,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from bertft_helpers.errors import UserError
from bertft_helpers.model_files.contents import read_config
from bertft_helpers.models import pool_mean

__all__ = [
    "ACTIVATIONS",
    "EMBEDDINGS",
    "LAYER",
    "WIDENING",
    "MeanPooledClassifier",
    "has_mean",
    "mean_classifier",
    "reason_against",
    "without_padding",
]

WIDENING = 4  # XLM's inner layers are this many times as wide as the others, always
ACTIVATIONS = {"gelu": True, "relu": False}  # BERT's names -> XLM's gelu_activation
EMBEDDINGS = {  # BERT's names -> XLM's, but for those of positions and segments, which XLM has as one
    "embeddings.word_embeddings.weight": "embeddings.weight",
    "embeddings.LayerNorm.weight": "layer_norm_emb.weight",
    "embeddings.LayerNorm.bias": "layer_norm_emb.bias",
}
LAYER = {  # within a layer
    "attention.self.query": "attentions.{}.q_lin",
    "attention.self.key": "attentions.{}.k_lin",
    "attention.self.value": "attentions.{}.v_lin",
    "attention.output.dense": "attentions.{}.out_lin",
    "attention.output.LayerNorm": "layer_norm1.{}",
    "intermediate.dense": "ffns.{}.lin1",
    "output.dense": "ffns.{}.lin2",
    "output.LayerNorm": "layer_norm2.{}",
}


class MeanPooledClassifier(XLMForSequenceClassification):
    """XLM's classifier with the mean over real tokens, so that a text's logits do not depend on its batch."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SequenceClassifierOutput:
        """Logits ``[batch, labels]`` for ids and mask ``[batch, length]``, never with dropout: nothing is trained."""
        return SequenceClassifierOutput(logits=self.sequence_summary.summary(self.vectors(input_ids, attention_mask)))

    def vectors(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """The mean vectors ``[batch, width]``.

        Written out, since XLM's own loop keeps keys and values for texts that go on, and cannot be exported.
        """
        body: Any = self.transformer
        positions = body.position_embeddings(torch.arange(input_ids.shape[1], device=input_ids.device))
        hidden = body.layer_norm_emb(body.embeddings(input_ids) + positions)
        real = attention_mask[:, None, None, :].bool()  # [batch, 1, 1, length]
        for attention, first, feed_forward, second in zip(
            body.attentions, body.layer_norm1, body.ffns, body.layer_norm2, strict=True
        ):
            hidden = first(hidden + _attend(attention, hidden, real))
            hidden = second(hidden + feed_forward(hidden))
        return pool_mean(hidden, attention_mask)

    def save_pretrained(self, *where: Any, **how: Any) -> None:
        """Save it as what other tools have: transformers' own class with the same weights."""
        with torch.device("meta"):
            plain = XLMForSequenceClassification(self.config)
        plain.load_state_dict(self.state_dict(), assign=True)
        plain.save_pretrained(*where, **how)


def _attend(attention: Any, hidden: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    query, key, value = (
        linear(hidden).unflatten(-1, (attention.n_heads, -1)).transpose(1, 2)  # [batch, heads, length, width / heads]
        for linear in (attention.q_lin, attention.k_lin, attention.v_lin)
    )
    context = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=real)
    return attention.out_lin(context.transpose(1, 2).flatten(2))


def reason_against(config: BertConfig) -> str:
    """Why a BERT cannot be written as an XLM; empty for BERT as it was published and for most others."""
    if config.hidden_act not in ACTIVATIONS:
        return f"its activation is {config.hidden_act!r}, and only {' and '.join(ACTIVATIONS)} can be stored"
    if config.intermediate_size > WIDENING * config.hidden_size:
        return f"its inner layers are more than {WIDENING} times as wide as the others, and so wide none can be stored"
    return "it is a decoder" if config.is_decoder else ""


def mean_classifier(
    encoder: BertModel, weight: torch.Tensor, bias: torch.Tensor, label_names: Sequence[str]
) -> MeanPooledClassifier:
    """``weight`` ``[labels, width]`` and ``bias`` ``[labels]`` on the mean vectors of a copy of ``encoder``.

    Raises UserError for an encoder with a ``reason_against``.
    """
    if reason := reason_against(encoder.config):
        raise UserError(f"this BERT cannot be saved with a mean: {reason}")
    model = MeanPooledClassifier(_config(encoder.config, label_names)).to(encoder.device)  # type: ignore[arg-type]  # transformers hides that it is a method
    head = {"sequence_summary.summary.weight": weight, "sequence_summary.summary.bias": bias}
    model.load_state_dict({**_renamed(encoder), **head})
    return model.eval()


def _config(bert: BertConfig, label_names: Sequence[str]) -> XLMConfig:
    return XLMConfig(
        vocab_size=bert.vocab_size,
        emb_dim=bert.hidden_size,
        n_layers=bert.num_hidden_layers,
        n_heads=bert.num_attention_heads,
        dropout=bert.hidden_dropout_prob,
        attention_dropout=bert.attention_probs_dropout_prob,
        gelu_activation=ACTIVATIONS[bert.hidden_act],
        use_lang_emb=False,
        max_position_embeddings=bert.max_position_embeddings,
        layer_norm_eps=bert.layer_norm_eps,
        summary_type="mean",
        summary_first_dropout=0.0,
        pad_token_id=bert.pad_token_id,
        id2label=dict(enumerate(label_names)),
        label2id={name: number for number, name in enumerate(label_names)},
    )


def _renamed(encoder: BertModel) -> dict[str, torch.Tensor]:
    """BERT's weights under XLM's names. The pooler is left out; every token is of the first segment, no text is a pair.

    XLM's inner layers are filled up to their width with zeros, which give zeros.
    """
    own = encoder.state_dict()
    named = {f"transformer.{xlm}": own[bert] for bert, xlm in EMBEDDINGS.items()}
    named["transformer.position_embeddings.weight"] = (
        own["embeddings.position_embeddings.weight"] + own["embeddings.token_type_embeddings.weight"][0]
    )
    missing = WIDENING * encoder.config.hidden_size - encoder.config.intermediate_size
    fillers = {"lin1.weight": (0, 0, 0, missing), "lin1.bias": (0, missing), "lin2.weight": (0, missing)}
    for number, kind, (bert, xlm) in itertools.product(
        range(encoder.config.num_hidden_layers), ("weight", "bias"), LAYER.items()
    ):
        filler = fillers.get(f"{xlm.rpartition('.')[2]}.{kind}", (0, 0))
        weight = own[f"encoder.layer.{number}.{bert}.{kind}"]
        named[f"transformer.{xlm.format(number)}.{kind}"] = nn.functional.pad(weight, filler)
    return named


def without_padding(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """The same tokenizer for XLM's classifier: no padding, which would count in its mean, and no segments."""
    special = {name: value for name, value in tokenizer.special_tokens_map.items() if name != "pad_token"}
    rules = copy.deepcopy(tokenizer.backend_tokenizer)
    rules.no_padding()  # they may hold what a call before this has set, and a padding token with it
    rules.no_truncation()
    return PreTrainedTokenizerFast(
        tokenizer_object=rules,
        model_max_length=tokenizer.model_max_length,
        model_input_names=["input_ids", "attention_mask"],
        **special,
    )


def has_mean(folder: Path) -> bool:
    """Whether a folder holds what ``mean_classifier`` makes."""
    config = read_config(folder)
    return config.get("model_type") == "xlm" and config.get("summary_type") == "mean"
