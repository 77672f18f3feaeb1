"""Compare texts with BERT: a vector for each text (bi-encoder), or a grade for two read together (cross-encoder)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import nn
from torch.nn.functional import mse_loss, normalize
from transformers import BertModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import SequenceClassifierOutput

from bertft_helpers.batching import Batch, EncodedTexts, column_of, encode, make_loader
from bertft_helpers.evaluation import predict
from bertft_helpers.features import encode_once
from bertft_helpers.files import write_json
from bertft_helpers.losses import forward_logits
from bertft_helpers.models import pool_mean
from bertft_helpers.pairs import check_lengths, join_pairs
from bertft_helpers.validation import check_not_blank, check_texts

__all__ = ["GRADED", "BiEncoder", "embed", "graded_loss", "likeness", "save_bi_encoder"]

GRADED = ("apart", "together")  # a cross-encoder's classes; the probability of the second is a pair's likeness


class BiEncoder(nn.Module):
    """One encoder reads both texts of a pair; a text's vector is the mean of its tokens', scaled to length 1.

    After Reimers & Gurevych 2019. Written out in lesson A4.
    """

    def __init__(self, encoder: BertModel, temperature: float = 0.05) -> None:
        super().__init__()
        self.encoder, self.temperature = encoder, temperature

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SequenceClassifierOutput:
        """Cosines over the temperature ``[pairs, pairs]``, for a batch of left texts and then right texts."""
        sides = zip(input_ids.chunk(2), attention_mask.chunk(2), strict=True)
        left, right = (self.vectors(ids, mask) for ids, mask in sides)
        return SequenceClassifierOutput(logits=left @ right.T / self.temperature)

    def vectors(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Unit vectors ``[texts, width]`` for ids and mask ``[texts, length]``."""
        longest = int(attention_mask.sum(dim=1).max())  # a side of short texts is not computed at the other's length
        ids, mask = input_ids[:, :longest], attention_mask[:, :longest]
        hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        return normalize(pool_mean(hidden, mask), dim=1)


def embed(encoder: BertModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> torch.Tensor:
    """Unit vectors ``[texts, width]`` of any number of texts, in their order, on the CPU.

    Raises UserError naming the rows (from 1) that are empty or longer than the model.
    """
    check_texts(texts, "texts")
    check_not_blank(texts, "texts")
    ids = encode(texts, tokenizer)
    check_lengths(ids, tokenizer)
    examples = EncodedTexts(ids, [0] * len(ids), cast(int, tokenizer.pad_token_id or 0))
    return normalize(encode_once(encoder, examples), dim=1)


def graded_loss(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """The squared difference between likeness and grade, summed over the pairs, and their number.

    Written out in lesson A4.
    """
    grades = column_of(batch, "grades")
    found = forward_logits(model, batch).float().softmax(dim=-1)[:, 1]
    return mse_loss(found, grades, reduction="sum"), torch.tensor(len(grades), device=grades.device)


def likeness(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, left: Sequence[str], right: Sequence[str]
) -> torch.Tensor:
    """A cross-encoder's grade of each pair ``[pairs]``, between 0 and 1. Raises UserError as ``pairs.join_pairs``."""
    pairs = join_pairs(left, right, [0.0] * len(left), tokenizer)
    return torch.from_numpy(predict(model, make_loader(pairs, 32)).probabilities[:, 1])


def save_bi_encoder(encoder: BertModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Save encoder and tokenizer as transformers does, and beside them what sentence-transformers reads.

    Its three files say: run the model, take the mean of the tokens' vectors, scale it to length 1.
    """
    folder = Path(folder)
    encoder.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [
        {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for place, (path, kind) in enumerate(kinds.items())
    ]
    write_json(folder / "modules.json", modules)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": tokenizer.model_max_length})
    (folder / "1_Pooling").mkdir(exist_ok=True)
    width = {"word_embedding_dimension": encoder.config.hidden_size}
    write_json(folder / "1_Pooling" / "config.json", width | {"pooling_mode_mean_tokens": True})
    (folder / "2_Normalize").mkdir(exist_ok=True)
