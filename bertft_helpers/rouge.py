"""ROUGE (Lin 2004): how much wording a summary shares with its reference, and the sentences that share most.

Words are counted as the field's usual program does without stemming: "axe" and "axing" are two words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple


class Rouge(NamedTuple):
    """Shares of a summary's words that its reference has too, of the reference's that the summary has, and their F1."""

    precision: float
    recall: float
    f1: float


def words_of(text: str) -> list[str]:
    """Runs of the letters a to z and of digits, made small; all else parts words. Written out in lesson A5."""
    return re.findall(r"[a-z0-9]+", text.lower())


def shares(common: int, said: int, wanted: int) -> Rouge:
    """The scores of ``common`` words among ``said`` of a summary and ``wanted`` of its reference; 0 where none is.

    Written out in lesson A5.
    """
    return Rouge(common / max(said, 1), common / max(wanted, 1), 2 * common / max(said + wanted, 1))


def rouge_1(summary: str, reference: str) -> Rouge:
    """ROUGE-1: common words in any order, each as often as both have it. Written out in lesson A5."""
    said, wanted = words_of(summary), words_of(reference)
    return shares((Counter(said) & Counter(wanted)).total(), len(said), len(wanted))


def rouge_l(summary: str, reference: str) -> Rouge:
    """ROUGE-L: the longest sequence of words that both have in this order. Written out in lesson A5."""
    said, wanted = words_of(summary), words_of(reference)
    return shares(longest_common(said, wanted), len(said), len(wanted))


def longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many words the longest sequence has that stands in both, gaps allowed. Written out in lesson A5."""
    above = [0] * (len(other) + 1)  # [k]: for the words of `one` so far and the first k of `other`
    for word in one:
        row = [0]
        for place, its in enumerate(other):
            row.append(above[place] + 1 if word == its else max(above[place + 1], row[place]))
        above = row
    return above[-1]


def greedy_labels(sentences: Sequence[str], reference: str, most: int) -> list[int]:
    """1 for at most ``most`` sentences, of which each raised ROUGE-1's F1 the most when it was taken, else 0.

    The greedy oracle of Nallapati et al. 2017: it need not find the best set. Written out in lesson A5.
    """
    taken: list[int] = []
    score = 0.0
    while len(taken) < min(most, len(sentences)):
        left = [place for place in range(len(sentences)) if place not in taken]
        scores = {k: rouge_1(" ".join(sentences[n] for n in [*taken, k]), reference).f1 for k in left}
        best = max(left, key=lambda place: scores[place])
        if scores[best] <= score:
            break
        taken, score = [*taken, best], scores[best]
    return [int(place in taken) for place in range(len(sentences))]
