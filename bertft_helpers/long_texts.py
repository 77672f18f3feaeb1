"""Texts that are far longer than a model reads: their middle is left out, or the tokenizer gets them piece by piece.

A tokenizer needs 150 times a text's size in memory, so it never gets a whole book.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from transformers import PreTrainedTokenizerBase

from bertft_helpers.batching import encode

__all__ = ["HELD", "LAST_SPACE", "LONGEST", "PIECE", "encode_whole", "held_together", "pieces_of", "without_middle"]

LONGEST = 200_000  # characters; BERT reads 512 tokens
PIECE = 10_000  # characters that the tokenizer gets of a text at a time, where all of it is read
HELD = 10_000_000  # characters of texts whose token ids are held together
LAST_SPACE = re.compile(r"[ \t\n\r][^ \t\n\r]*\Z")  # what every BERT tokenizer parts words at, whatever else it does


def without_middle(text: str) -> str:
    """A text of at most about ``LONGEST`` characters: beginning and end stay, cut between words; others as they are."""
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    head, tail = text[:half], text[-half:]
    first, last = max(head.rfind(" "), head.rfind("\n")), tail.find(" ")
    return f"{head[: first if first > 0 else half]} {tail[max(last, 0) :]}"


def encode_whole(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """The token ids of each text as ``batching.encode`` gives them, in memory that a long text does not multiply."""
    pieces = [list(pieces_of(text)) for text in texts]
    encoded = iter(encode([piece for own in pieces for piece in own], tokenizer))
    return [_joined([next(encoded) for _ in own]) for own in pieces]


def _joined(pieces: list[list[int]]) -> list[int]:
    """Pieces with [CLS] and [SEP] each as one text with them."""
    first, last = pieces[0], pieces[-1]
    return [first[0], *(token for piece in pieces for token in piece[1:-1]), last[-1]]


def pieces_of(text: str) -> Iterator[str]:
    """A text in pieces of at most ``PIECE`` characters, cut at white space, where no token begins or ends inside.

    Where there is none for so long, it is cut between letters.
    """
    start = 0
    while len(text) - start > PIECE:
        space = LAST_SPACE.search(text, start, start + PIECE)
        end = space.start() + 1 if space else start + PIECE
        yield text[start:end]
        start = end
    yield text[start:]


def held_together(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in their order, in groups of at most ``HELD`` characters; a longer text is a group of its own."""
    start = size = 0
    for place, text in enumerate(texts):
        if size and size + len(text) > HELD:
            yield texts[start:place]
            start, size = place, 0
        size += len(text)
    if start < len(texts):
        yield texts[start:]
