"""``bertft export``: a trained classifier as an ONNX file, compared with the original before anybody relies on it.

An exported folder is used like the one it comes from: ``bertft evaluate``, ``predict`` and ``serve`` read both.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from transformers import PreTrainedTokenizerBase

from bertft_helpers.errors import RunError, UserError
from bertft_helpers.files import new_folder, read_json
from bertft_helpers.inference import Prediction, TextClassifier
from bertft_helpers.model_files.card import exported_card
from bertft_helpers.model_files.manifest import write_manifest
from bertft_helpers.own_texts.abstaining import ANSWERS
from bertft_helpers.own_texts.folder import ANEW, MODEL, Say
from bertft_helpers.own_texts.onnx_model import ONNX, holds_onnx, open_onnx, quantize, write_onnx
from bertft_helpers.own_texts.prepared import prepare_for
from bertft_helpers.own_texts.scores import numbers_of
from bertft_helpers.own_texts.settings import TaskSettings
from bertft_helpers.own_texts.several.classifier import ONE_LABEL_ONLY, SeveralLabels
from bertft_helpers.own_texts.sources import load_source
from bertft_helpers.own_texts.trained import COLUMNS, Trained, open_trained
from bertft_helpers.own_texts.whole_texts import about_longer
from bertft_helpers.pretrained import load_tokenizer
from bertft_helpers.reading.report import FOUND_OUT, Format
from bertft_helpers.validation import is_blank

__all__ = ["CLOSE", "INVENTED", "MOST_LOST", "Exported", "export"]

CLOSE = 1e-4  # by which a probability may differ in float32
MOST_LOST = 0.01  # of the accuracy, by 8-bit weights
INVENTED = 64  # texts to compare on where none are given


class Exported(NamedTuple):
    """How the file in ``folder`` differs from the original on ``texts`` texts.

    ``difference`` is the largest one of a probability, ``changed`` the number of other labels; ``accuracies`` are the
    original's and the file's, None where no labels are known. ``megabytes`` is the size of the file.
    """

    folder: Path
    megabytes: float
    texts: int
    difference: float
    changed: int
    accuracies: tuple[float, float] | None

    @property
    def lost(self) -> float:
        """The accuracy that the file has less than the original."""
        return self.accuracies[0] - self.accuracies[1] if self.accuracies else 0.0


class _Texts(NamedTuple):
    texts: list[str]
    labels: list[str] | None


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
    of float32 differs by more than ``CLOSE``, and when 8-bit weights cost more than ``most_lost`` of the accuracy;
    UserError for 8 bits without labelled texts, and when ``out`` holds something.
    """
    folder, out = Path(folder), Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists and is not empty; choose another --out")
    if holds_onnx(folder):
        raise UserError(f"{folder} is an exported model already; export the folder that bertft train wrote")
    trained = open_trained(folder, "cpu")
    classifier = trained.classifier
    if isinstance(classifier, SeveralLabels):
        raise UserError(ONE_LABEL_ONLY.format(asked="bertft export", folder=folder))
    if not isinstance(classifier, TextClassifier):
        raise UserError(
            f"the model in {folder} counts words and is no neural network, so ONNX cannot hold it; for a model to "
            "export train with --keep fine-tuned or --keep frozen-features"
        )
    if data is None:
        texts = _test_part(folder, on_note)
    else:
        columns = text_column or trained.text_column, label_column or trained.label_column
        texts = _labelled(data, columns, how, classifier)
    if int8 and texts is None:
        raise UserError("8-bit weights change answers, and there are no labelled texts to count them on: give --data")
    return _write(classifier, out, texts, int8, most_lost, _beside(trained, folder, int8))


def _beside(trained: Trained, folder: Path, int8: bool) -> dict[str, bytes]:
    """Further files of the exported folder: the columns, and where they hold for it how sure the answers are."""
    beside = {COLUMNS: json.dumps({"text_column": trained.text_column, "label_column": trained.label_column}).encode()}
    answers = (folder / MODEL if (folder / MODEL).is_dir() else folder) / ANSWERS
    if answers.is_file() and not int8:  # 8 bits give other probabilities
        beside[ANSWERS] = answers.read_bytes()
    return beside


def _write(
    classifier: TextClassifier,
    out: Path,
    texts: _Texts | None,
    int8: bool,
    most_lost: float,
    beside: Mapping[str, bytes],
) -> Exported:
    tried = texts or _Texts(_invented(classifier.tokenizer, classifier.max_length), None)
    with new_folder(out) as draft:
        write_onnx(classifier.model, draft / ONNX)
        if int8:
            quantize(draft / ONNX, draft / f"small-{ONNX}")
            (draft / f"small-{ONNX}").replace(draft / ONNX)
        for name, content in beside.items():
            (draft / name).write_bytes(content)
        _describe(classifier, draft)
        found = _compared(classifier, open_onnx(draft), tried, draft)
        _require_worth(found, int8, most_lost)
        _write_card(classifier, found, draft)
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


