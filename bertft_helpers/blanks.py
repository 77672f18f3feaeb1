"""Fill the blanks of texts with BERT's head for masked words: what transformers' ``fill-mask`` pipeline answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from transformers import BertForMaskedLM, PreTrainedTokenizerBase

from bertft_helpers.batching import EncodedTexts, encode, make_loader, move_batch
from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import evaluation_mode
from bertft_helpers.models import encoder_of

__all__ = ["Fill", "encode_blanks", "fill_blanks"]


class Fill(NamedTuple):
    """A piece that may stand in a blank, and the model's probability for it."""

    piece: str
    probability: float


def encode_blanks(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Token ids of texts with [MASK] in them. Raises UserError naming a text (from 1) without one, or too long."""
    input_ids = encode(texts, tokenizer)
    for row, ids in enumerate(input_ids, start=1):
        if tokenizer.mask_token_id not in ids:
            raise UserError(f"text {row} has no blank: write {tokenizer.mask_token} where a word is missing")
        if len(ids) > tokenizer.model_max_length:
            raise UserError(f"text {row} has {len(ids)} pieces, the model takes {tokenizer.model_max_length}: cut it")
    return input_ids


def fill_blanks(
    model: BertForMaskedLM, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], top: int = 5
) -> list[list[list[Fill]]]:
    """For each text and each of its blanks the ``top`` most probable pieces, best first. Written out in lesson A1."""
    loader = make_loader(EncodedTexts(encode_blanks(texts, tokenizer), [0] * len(texts), tokenizer.pad_token_id), 32)
    fills: list[list[list[Fill]]] = [[] for _ in texts]
    with evaluation_mode(model):
        for batch in loader:
            batch = move_batch(batch, model.device)
            rows, places = (batch["input_ids"] == tokenizer.mask_token_id).nonzero(as_tuple=True)
            vectors = encoder_of(model)(batch["input_ids"], batch["attention_mask"]).last_hidden_state[rows, places]
            best = model.cls(vectors).float().softmax(dim=-1).topk(top)
            for row, ids, values in zip(batch["rows"][rows].tolist(), best.indices, best.values.tolist(), strict=True):
                fills[row].append(list(map(Fill, tokenizer.convert_ids_to_tokens(ids), values)))
    return fills
