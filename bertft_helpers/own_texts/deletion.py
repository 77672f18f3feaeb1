"""Whether the words that are said to carry an answer do: they are deleted, and so are others, drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from bertft_helpers.errors import UserError
from bertft_helpers.inference import TextClassifier
from bertft_helpers.long_texts import without_middle
from bertft_helpers.own_texts.attribution import Odds, WordShare, log_odds, without_words
from bertft_helpers.own_texts.counted_words import CountedWords
from bertft_helpers.own_texts.explaining import Explainer, explainer_of, told, words_among
from bertft_helpers.own_texts.prepared import Prepared

__all__ = [
    "DELETED",
    "DRAWS",
    "EXAMINED",
    "SHOWN",
    "Deletion",
    "check_by_deletion",
    "drawn_of",
    "explained_answers",
    "explained_test_texts",
]

DELETED, DRAWS = 3, 5  # words that are deleted of a text, and draws of as many at random
EXAMINED, SHOWN = 24, 6  # test texts for a report: each costs some 24 predictions


class Deletion(NamedTuple):
    """How far the probability of an answer falls, on average of ``texts``, when ``words`` words are deleted.

    ``highest`` by those with the highest shares, ``drawn`` by words drawn at random, one mean for each draw.
    """

    texts: int
    words: int
    highest: float
    drawn: list[float]

    @property
    def holds(self) -> bool:
        """Whether the words with the highest shares matter more than those of each draw."""
        return self.highest > max(self.drawn)


def check_by_deletion(
    classifier: TextClassifier | CountedWords,
    texts: Sequence[str],
    labels: Sequence[int],
    shares: Sequence[Sequence[WordShare]],
    words: int = DELETED,
    draws: int = DRAWS,
    odds: Odds = log_odds,
) -> Deletion | None:
    """Delete words from prepared texts, of which ``labels`` are the answers; None where no text has more words.

    ``odds`` are those of an answer's probability.
    """
    rows = [row for row in range(len(texts)) if len(words_among(shares[row])) > words]
    if not rows:
        return None
    given, answers = [texts[row] for row in rows], np.array([labels[row] for row in rows])
    candidates = [words_among(shares[row]) for row in rows]
    before = _probabilities(classifier, given, answers, odds)

    def fall(chosen: Sequence[Sequence[WordShare]]) -> float:
        shorter = [without_words(text, own) for text, own in zip(given, chosen, strict=True)]
        return float((before - _probabilities(classifier, shorter, answers, odds)).mean())

    highest = fall([sorted(own, key=lambda word: -word.share)[:words] for own in candidates])
    generators = [np.random.default_rng(seed) for seed in range(draws)]
    drawn = [
        fall([[own[n] for n in generator.permutation(len(own))[:words]] for own in candidates])
        for generator in generators
    ]
    return Deletion(len(rows), words, highest, drawn)


def _probabilities(
    classifier: TextClassifier | CountedWords, texts: Sequence[str], labels: np.ndarray, odds: Odds
) -> np.ndarray:
    """Of each text's own label, ``[texts]``."""
    logits = torch.from_numpy(classifier.logits(texts)) / classifier.temperature
    return odds(logits, torch.from_numpy(labels)).sigmoid().numpy()


def explained_test_texts(
    classifier: TextClassifier | CountedWords, prepared: Prepared, answers: np.ndarray
) -> dict[str, Any] | None:
    """The check on some test texts, drawn once, and the words of a few of them; ready for JSON.

    ``answers`` are the predicted classes of all of them ``[texts]``. None where the model cannot be explained.
    """
    try:
        explain = explainer_of(classifier)
    except UserError:
        return None
    rows = drawn_of(len(prepared.parts["test"]))
    return explained_answers(classifier, explain, prepared, rows, [int(answers[row]) for row in rows])


def drawn_of(count: int) -> list[int]:
    """The numbers of ``EXAMINED`` of ``count`` answers, the same at every call; of all where there are fewer."""
    return sorted(np.random.default_rng(0).permutation(count)[:EXAMINED].tolist())


def explained_answers(
    classifier: TextClassifier | CountedWords,
    explain: Explainer,
    prepared: Prepared,
    rows: Sequence[int],
    labels: Sequence[int],
    odds: Odds = log_odds,
) -> dict[str, Any]:
    """The check on test texts, ``rows``, with an answer each, and the words of the first few; ready for JSON."""
    texts = [without_middle(prepared.parts["test"]["text"][row]) for row in rows]
    shares = explain(texts, labels)
    found = check_by_deletion(classifier, texts, labels, shares, odds=odds)
    shown = list(zip(rows, labels, shares, strict=True))[:SHOWN]
    return {
        "deletion": None if found is None else {**found._asdict(), "holds": found.holds},
        "examples": [
            {"row": row, "predicted": prepared.label_names[label], "words": told(own)} for row, label, own in shown
        ],
    }
