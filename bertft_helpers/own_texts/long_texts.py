"""Texts that are far longer than a model reads: the middle is left out before a tokenizer spends gigabytes on it."""

from __future__ import annotations

LONGEST = 200_000  # characters; BERT reads 512 tokens, and a tokenizer needs 150 times a text's size


def without_middle(text: str) -> str:
    """A text of at most about ``LONGEST`` characters: beginning and end stay, cut between words; others as they are."""
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    head, tail = text[:half], text[-half:]
    first, last = max(head.rfind(" "), head.rfind("\n")), tail.find(" ")
    return f"{head[: first if first > 0 else half]} {tail[max(last, 0) :]}"
