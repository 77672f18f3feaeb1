"""Answers as stretches of a context: where they lie among its pieces, the best-scored ones, SQuAD's two measures."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import torch

from bertft_helpers.errors import UserError
from bertft_helpers.validation import is_blank, wrong_text

Places = tuple[int, int]
Letters = Sequence[Places | None]  # for each piece of a window: its letters in the context, None outside of it


class Question(NamedTuple):
    """A question about a context. All ``answers`` are right; the first begins at letter ``start`` of the context.

    Without answers the context does not say it, and ``start`` means nothing.
    """

    text: str
    context: str
    answers: Sequence[str] = ()
    start: int = 0

    @property
    def span(self) -> Places | None:
        """The first letter of the answer in the context and the one after its last; None without an answer."""
        return (self.start, self.start + len(self.answers[0])) if self.answers else None


class Answer(NamedTuple):
    """The best span: its text, its first letter in the context, its score less that of "no answer" (sums of logits)."""

    text: str
    start: int
    margin: float


def normalize_answer(text: str) -> str:
    """What SQuAD compares: small letters, no punctuation, no articles, single spaces. Written out in lesson A3."""
    letters = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", letters).split())


def exact_match(given: str, answers: Sequence[str]) -> float:
    """1.0 where the given answer is one of the right ones, else 0.0; "" is right where there is none.

    Written out in lesson A3.
    """
    return float(normalize_answer(given) in [normalize_answer(answer) for answer in answers or [""]])


def answer_f1(given: str, answers: Sequence[str]) -> float:
    """The F1 of the given answer's words against the right answer that it is nearest to. Written out in lesson A3."""
    found, best = normalize_answer(given).split(), 0.0
    for answer in answers or [""]:
        true = normalize_answer(answer).split()
        shared = (Counter(found) & Counter(true)).total()
        best = max(best, 2 * shared / (len(found) + len(true)) if found and true else float(found == true))
    return best


def label_window(letters: Letters, span: Places | None) -> Places:
    """The places of the pieces with the first and the last letter of ``span``; those of [CLS] where one is missing.

    Written out in lesson A3.
    """
    if span is None:
        return 0, 0
    first = [place for place, own in enumerate(letters) if own and own[0] <= span[0] < own[1]]
    last = [place for place, own in enumerate(letters) if own and own[0] < span[1] <= own[1]]
    return (first[0], last[0]) if first and last else (0, 0)


def top_spans(
    scores: torch.Tensor, allowed: torch.Tensor, longest: int = 16, count: int = 1
) -> list[tuple[float, Places]]:
    """The ``count`` best spans of at most ``longest`` pieces: start plus end score, and the places of both.

    ``scores`` is ``[2, length]``; ``allowed`` ``[length]`` says where an answer may lie. Written out in lesson A3.
    """
    sums = scores[0][:, None] + scores[1][None, :]  # [start, end]
    fitting = (allowed[:, None] & allowed[None, :]).triu().tril(longest - 1)  # end not before start, nor too far behind
    best = sums.masked_fill(~fitting, -torch.inf).flatten().topk(min(count, int(fitting.sum())))
    places = [divmod(place, len(allowed)) for place in best.indices.tolist()]
    return list(zip(best.values.tolist(), places, strict=True))


def check_questions(questions: Sequence[Question]) -> None:
    """Raise UserError naming the question (from 1) that is blank or whose answer is not where it is said to be."""
    if not questions:
        raise UserError("there are no questions; at least one is needed")
    for row, (text, context, answers, start) in enumerate(questions, start=1):
        for name, value in (("question", text), ("context", context), *(("answer", own) for own in answers)):
            if problem := wrong_text(value) or ("blank" if is_blank(value) else ""):
                raise UserError(f"question {row}: its {name} is {problem}; fill it in, or remove the row")
        if answers and (start < 0 or not context.startswith(answers[0], start)):
            place = context.find(answers[0])
            remedy = f"it begins at letter {place}" if place >= 0 else "it is nowhere there: repair it, or give none"
            raise UserError(
                f"question {row}: the answer {answers[0]!r} does not begin at letter {start} of the context; {remedy}"
            )
