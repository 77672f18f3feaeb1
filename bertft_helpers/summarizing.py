"""Summarize a text by sentences of its own: BERT scores each by itself for saying what a reference says.

``models.build_classifier`` with two labels is the model: 0 leaves a sentence out, 1 takes it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random
from typing import cast

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from bertft_helpers.batching import EncodedTexts, encode, make_loader, truncate
from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import predict
from bertft_helpers.rouge import greedy_labels, words_of
from bertft_helpers.validation import is_blank, wrong_text

Sentences = Sequence[str]


def sentences_of(text: str) -> list[str]:
    """A text cut at line ends, and after . ! ? before a capital or a quotation mark. Written out in lesson A5."""
    ends = r"\n+|(?<=[.!?])\s+(?=[A-Z\"'])|(?<=[.!?][\"'])\s+(?=[A-Z\"'])"
    return [sentence.strip() for sentence in re.split(ends, text) if words_of(sentence)]


def check_stories(stories: Sequence[Sentences]) -> None:
    """Raise UserError naming the story (from 1) that is no list of sentences, or has one without a text."""
    for row, sentences in enumerate(stories, start=1):
        if isinstance(sentences, str) or not sentences:
            raise UserError(f"story {row} is {sentences!r:.40}: give a list of sentences, as sentences_of cuts a text")
        for number, sentence in enumerate(sentences, start=1):
            if wrong_text(sentence) or is_blank(sentence):
                raise UserError(f"story {row}, sentence {number} is {sentence!r}: remove it, or give its text")


def label_stories(stories: Sequence[Sentences], references: Sequence[str], most: int) -> list[list[int]]:
    """``rouge.greedy_labels`` for each story. Raises UserError naming the story (from 1) that cannot be labelled."""
    if len(stories) != len(references):
        raise UserError(f"{len(stories)} stories but {len(references)} references: give one for each story")
    check_stories(stories)
    for row, reference in enumerate(references, start=1):
        if not words_of(reference):
            raise UserError(f"the reference of story {row} is {reference!r}, without a word of a to z: leave it out")
    return [greedy_labels(own, reference, most) for own, reference in zip(stories, references, strict=True)]


def draw_pairs(labels: Sequence[Sequence[int]], seed: int) -> list[tuple[int, int]]:
    """Story and place (from 0) of each sentence with label 1, and of as many others of its story, which the seed draws.

    So half of what trains has label 1, as far as a story has enough others. Written out in lesson A5.
    """
    draw, pairs = Random(seed), []
    for row, own in enumerate(labels):
        taken, left = ([place for place, label in enumerate(own) if label == wanted] for wanted in (1, 0))
        pairs += [(row, place) for place in taken + draw.sample(left, min(len(taken), len(left)))]
    return pairs


def encode_sentences(
    sentences: Sentences, labels: Sequence[int], tokenizer: PreTrainedTokenizerBase, max_length: int = 64
) -> EncodedTexts:
    """Sentences with a label each; of a longer one the first ``max_length`` pieces are read."""
    pieces = [truncate(ids, max_length) for ids in encode(sentences, tokenizer)]
    return EncodedTexts(pieces, labels, cast(int, tokenizer.pad_token_id or 0))


def sentence_scores(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, stories: Sequence[Sentences]
) -> list[torch.Tensor]:
    """The probability ``[sentences]`` of label 1 for each sentence of each story, read by itself.

    Raises as ``check_stories``. Written out in lesson A5.
    """
    check_stories(stories)
    sentences = [sentence for story in stories for sentence in story]
    examples = encode_sentences(sentences, [0] * len(sentences), tokenizer)
    scores = torch.from_numpy(predict(model, make_loader(examples, 32)).probabilities[:, 1])
    return list(scores.split([len(story) for story in stories]))


def best_sentences(scores: torch.Tensor, most: int) -> list[int]:
    """The places of the ``most`` highest scores ``[sentences]``, in the text's order. Written out in lesson A5."""
    return sorted(scores.argsort(descending=True, stable=True)[:most].tolist())
