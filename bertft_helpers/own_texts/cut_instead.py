"""What a model that reads whole texts would have answered had they been cut: the same weights, the validation texts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bertft_helpers.batching import EncodedTexts, make_loader, truncate
from bertft_helpers.evaluation import Predictions, predict
from bertft_helpers.first_token import first_token_only
from bertft_helpers.inference import TextClassifier
from bertft_helpers.metrics import accuracy
from bertft_helpers.own_texts.counted_words import CountedWords
from bertft_helpers.own_texts.prepared import Prepared
from bertft_helpers.own_texts.scores import compare_methods

__all__ = ["INSTEAD", "CutInstead", "cut_instead"]

INSTEAD = "head+tail"


class CutInstead(NamedTuple):
    """Accuracies on the ``texts`` validation texts that are longer than ``max_length``: in windows, and cut.

    ``windows_are`` says whether they differ, with its ``p``, as ``scores.compare_methods`` does.
    """

    max_length: int
    texts: int
    in_windows: float
    cut: float
    windows_are: str
    p: float

    def told(self) -> str:
        """The same in sentences."""
        found = f"windows are {self.windows_are}" if self.windows_are in ("better", "worse") else self.windows_are
        return (
            f"Of the validation texts {self.texts} are longer than {self.max_length} tokens. Read in windows, "
            f"{self.in_windows:.1%} of these get the right label; cut ({INSTEAD}), {self.cut:.1%} do by the same model "
            f"({found}, p = {self.p:.2g}). A model trained on cut texts may do better on them "
            f"than this one: --long-texts {INSTEAD} with another --out tells."
        )


def cut_instead(
    classifier: TextClassifier | CountedWords, prepared: Prepared, validation: Predictions
) -> CutInstead | None:
    """The comparison, given the classifier's predictions of whole ``validation`` texts.

    None where nothing was read in windows: in a run that cuts texts, by counted words, and without a long text.
    """
    windows, examples = prepared.windows, prepared.examples["validation"]
    if windows is None or isinstance(classifier, CountedWords):
        return None
    long = np.flatnonzero(np.array(examples.lengths) > windows.max_length)
    if not len(long):
        return None
    cut = EncodedTexts(
        [truncate(examples.input_ids[row], windows.max_length, INSTEAD) for row in long],
        [examples.labels[row] for row in long],
        examples.pad_id,
    )
    with first_token_only(classifier.model):
        answers = predict(classifier.model, make_loader(cut, 64)).classes
    labels, own = validation.labels[long], validation.classes[long]
    compared = compare_methods(labels, own, answers)
    return CutInstead(windows.max_length, len(long), accuracy(labels, own), accuracy(labels, answers), *compared)
