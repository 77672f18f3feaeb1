"""Texts that differ for the eye at most: to the tokenizer they are one, and in two parts they would be a leak."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence

from datasets import Dataset
from transformers import PreTrainedTokenizerBase

__all__ = ["removed_as_read"]


def removed_as_read(dataset: Dataset, ids: Sequence[Sequence[int]], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Why a row must go, as ``data.clean`` says it but judged by the token ids; empty for rows that stay.

    ``empty``: no token beside [CLS] and [SEP]. ``repeated``: the ids of an earlier row of the same label, such as the
    same words in capitals for an uncased tokenizer. ``two labels``: the same ids under another label.
    """
    keys = [_key(text, own, tokenizer) for text, own in zip(dataset["text"], ids, strict=True)]
    labels_of: dict[bytes, set[int]] = {}
    for key, label in zip(keys, dataset["label"], strict=True):
        labels_of.setdefault(key, set()).add(label)
    seen: set[bytes] = set()
    reasons = []
    for key, own in zip(keys, ids, strict=True):
        repeated = "repeated" if key in seen else ""
        seen.add(key)
        reasons.append("empty" if len(own) <= 2 else "two labels" if len(labels_of[key]) > 1 else repeated)
    return reasons


def _key(text: str, ids: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> bytes:
    """Sixteen bytes that are equal for texts read alike; where a word is [UNK] they are taken from its characters."""
    if tokenizer.unk_token_id in ids:
        content = " ".join(_normalised(text, tokenizer).split()).encode("utf-8", "surrogatepass")
    else:
        content = array("q", ids).tobytes()
    return hashlib.blake2b(content, digest_size=16).digest()


def _normalised(text: str, tokenizer: PreTrainedTokenizerBase) -> str:
    normalizer = getattr(getattr(tokenizer, "backend_tokenizer", None), "normalizer", None)
    return normalizer.normalize_str(text) if normalizer is not None else text
