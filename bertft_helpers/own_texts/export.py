"""``bertft export``: a trained classifier as an ONNX file, compared with the original before anybody relies on it.

An exported folder is used like the one it comes from: ``bertft evaluate``, ``predict`` and ``serve`` read both.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bertft_helpers.errors import RunError, UserError
from bertft_helpers.files import new_folder
from bertft_helpers.inference import SEVERAL_LABELS, Classifier, LabelSet, Prediction, TextClassifier
from bertft_helpers.model_files.card import exported_card
from bertft_helpers.model_files.manifest import write_manifest
from bertft_helpers.model_files.thresholds import THRESHOLDS, thresholds_file
from bertft_helpers.own_texts.abstaining import ANSWERS
from bertft_helpers.own_texts.export_texts import ExportTexts, invented, labelled_texts, test_part
from bertft_helpers.own_texts.folder import MODEL, Say
from bertft_helpers.own_texts.onnx_model import ONNX, holds_onnx, quantize, write_onnx
from bertft_helpers.own_texts.several.classifier import SeveralLabels
from bertft_helpers.own_texts.trained import COLUMNS, Trained, open_trained
from bertft_helpers.own_texts.whole_texts import about_longer
from bertft_helpers.reading.report import FOUND_OUT, Format
from bertft_helpers.several_labels import f1_scores, label_rows

__all__ = ["CLOSE", "MOST_LOST", "Exported", "export"]

CLOSE = 1e-4  # by which a probability may differ in float32
MOST_LOST = 0.01  # of the score, by 8-bit weights
_Answers = Sequence[Prediction | LabelSet]


class Exported(NamedTuple):
    """How the file in ``folder`` differs from the original on ``texts`` texts.

    ``difference`` is the largest one of a probability, ``changed`` the number of texts with other labels; ``scores``
    are the original's and the file's, None where no labels are known, ``score`` is what they are: the accuracy, or the
    micro F1 of several labels. ``megabytes`` is the size of the file.
    """

    folder: Path
    megabytes: float
    texts: int
    difference: float
    changed: int
    score: str
    scores: tuple[float, float] | None

    @property
    def lost(self) -> float:
        """The score that the file has less than the original."""
        return self.scores[0] - self.scores[1] if self.scores else 0.0


def export(
    folder: str | Path,
    out: str | Path,
    *,
    int8: bool = False,
    data: str | Path | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    how: Format = FOUND_OUT,
    most_lost: float = MOST_LOST,
    on_note: Say = print,
) -> Exported:
    """Write the classifier of a run, or of a model folder, into the new folder ``out``, complete or not at all.

    It is compared with the original on the run's test part, or on labelled ``data``. Raises RunError when a probability
    of float32 differs by more than ``CLOSE``, and when 8-bit weights cost more than ``most_lost`` of the score;
    UserError for 8 bits without labelled texts, and when ``out`` holds something.
    """
    folder, out = Path(folder), Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists and is not empty; choose another --out")
    if holds_onnx(folder):
        raise UserError(f"{folder} is an exported model already; export the folder that bertft train wrote")
    trained = open_trained(folder, "cpu")
    inner = trained.classifier.classifier if isinstance(trained.classifier, SeveralLabels) else trained.classifier
    if not isinstance(inner, TextClassifier):
        raise UserError(
            f"the model in {folder} counts words and is no neural network, so ONNX cannot hold it; for a model to "
            "export train with --keep fine-tuned or --keep frozen-features"
        )
    if data is None:
        texts = test_part(folder, on_note)
    else:
        columns = text_column or trained.text_column, label_column or trained.label_column
        texts = labelled_texts(str(data), columns, how, trained)
    if int8 and texts is None:
        raise UserError("8-bit weights change answers, and there are no labelled texts to count them on: give --data")
    tried = texts or invented(inner.tokenizer, inner.max_length)
    return _write(trained.classifier, inner, out, tried, int8, most_lost, _beside(trained, folder, int8))


def _beside(trained: Trained, folder: Path, int8: bool) -> dict[str, bytes]:
    """Further files of the exported folder: the columns, thresholds, and where they hold how sure the answers are."""
    columns = {"text_column": trained.text_column, "label_column": trained.label_column}
    lists = {} if trained.lists is None else {"several": dataclasses.asdict(trained.lists)}
    beside = {COLUMNS: json.dumps({**columns, **lists}).encode()}
    if isinstance(trained.classifier, SeveralLabels):
        beside[THRESHOLDS] = thresholds_file(trained.classifier.named_thresholds)
    answers = (folder / MODEL if (folder / MODEL).is_dir() else folder) / ANSWERS
    if answers.is_file() and not int8:  # 8 bits give other probabilities
        beside[ANSWERS] = answers.read_bytes()
    return beside


def _write(
    original: Classifier | SeveralLabels,
    inner: TextClassifier,
    out: Path,
    texts: ExportTexts,
    int8: bool,
    most_lost: float,
    beside: Mapping[str, bytes],
) -> Exported:
    """Write the network of ``inner``, and compare what answers from the folder with the ``original`` around it."""
    with new_folder(out) as draft:
        write_onnx(inner.model, draft / ONNX)
        if int8:
            quantize(draft / ONNX, draft / f"small-{ONNX}")
            (draft / f"small-{ONNX}").replace(draft / ONNX)
        for name, content in beside.items():
            (draft / name).write_bytes(content)
        _describe(inner, draft)
        found = _compared(original, open_trained(draft, "cpu").classifier, texts, draft)
        _require_worth(found, int8, most_lost)
        _write_card(inner, found, draft)
    return found._replace(folder=out)


def _describe(classifier: TextClassifier, folder: Path) -> None:
    """Write what belongs to the file: tokenizer, label names, and the manifest of all of them."""
    tokenizer = copy.deepcopy(classifier.tokenizer)
    tokenizer.model_max_length = classifier.max_length  # where other tools will cut texts
    tokenizer.save_pretrained(folder)
    classifier.model.config.save_pretrained(folder)
    write_manifest(
        folder,
        classifier.label_names,
        classifier.preprocessing,
        classifier.max_length,
        classifier.policy,
        classifier.temperature,
        classifier.stride,
    )


def _compared(
    original: Classifier | SeveralLabels, exported: Classifier | SeveralLabels, given: ExportTexts, folder: Path
) -> Exported:
    there: _Answers = original.predict(given.texts)
    here: _Answers = exported.predict(given.texts)
    differences = np.abs(_probabilities(there) - _probabilities(here))
    changed = sum(_labels_of(one) != _labels_of(other) for one, other in zip(there, here, strict=True))
    scores = None
    if given.labels is not None:
        right = label_rows(given.labels, original.label_names)
        before, after = (label_rows([*map(_labels_of, own)], original.label_names) for own in (there, here))
        scores = f1_scores(right, before).micro, f1_scores(right, after).micro  # of one label each: the accuracy
    score = "micro F1" if isinstance(original, SeveralLabels) else "accuracy"
    megabytes = (folder / ONNX).stat().st_size / 1e6
    return Exported(folder, megabytes, len(given.texts), float(differences.max()), changed, score, scores)


def _labels_of(one: Prediction | LabelSet) -> list[str]:
    return [one.label] if isinstance(one, Prediction) else one.labels


def _probabilities(answers: _Answers) -> np.ndarray:
    return np.array([list(one.probabilities.values()) for one in answers])


def _require_worth(found: Exported, int8: bool, most_lost: float) -> None:
    """Raise RunError for a file whose answers are too far from the original's."""
    if not int8 and found.difference > CLOSE:
        raise RunError(
            f"the exported model differs from the original by {found.difference:.2g} in a probability, more than "
            f"{CLOSE:g}: nothing was written. Please report it with your versions of torch and onnxruntime"
        )
    if int8 and found.scores and found.lost > most_lost:
        before, after = found.scores
        raise RunError(
            f"with 8-bit weights the {found.score} on {found.texts} texts falls from {before:.3f} to {after:.3f}, by "
            f"more than {most_lost:g}: nothing was written. Export without --int8, or allow it with --most-lost"
        )


def _write_card(classifier: TextClassifier, found: Exported, folder: Path) -> None:
    facts = {
        "compared with the original on": f"{found.texts} texts",
        "largest difference of a probability": f"{found.difference:.1e}",
        "other labels": found.changed,
    }
    if found.scores:
        facts[f"{found.score} of the original, of this file"] = "{:.3f}, {:.3f}".format(*found.scores)
    facts["texts longer than the limit"] = f"{about_longer(classifier)}; the lines above keep the head"
    pad = classifier.tokenizer.pad_token_id, str(classifier.tokenizer.pad_token)
    card = exported_card(
        classifier.label_names,
        classifier.max_length,
        facts,
        classifier.preprocessing,
        classifier.temperature,
        pad,
        classifier.stride,
        several=classifier.model.config.problem_type == SEVERAL_LABELS,
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
