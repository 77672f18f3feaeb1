"""Spans of words as tags: BIO, what it allows, the way there and back, and scores.

A tag is ``O``, or ``B-`` or ``I-`` and a kind (after Ramshaw & Marcus 1995): what begins a span and what continues it.
None is the tag of a word of which nobody knows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

Tags = Sequence[str | None]


class Span(NamedTuple):
    """The words ``start`` to ``end - 1`` of a sentence, and what they name."""

    kind: str
    start: int
    end: int


class SpanScores(NamedTuple):
    """Shares of the spans found that are right, of the true ones that were found, and their harmonic mean."""

    precision: float
    recall: float
    f1: float


def may_follow(before: str, tag: str) -> bool:
    """Whether BIO allows a tag after another: inside a span only its own kind. Written out in lesson A2."""
    return not tag.startswith("I-") or before in (f"B-{tag[2:]}", tag)


def best_path(scores: torch.Tensor, tag_names: Sequence[str]) -> list[str]:
    """The tags with the highest sum of scores ``[words, tags]`` that BIO allows (Viterbi 1967).

    Written out in lesson A2.
    """
    allowed = torch.tensor([[may_follow(before, tag) for tag in tag_names] for before in ["O", *tag_names]])
    penalty = torch.zeros(allowed.shape).masked_fill(~allowed, -torch.inf)  # [before, tag], first row: the beginning
    total, choices = scores[0] + penalty[0], []
    for own in scores[1:]:
        total, best_before = (total[:, None] + penalty[1:]).max(dim=0)
        total = total + own
        choices.append(best_before.tolist())
    path = [int(total.argmax())]
    for best_before in reversed(choices):
        path.append(best_before[path[-1]])
    return [tag_names[number] for number in reversed(path)]


def spans_of(tags: Tags) -> list[Span]:
    """The spans in a sentence's tags by the CoNLL evaluation's rule: ``I-`` without a beginning begins a span too.

    Written out in lesson A2.
    """
    spans, kind, start = [], "", 0
    for place, tag in enumerate([*tags, "O"]):
        mark, _, own = (tag or "O").partition("-")
        if mark == "I" and own == kind:
            continue
        if kind:
            spans.append(Span(kind, start, place))
        kind, start = own, place
    return spans


def span_scores(labels: Sequence[Sequence[Span]], predictions: Sequence[Sequence[Span]]) -> SpanScores:
    """Scores over all sentences; a span is right when kind, start and end are. Written out in lesson A2."""
    right = sum(len({*own} & {*found}) for own, found in zip(labels, predictions, strict=True))
    true, found = sum(map(len, labels)), sum(map(len, predictions))
    return SpanScores(right / max(found, 1), right / max(true, 1), 2 * right / max(true + found, 1))
