"""Which words carried an answer, told beside it (``deletion`` checks them)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

from bertft_helpers.errors import UserError
from bertft_helpers.inference import Classifier, Prediction, TextClassifier, TextReader
from bertft_helpers.long_texts import without_middle
from bertft_helpers.own_texts.around import Around
from bertft_helpers.own_texts.attribution import POINTS, Odds, WordShare, log_odds, shares_of
from bertft_helpers.own_texts.counted_words import CountedWords
from bertft_helpers.own_texts.onnx_model import OnnxModel
from bertft_helpers.runtime import mixed_precision

__all__ = [
    "EXPLAINED",
    "MOST_TOLD",
    "Explainer",
    "Explaining",
    "cost_of",
    "explainer_of",
    "require_network",
    "shares_in_network",
    "told",
    "words_among",
]

EXPLAINED = "deciding_words"  # the column
MOST_TOLD = 5  # words
_BUDGET = 2048  # tokens of a batch, at most: a gradient needs what all layers have computed
_TRIED = 64  # tokens of the texts by which the pace is found

Explainer = Callable[[Sequence[str], Sequence[int]], list[list[WordShare]]]  # prepared texts, a label's number each


def explainer_of(classifier: Classifier) -> Explainer:
    """What gives the words' shares in a classifier's answers, in the log-odds of the probabilities that it tells.

    Raises UserError for a classifier that cannot be explained, with what to do.
    """
    if isinstance(classifier, CountedWords):
        classifier.require_words()
        return classifier.shares_of
    network = require_network(classifier)
    return lambda texts, labels: shares_in_network(network, texts, labels)


def require_network(classifier: TextReader) -> TextClassifier:
    """The classifier, whose gradients tell the words. Raises UserError where they do not, with what to do."""
    if not isinstance(classifier, TextClassifier) or isinstance(classifier.model, OnnxModel):
        raise UserError(
            "an exported model has no gradients, so it cannot tell which words decided: "
            "ask the folder that it was exported from"
        )
    if classifier.stride is not None:
        raise UserError(
            "this model reads long texts in windows, and only what a model reads at once can be explained: "
            "train one with --long-texts head+tail"
        )
    if classifier.tokenizer.mask_token_id is None:
        raise UserError("this model's tokenizer has no mask token to put in a word's place, so it cannot be explained")
    return classifier


def shares_in_network(
    classifier: TextClassifier,
    texts: Sequence[str],
    labels: Sequence[int],
    points: int = POINTS,
    odds: Odds = log_odds,
) -> list[list[WordShare]]:
    """``attribution.shares_of`` for prepared texts, read and cut as the classifier does it."""
    budget = min(classifier.token_budget, _BUDGET)
    how = classifier.max_length, classifier.policy, budget, classifier.temperature, points, odds
    with mixed_precision(classifier.model.device, getattr(torch, classifier.precision)):
        return shares_of(classifier.model, classifier.tokenizer, list(map(without_middle, texts)), labels, *how)


class Explaining(Around[Classifier]):
    """A classifier whose predictions tell, under ``EXPLAINED``, which words carried the most probable label.

    ``explain`` is that of the model inside. Where the classifier around it abstains, its words are told all the same.
    """

    def __init__(self, classifier: Classifier, explain: Explainer) -> None:
        super().__init__(classifier)
        self.explain = explain

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction per text, with its words."""
        found = self.classifier.predict(texts)
        labels = [self.label_names.index(one.label) for one in found]
        shares = self.explain([self.prepare(text) for text in texts], labels)
        return [
            one._replace(further={**one.further, EXPLAINED: told(own)}) for one, own in zip(found, shares, strict=True)
        ]


def told(shares: Sequence[WordShare], most: int = MOST_TOLD) -> str:
    """The words with the largest shares for a field of a table, as in ``profit +1.31; not -0.12``.

    A word that occurs several times, in whatever case, has the sum. Signs without a letter or digit are left out.
    """
    sums: dict[str, float] = {}
    for own in words_among(shares):
        sums[own.word.lower()] = sums.get(own.word.lower(), 0.0) + own.share
    largest = sorted(sums.items(), key=lambda entry: -abs(entry[1]))[:most]
    return "; ".join(f"{word} {share:+.2f}" for word, share in largest)


def words_among(shares: Sequence[WordShare]) -> list[WordShare]:
    """Those with a letter or a digit."""
    return [own for own in shares if any(character.isalnum() for character in own.word)]


def cost_of(classifier: TextReader) -> str:
    """What explaining costs here, in a sentence; tried out on one batch where a network is explained."""
    if not isinstance(classifier, TextClassifier):
        return "explaining counted words costs about as much as predicting"
    length = min(_TRIED, classifier.max_length)
    text = " ".join(["a"] * (length - 2))
    texts = [text] * max(1, min(classifier.token_budget, _BUDGET) // length)
    shares_in_network(classifier, texts[:1], [0], points=1)  # the first pass of a process is slower
    start = time.perf_counter()
    shares_in_network(classifier, texts, [0] * len(texts), points=1)
    pace = len(texts) / (time.perf_counter() - start) / POINTS
    return (
        f"explaining runs the model {POINTS} times, forwards and backwards: here about {pace:.2g} texts of {length} "
        "tokens a second"
    )
