"""Which words carried each label that a text was given, told beside the labels and checked by deletion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bertft_helpers.errors import UserError
from bertft_helpers.inference import LabelSet, TextClassifier
from bertft_helpers.own_texts.attribution import log_odds_alone
from bertft_helpers.own_texts.counted_words import CountedWords
from bertft_helpers.own_texts.deletion import drawn_of, explained_answers
from bertft_helpers.own_texts.explaining import EXPLAINED, Explainer, require_network, shares_in_network, told
from bertft_helpers.own_texts.prepared import Prepared
from bertft_helpers.own_texts.several.classifier import Scorer, SeveralLabels
from bertft_helpers.own_texts.several.dividing import Targets

__all__ = ["ExplainingLabels", "explained_test_labels", "explainer_of_labels"]


def explainer_of_labels(scorer: Scorer) -> Explainer:
    """What gives the words' shares in the log-odds of one label's own probability, which no other label changes.

    Raises UserError for a model that cannot be explained, with what to do.
    """
    if isinstance(scorer, CountedWords):
        scorer.require_words()
        alone = [scorer.asked_alone(label) for label in range(len(scorer.label_names))]
        yes = 1
        return lambda texts, labels: [
            alone[label].shares_of([text], [yes])[0] for text, label in zip(texts, labels, strict=True)
        ]
    network = require_network(scorer)
    return lambda texts, labels: shares_in_network(network, texts, labels, odds=log_odds_alone)


class ExplainingLabels(SeveralLabels):
    """The classifier, whose answers tell under ``EXPLAINED`` the words for each given label, by the label's name."""

    def __init__(self, classifier: SeveralLabels, explain: Explainer) -> None:
        super().__init__(classifier.classifier, classifier.thresholds)
        self.explain = explain

    def predict(self, texts: Sequence[str]) -> list[LabelSet]:
        """One set of labels per text, with the words of each."""
        found = super().predict(texts)
        asked = [(self.prepare(text), label) for text, one in zip(texts, found, strict=True) for label in one.labels]
        shares = iter(self.explain([text for text, _ in asked], [self.label_names.index(label) for _, label in asked]))
        return [
            one._replace(further={**one.further, EXPLAINED: {label: told(next(shares)) for label in one.labels}})
            for one in found
        ]


def explained_test_labels(
    scorer: TextClassifier | CountedWords, prepared: Prepared, answers: Targets
) -> dict[str, Any] | None:
    """What ``deletion.explained_test_texts`` gives, for some labels that test texts were given.

    ``answers`` are the predicted labels ``[texts, labels]``. None where the model cannot be explained or gave no label.
    """
    given = np.argwhere(answers)  # [labels given, (text, label)]
    try:
        explain = explainer_of_labels(scorer)
    except UserError:
        return None
    if not len(given):
        return None
    rows, labels = given[drawn_of(len(given))].T.tolist()
    return explained_answers(scorer, explain, prepared, rows, labels, log_odds_alone)
