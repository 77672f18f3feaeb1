"""A classifier that gives a text any number of labels: a sigmoid for each logit, and each label's own threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from scipy.special import expit

from bertft_helpers.errors import DamagedFileError
from bertft_helpers.inference import SEVERAL_LABELS, LabelSet, TextClassifier, TextReader, prepare_all
from bertft_helpers.model_files.contents import read_config
from bertft_helpers.model_files.thresholds import THRESHOLDS, read_thresholds, thresholds_file
from bertft_helpers.own_texts.around import Around
from bertft_helpers.own_texts.counted_words import CountedWords, holds_counted_words
from bertft_helpers.own_texts.onnx_model import holds_onnx, open_onnx

__all__ = ["HALF", "ONE_LABEL_ONLY", "WITHOUT_THRESHOLDS", "Scorer", "SeveralLabels", "gives_several"]

HALF = 0.5
WITHOUT_THRESHOLDS = (
    "{folder} has no {file}, in which bertft train keeps each label's threshold: a label is given from a probability "
    "of 0.5 on"
)

ONE_LABEL_ONLY = (
    "{asked} is for models that give a text one label, and the model in {folder} gives several: do without it, or "
    "train a model for the one label that matters"
)


class Scorer(TextReader, Protocol):
    """What gives each text a logit for each label: ``inference.TextClassifier`` or ``counted_words.CountedWords``."""

    def logits(self, texts: Sequence[str]) -> np.ndarray: ...

    def save(self, folder: str | Path, facts: Mapping[str, object], beside: Mapping[str, bytes]) -> None: ...


class SeveralLabels(Around[Scorer]):
    """Texts in, sets of labels and the probability of each label out.

    ``thresholds`` ``[labels]`` are the probabilities from which on a text gets a label.
    """

    def __init__(self, scorer: Scorer, thresholds: Sequence[float] | np.ndarray) -> None:
        super().__init__(scorer)
        self.notes = scorer.notes  # the same list: what is said of the scorer later is said of this one
        self.thresholds = np.asarray(thresholds, dtype=float)

    @property
    def named_thresholds(self) -> dict[str, float]:
        """Label -> threshold, in the order of the logits."""
        return dict(zip(self.label_names, self.thresholds.tolist(), strict=True))

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """``[texts, labels]``. Raises as ``inference.prepare_all``."""
        texts = prepare_all(texts, self.prepare)
        if not texts:
            return np.empty((0, len(self.label_names)))
        return expit(self.classifier.logits(texts))

    def predict(self, texts: Sequence[str]) -> list[LabelSet]:
        """One set of labels per text, perhaps an empty one. Raises as ``inference.prepare_all``."""
        names = self.label_names
        return [
            LabelSet(
                [name for name, value, limit in zip(names, row, self.thresholds, strict=True) if value >= limit],
                dict(zip(names, row.tolist(), strict=True)),
            )
            for row in self.probabilities(texts)
        ]

    def save(self, folder: str | Path, facts: Mapping[str, object]) -> None:
        """Write the scorer's folder with the thresholds beside it, complete or not at all."""
        self.classifier.save(folder, facts, {THRESHOLDS: thresholds_file(self.named_thresholds)})

    @classmethod
    def load(cls, folder: str | Path, device: str | torch.device = "cpu", precision: str = "float32") -> SeveralLabels:
        """What ``save`` or ``export`` wrote, or a model of transformers for several labels.

        Without thresholds they are 0.5, and ``notes`` say so. Raises what ``TextClassifier.load``,
        ``CountedWords.load`` and ``open_onnx`` raise, and DamagedFileError for thresholds of other labels.
        """
        folder = Path(folder)
        scorer = _scorer_in(folder, device, precision)
        limits = read_thresholds(folder)
        if limits is None:
            scorer.notes.append(WITHOUT_THRESHOLDS.format(folder=folder, file=THRESHOLDS))
            return cls(scorer, [HALF] * len(scorer.label_names))
        if set(limits) != set(scorer.label_names):
            raise DamagedFileError(
                f"{THRESHOLDS} in {folder} is for other labels than the model's; it must name each of these once: "
                f"{', '.join(scorer.label_names)}"
            )
        return cls(scorer, [limits[name] for name in scorer.label_names])


def _scorer_in(folder: Path, device: str | torch.device, precision: str) -> TextClassifier | CountedWords:
    if holds_counted_words(folder):
        return CountedWords.load(folder)
    if holds_onnx(folder):
        return open_onnx(folder, precision, SEVERAL_LABELS)
    return TextClassifier.load(folder, device, precision=precision, problem_type=SEVERAL_LABELS)


def gives_several(folder: Path) -> bool:
    """Whether the model in a folder gives a text several labels."""
    if (folder / THRESHOLDS).is_file():
        return True
    return not holds_counted_words(folder) and read_config(folder).get("problem_type") == SEVERAL_LABELS
