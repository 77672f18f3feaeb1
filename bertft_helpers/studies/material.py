"""The labelled texts of the studies: the series' headlines, the same drawn again, and another task from other texts."""

from __future__ import annotations

import functools
import re

import numpy as np
from datasets import Dataset

from bertft_helpers.batching import EncodedTexts, encode_dataset
from bertft_helpers.data import build, clean, load_texts, select_view, split
from bertft_helpers.pretrained import load_tokenizer

__all__ = ["TEXTS", "names_of", "parts_of"]

_LEAD, _LATER = "lead", "later"
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def _headlines() -> Dataset:
    return clean(select_view(load_texts("news"), "headline")).kept


def _leads_and_later() -> Dataset:
    """One sentence of each story: of every second one its first, of the others the one in the middle of the rest."""
    stories, ids, texts, labels = load_texts("news"), [], [], []
    for place, row in enumerate(np.random.default_rng(0).permutation(len(stories)).tolist()):
        _headline, *paragraphs = [line for line in stories[row]["text"].splitlines() if line.strip()]
        lead, *rest = [sentence for paragraph in paragraphs for sentence in _SENTENCE_END.split(paragraph.strip())]
        label = (_LEAD, _LATER)[place % 2]
        ids.append(stories[row]["id"])
        texts.append(lead if label == _LEAD else rest[len(rest) // 2])
        labels.append(label)
    return clean(build(ids, texts, labels, order=(_LEAD, _LATER))).kept


TEXTS = {
    "headlines": (_headlines, 0),  # five desks; the split of the lessons
    "headlines drawn again": (_headlines, 1),  # other headlines in each part
    "lead or later": (_leads_and_later, 0),  # is this sentence a story's first or from its middle?
}


@functools.cache
def parts_of(texts: str) -> dict[str, EncodedTexts]:
    """One of ``TEXTS``, split and encoded to at most 64 pieces, by part."""
    read, seed = TEXTS[texts]
    tokenizer = load_tokenizer("bundled")
    return {name: encode_dataset(part, tokenizer, max_length=64) for name, part in split(read(), seed=seed).items()}


@functools.cache
def names_of(texts: str) -> list[str]:
    """The classes of one of ``TEXTS``."""
    return TEXTS[texts][0]().features["label"].names
