"""Tag the words of sentences with BERT: labels for pieces, and scores of words read at their first pieces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from transformers import BertForTokenClassification, PreTrainedTokenizerBase

from bertft_helpers.batching import IGNORE, EncodedTexts, make_loader, move_batch
from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import evaluation_mode
from bertft_helpers.losses import forward_logits
from bertft_helpers.models import build_with_head, check_names
from bertft_helpers.spans import Tags

Words = Sequence[str]


def build_tagger(checkpoint: str, tag_names: Sequence[str], seed: int) -> BertForTokenClassification:
    """transformers' BERT with a new head for each token, drawn from ``seed``. Raises as ``models.build_classifier``."""
    check_names(tag_names)
    return cast(BertForTokenClassification, build_with_head(BertForTokenClassification, checkpoint, tag_names, seed))


def first_pieces(word_of_piece: Sequence[int | None]) -> list[int]:
    """The position of each word's first piece, from a tokenizer's ``word_ids()``. Written out in lesson A2."""
    places: dict[int, int] = {}
    for place, word in enumerate(word_of_piece):
        if word is not None:  # [CLS] and [SEP] belong to no word
            places.setdefault(word, place)
    return list(places.values())


def label_pieces(word_of_piece: Sequence[int | None], tags: Tags, tag_names: Sequence[str]) -> list[int]:
    """A label for each piece: its word's tag on the first, -100 on all others. Written out in lesson A2."""
    labels = [IGNORE] * len(word_of_piece)
    for place, tag in zip(first_pieces(word_of_piece), tags, strict=True):
        if tag is not None:
            labels[place] = tag_names.index(tag)
    return labels


def encode_words(sentences: Sequence[Words], tokenizer: PreTrainedTokenizerBase) -> tuple[list, list]:
    """Token ids and ``word_ids()`` of each sentence. Raises UserError for what does not reach the model whole."""
    encoded = tokenizer([list(words) for words in sentences], is_split_into_words=True, verbose=False)
    word_ids = [encoded.word_ids(row) for row in range(len(sentences))]
    for row, (words, of_piece) in enumerate(zip(sentences, word_ids, strict=True), start=1):
        if lost := [word for place, word in enumerate(words) if place not in of_piece]:
            raise UserError(f"sentence {row}: {lost[0]!r} has no piece in the vocabulary: remove such words, or repair")
        if len(of_piece) > tokenizer.model_max_length:
            raise UserError(
                f"sentence {row} has {len(of_piece)} pieces, the model takes {tokenizer.model_max_length}: split it"
            )
    return encoded["input_ids"], word_ids


def encode_tagged(
    sentences: Sequence[Words], tags: Sequence[Tags], tag_names: Sequence[str], tokenizer: PreTrainedTokenizerBase
) -> EncodedTexts:
    """Sentences with labels for their pieces. Raises UserError naming the sentence (from 1) whose tags do not fit."""
    check_tags(sentences, tags, tag_names)
    input_ids, word_ids = encode_words(sentences, tokenizer)
    labels = [label_pieces(of_piece, own, tag_names) for of_piece, own in zip(word_ids, tags, strict=True)]
    return EncodedTexts(input_ids, labels, cast(int, tokenizer.pad_token_id or 0))


def check_tags(sentences: Sequence[Words], tags: Sequence[Tags], tag_names: Sequence[str]) -> None:
    """Raise UserError unless every word of every sentence has one tag, a name of ``tag_names`` or None."""
    if len(sentences) != len(tags):
        raise UserError(f"{len(sentences)} sentences but {len(tags)} lists of tags: give one list for each sentence")
    for row, (words, own) in enumerate(zip(sentences, tags, strict=True), start=1):
        if isinstance(words, str) or not words:
            raise UserError(f"sentence {row} is {words!r}: give a list of its words, at least one")
        if len(words) != len(own):
            raise UserError(f"sentence {row} has {len(words)} words and {len(own)} tags: give each word one tag")
        if unknown := [tag for tag in own if tag is not None and tag not in tag_names]:
            raise UserError(f"sentence {row}: {unknown[0]!r} is none of the tags {', '.join(tag_names)}, nor None")


def word_scores(
    model: BertForTokenClassification, tokenizer: PreTrainedTokenizerBase, sentences: Sequence[Words]
) -> list[torch.Tensor]:
    """The log-probabilities ``[words, tags]`` of each sentence, read at the words' first pieces.

    Written out in lesson A2.
    """
    input_ids, word_ids = encode_words(sentences, tokenizer)
    loader = make_loader(EncodedTexts(input_ids, [0] * len(sentences), tokenizer.pad_token_id), 32)
    scores: list[torch.Tensor] = [torch.empty(0)] * len(sentences)
    with evaluation_mode(model):
        for batch in loader:
            logits = forward_logits(model, move_batch(batch, model.device)).float().log_softmax(dim=-1).cpu()
            for row, own in zip(batch["rows"].tolist(), logits, strict=True):
                scores[row] = own[first_pieces(word_ids[row])]
    return scores
