"""How far a text is from those that a run knows, in the vectors that its model decides by: what is far is flagged.

A classifier answers any text with one of its classes, and may be sure of it. The distance to the nearest texts tells
what it has never seen the like of (deep nearest neighbours, Sun et al. 2022). The texts are those of the validation
part: drawn as the training texts were, and not pulled together by training as these are, they lie as new texts do.

Vectors of a frozen encoder tell strangers well. Those of a fine-tuned model keep what tells its classes apart, and
little else: it flags far fewer (the README has the numbers).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load, save
from torch import nn
from transformers import BertForSequenceClassification, PreTrainedModel

from bertft_helpers.errors import DamagedFileError, MissingError, UserError
from bertft_helpers.first_token import first_token_only
from bertft_helpers.inference import Prediction, TextClassifier, prepare_all
from bertft_helpers.mean_pooled import MeanPooledClassifier
from bertft_helpers.own_texts.around import Around
from bertft_helpers.runtime import mixed_precision

__all__ = [
    "EXPECTED",
    "MOST_KEPT",
    "NEIGHBOURS",
    "UNFAMILIAR",
    "VECTORS",
    "Familiar",
    "Flagging",
    "WithoutHead",
    "distances",
    "familiar_file",
    "familiar_from",
    "read_familiar",
    "vectors_of",
]

VECTORS = "familiar_texts.safetensors"
UNFAMILIAR = "unfamiliar"  # the column of the flags
NEIGHBOURS = 5
MOST_KEPT = 2000  # texts; more say little more about what is near
EXPECTED = 0.02  # the share of texts like the known ones that lie beyond the limit


class Familiar(NamedTuple):
    """``vectors`` ``[texts, width]`` of known texts, each of length 1, and the distance beyond which a text is far."""

    vectors: np.ndarray
    limit: float


class WithoutHead(nn.Module):
    """A classifier without its last layer, in the place of a classifier: its logits are the vectors ``[batch, width]``.

    ``head`` is that layer. Raises UserError for a model of a kind that ``bertft train`` does not make.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        if not isinstance(model, BertForSequenceClassification | MeanPooledClassifier):
            raise UserError(f"a {type(model).__name__} does not tell how far texts are from those that are known")
        self.model: Any = model
        self.config = SimpleNamespace(num_labels=model.config.hidden_size)
        self.train(model.training)  # the mode that comes back to the model, too

    @property
    def head(self) -> nn.Module:
        """The last layer, from vectors to logits."""
        pooled = isinstance(self.model, MeanPooledClassifier)
        return self.model.sequence_summary.summary if pooled else self.model.classifier

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SimpleNamespace:
        if isinstance(self.model, MeanPooledClassifier):
            return SimpleNamespace(logits=self.model.vectors(input_ids, attention_mask))
        return SimpleNamespace(logits=self.model.bert(input_ids, attention_mask).pooler_output)


def vectors_of(classifier: TextClassifier, texts: Sequence[str]) -> np.ndarray:
    """What the last layer of a model reads of prepared ``texts``, ``[texts, width]``."""
    body: Any = WithoutHead(classifier.model)  # as far as it is looked at, a model
    with first_token_only(classifier.model), mixed_precision(classifier.model.device, _format_of(classifier)):
        return classifier.run(body, texts).numpy()


def _format_of(classifier: TextClassifier) -> torch.dtype:
    return getattr(torch, classifier.precision)


def familiar_from(vectors: np.ndarray) -> Familiar:
    """At most ``MOST_KEPT`` of the known texts' ``vectors`` ``[texts, width]``, and the limit.

    It is the distance that ``EXPECTED`` of them have from the others, or that of the farthest where they are few.
    """
    chosen = np.sort(np.random.default_rng(0).permutation(len(vectors))[:MOST_KEPT])
    kept = _of_length_1(vectors[chosen]).astype(np.float16)
    known = kept.astype(np.float32)  # as they will be used
    among = _distances(known @ known.T, to_itself=True)
    return Familiar(kept, float(np.quantile(among, 1 - EXPECTED, method="higher")))


def distances(vectors: np.ndarray, familiar: Familiar) -> np.ndarray:
    """1 minus the mean cosine to the nearest ``NEIGHBOURS`` known texts, ``[texts]``: from 0 to 2."""
    return _distances(_of_length_1(vectors) @ familiar.vectors.T.astype(np.float32))


def _of_length_1(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _distances(cosines: np.ndarray, to_itself: bool = False) -> np.ndarray:
    """From ``cosines`` ``[texts, known]``, which change; ``to_itself`` they are of the known, and none is its own."""
    if to_itself:
        np.fill_diagonal(cosines, -np.inf)
    count = min(NEIGHBOURS, cosines.shape[1] - to_itself)
    return 1 - np.partition(cosines, -count, axis=1)[:, -count:].mean(axis=1)


class Flagging(Around[TextClassifier]):
    """A classifier whose predictions tell, under ``UNFAMILIAR``, whether a text is far from the known ones.

    The vectors are those that it predicts by, so that a text is read once.
    """

    def __init__(self, classifier: TextClassifier, familiar: Familiar) -> None:
        super().__init__(classifier)
        self.familiar = familiar
        self.head = WithoutHead(classifier.model).head

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction per text, with its flag."""
        texts = prepare_all(texts, self.prepare)
        if not texts:
            return []
        vectors = vectors_of(self.classifier, texts)
        far = distances(vectors, self.familiar) > self.familiar.limit
        found = self.classifier.answers(self._logits(vectors))
        return [
            one._replace(further={**one.further, UNFAMILIAR: bool(own)}) for one, own in zip(found, far, strict=True)
        ]

    def _logits(self, vectors: np.ndarray) -> np.ndarray:
        device = self.classifier.model.device
        with torch.inference_mode(), mixed_precision(device, _format_of(self.classifier)):
            return self.head(torch.from_numpy(vectors).to(device)).float().cpu().numpy()


def familiar_file(familiar: Familiar) -> bytes:
    """The content of the file ``VECTORS``."""
    return save({"vectors": np.ascontiguousarray(familiar.vectors), "limit": np.array([familiar.limit])})


def read_familiar(folder: Path) -> Familiar:
    """The known texts of the model in a folder. Raises MissingError, and DamagedFileError."""
    path = folder / VECTORS
    if not path.is_file():
        raise MissingError(
            f"{folder} keeps no texts that its model knows ({VECTORS} missing), so none can be called unfamiliar: "
            "bertft train keeps them for the fine-tuned model and for frozen features"
        )
    try:
        content = load(path.read_bytes())
        return Familiar(content["vectors"], float(content["limit"][0]))
    except (SafetensorError, KeyError, IndexError) as error:
        raise DamagedFileError(f"{path} is damaged ({error}): copy the whole folder again") from error