def _compared(original: TextClassifier, exported: TextClassifier, given: _Texts, folder: Path) -> Exported:
    there, here = original.predict(given.texts), exported.predict(given.texts)
    differences = np.abs(_probabilities(there) - _probabilities(here))
    changed = sum(one.label != other.label for one, other in zip(there, here, strict=True))
    accuracies = None if given.labels is None else (_accuracy(there, given.labels), _accuracy(here, given.labels))
    megabytes = (folder / ONNX).stat().st_size / 1e6
    return Exported(folder, megabytes, len(given.texts), float(differences.max()), changed, accuracies)


def _probabilities(predictions: Sequence[Prediction]) -> np.ndarray:
    return np.array([list(one.probabilities.values()) for one in predictions])


def _accuracy(predictions: Sequence[Prediction], labels: Sequence[str]) -> float:
    return float(np.mean([one.label == label for one, label in zip(predictions, labels, strict=True)]))


def _require_worth(found: Exported, int8: bool, most_lost: float) -> None:
    """Raise RunError for a file whose answers are too far from the original's."""
    if not int8 and found.difference > CLOSE:
        raise RunError(
            f"the exported model differs from the original by {found.difference:.2g} in a probability, more than "
            f"{CLOSE:g}: nothing was written. Please report it with your versions of torch and onnxruntime"
        )
    if int8 and found.accuracies and found.lost > most_lost:
        before, after = found.accuracies
        raise RunError(
            f"with 8-bit weights the accuracy on {found.texts} texts falls from {before:.3f} to {after:.3f}, by more "
            f"than {most_lost:g}: nothing was written. Export without --int8, or allow it with --most-lost"
        )


def _write_card(classifier: TextClassifier, found: Exported, folder: Path) -> None:
    facts = {
        "compared with the original on": f"{found.texts} texts",
        "largest difference of a probability": f"{found.difference:.1e}",
        "other labels": found.changed,
    }
    if found.accuracies:
        facts["accuracy of the original, of this file"] = "{:.3f}, {:.3f}".format(*found.accuracies)
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
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def _test_part(folder: Path, on_note: Say) -> _Texts | None:
    """The texts that a run kept apart and their labels; None, and why, where they cannot be had."""
    path = folder / "run.json"
    if not path.is_file():
        on_note(f"note: {folder} is no folder of a run, so the file is compared on invented texts")
        return None
    saved = read_json(path, ANEW)
    digest = saved.pop("texts")
    settings = TaskSettings(**{**saved, "how": Format(**saved["how"])})
    try:
        dataset, _ = load_source(settings.source, settings.text_column, settings.label_column, settings.how)
    except (OSError, ValueError) as error:
        on_note(f"note: the texts of the run cannot be read ({error}), so the file is compared on invented texts")
        return None
    tokenizer = load_tokenizer(settings.checkpoint)
    prepared = prepare_for(settings, dataset, tokenizer, min(settings.max_length, tokenizer.model_max_length))
    if prepared.digest != digest:
        on_note(
            f"note: {settings.source} is not what the run was trained on, so the file is compared on invented texts"
        )
        return None
    part = prepared.parts["test"]
    return _Texts(list(part["text"]), [prepared.label_names[label] for label in part["label"]])


def _labelled(data: str | Path, columns: tuple[str, str], how: Format, classifier: TextClassifier) -> _Texts:
    dataset, _ = load_source(str(data), *columns, how)
    names = dataset.features["label"].names
    numbers_of(names, classifier.label_names)  # refuses those that the model does not know
    rows = [row for row, text in enumerate(dataset["text"]) if not is_blank(classifier.prepare(text))]
    if not rows:
        raise UserError(f"none of the {len(dataset)} rows of {data} has a text")
    chosen = dataset.select(rows)
    return _Texts(list(chosen["text"]), [names[label] for label in chosen["label"]])


def _invented(tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[str]:
    """Texts of the vocabulary's own entries, from one to more than the model reads; the same at every call."""
    generator = np.random.default_rng(0)
    words = sorted(word for word in tokenizer.get_vocab() if word.isalnum())
    lengths = np.geomspace(1, 1.2 * max_length, INVENTED).round().astype(int)
    return [" ".join(generator.choice(words, length)) for length in lengths]
