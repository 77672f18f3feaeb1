"""Logistic regression on counted words, saved and used as a fine-tuned model is; its files hold words and numbers only.

The words stand in JSON, the numbers in safetensors: neither can run code when it is read, and both outlive versions of
scikit-learn, which a pickle does not.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.special import softmax
from sklearn.feature_extraction.text import TfidfVectorizer

from bertft_helpers.data import repair
from bertft_helpers.errors import DamagedFileError, UserError
from bertft_helpers.files import new_folder
from bertft_helpers.inference import Prediction, name_answers, prepare_all
from bertft_helpers.model_files.card import counted_words_card
from bertft_helpers.model_files.manifest import check_files, read_manifest, write_manifest
from bertft_helpers.model_files.thresholds import THRESHOLDS
from bertft_helpers.own_texts.attribution import WordShare

__all__ = ["COUNTED_BY", "NUMBERS", "WORDS", "CountedWords", "LinearHead", "holds_counted_words"]

WORDS, NUMBERS = "counted_words.json", "counted_words.safetensors"
COUNTED_BY = ("analyzer", "ngram_range", "sublinear_tf")  # what a counter was made with, beside its words


_POINTS = 64  # on the way from no word to the text


class LinearHead(NamedTuple):
    """``weight`` ``[labels, features]`` and ``bias`` ``[labels]`` in float64: logits are features @ weight.T + bias."""

    weight: np.ndarray
    bias: np.ndarray


class CountedWords:
    """TF-IDF and a linear head, with the face of ``inference.TextClassifier``.

    ``counter`` is fitted on the training texts; ``temperature`` is what the logits are divided by before the softmax.
    Every text is read to its end.
    """

    cut_after = None

    def __init__(
        self, counter: TfidfVectorizer, head: LinearHead, label_names: Sequence[str], temperature: float = 1.0
    ) -> None:
        self.counter, self.head, self.temperature = counter, head, temperature
        self.label_names = list(label_names)
        self.notes: list[str] = []

    def prepare(self, text: str) -> str:
        """A text as the words are counted in it; ``predict`` does this itself."""
        return repair(text)

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """``[texts, labels]`` of texts that are prepared already."""
        return np.asarray(self.counter.transform(texts) @ self.head.weight.T + self.head.bias)

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction per text. Raises ValueError naming the rows that are no text or blank."""
        texts = prepare_all(texts, self.prepare)
        if not texts:
            return []
        return name_answers(softmax(self.logits(texts) / self.temperature, axis=1).tolist(), self.label_names)

    def require_words(self) -> None:
        """Raise UserError where characters are counted, whose shares would tell nobody anything."""
        if self.counter.analyzer != "word":
            raise UserError("this model counts characters, not words, so it cannot tell which words decided")

    def shares_of(self, texts: Sequence[str], labels: Sequence[int]) -> list[list[WordShare]]:
        """Each word's share of the way from no word at all to the text, in the log-odds of the text's label.

        As in ``attribution.word_shares``; of two labels it is weight times count. A pair of words gives half to each
        of them. Texts are prepared already.
        """
        return [self._word_shares(text, label) for text, label in zip(texts, labels, strict=True)]

    def asked_alone(self, label: int) -> CountedWords:
        """A classifier that says no or yes to one label, whose probability is the sigmoid of the label's logit."""
        weight, bias = self.head.weight[label], self.head.bias[label]
        head = LinearHead(np.stack([np.zeros_like(weight), weight]), np.array([0.0, bias]))
        return CountedWords(self.counter, head, ["no", "yes"], temperature=self.temperature)

    def _word_shares(self, text: str, label: int) -> list[WordShare]:
        shares = self._term_shares(text, label)
        spans = [match.span() for match in re.finditer(self.counter.token_pattern, text)]
        words = [text[start:end].lower() for start, end in spans]
        totals = np.zeros(len(words))
        fewest, most = self.counter.ngram_range
        for length in range(fewest, most + 1):
            terms = [" ".join(words[first : first + length]) for first in range(len(words) - length + 1)]
            counts = Counter(terms)
            for first, term in enumerate(terms):
                totals[first : first + length] += shares.get(term, 0.0) / (counts[term] * length)
        return [
            WordShare(text[start:end], float(own), start, end) for (start, end), own in zip(spans, totals, strict=True)
        ]

    def _term_shares(self, text: str, label: int) -> dict[str, float]:
        """The share of each counted word or pair of words; integrated gradients from the text without words."""
        counted = self.counter.transform([text])
        logits = self.head.weight[:, counted.indices] * counted.data / self.temperature  # [labels, terms]
        way = np.linspace(0.5 / _POINTS, 1 - 0.5 / _POINTS, _POINTS)[:, None]
        between = self.head.bias / self.temperature + way * logits.sum(axis=1)  # [points, labels]
        between[:, label] = -np.inf
        gradient = -softmax(between, axis=1).mean(axis=0)  # of the log-odds, by the logits: [labels]
        gradient[label] = 1.0
        terms = self.counter.get_feature_names_out()[counted.indices]
        return dict(zip(terms.tolist(), (gradient @ logits).tolist(), strict=True))

    def save(self, folder: str | Path, facts: Mapping[str, object], beside: Mapping[str, bytes] | None = None) -> None:
        """Write words, numbers, card and manifest, complete or not at all; ``beside`` are further files, by name."""
        how = {name: getattr(self.counter, name) for name in COUNTED_BY}
        words = self.counter.get_feature_names_out().tolist()
        numbers = {"idf": self.counter.idf_, **self.head._asdict()}
        with new_folder(Path(folder)) as draft:
            (draft / WORDS).write_text(json.dumps({**how, "words": words}), encoding="ascii")
            for name, content in (beside or {}).items():
                (draft / name).write_bytes(content)
            save_file({name: np.ascontiguousarray(values) for name, values in numbers.items()}, draft / NUMBERS)
            card = counted_words_card(self.label_names, facts, several=THRESHOLDS in (beside or {}))
            (draft / "README.md").write_text(card, encoding="utf-8")
            write_manifest(draft, self.label_names, "repair", None, "whole text", self.temperature)

    @classmethod
    def load(cls, folder: str | Path) -> CountedWords:
        """What ``save`` wrote. Raises DamagedFileError for a folder that holds anything else."""
        folder = Path(folder)
        manifest = read_manifest(folder)
        if manifest is None:
            raise DamagedFileError(f"manifest.json is missing in {folder}: copy the whole folder again")
        check_files(folder, manifest)
        try:
            how = json.loads((folder / WORDS).read_text(encoding="ascii"))
            numbers = load_file(folder / NUMBERS)
            words = how.pop("words")
            counter = TfidfVectorizer(**{**how, "ngram_range": tuple(how["ngram_range"])}, vocabulary=words)
            counter.idf_ = numbers.pop("idf")
            return cls(counter, LinearHead(**numbers), manifest.label_names, manifest.temperature)
        except (ValueError, TypeError, KeyError, SafetensorError) as error:
            raise DamagedFileError(f"the counted words in {folder} are damaged ({error}): train them again") from error


def holds_counted_words(folder: str | Path) -> bool:
    """Whether a folder holds such a model rather than one of transformers."""
    return (Path(folder) / WORDS).is_file()
