"""The texts on which an exported model is compared with the original: a run's test part, given or invented ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from transformers import PreTrainedTokenizerBase

from bertft_helpers.errors import UserError
from bertft_helpers.files import read_json
from bertft_helpers.inference import TextReader
from bertft_helpers.own_texts.folder import ANEW, Say
from bertft_helpers.own_texts.kinds import kind_for
from bertft_helpers.own_texts.prepared import Prepared
from bertft_helpers.own_texts.scores import numbers_of
from bertft_helpers.own_texts.settings import TaskSettings
from bertft_helpers.own_texts.several.prepared import PreparedSeveral, targets_of
from bertft_helpers.own_texts.several.sources import read_several
from bertft_helpers.own_texts.sources import load_source
from bertft_helpers.own_texts.trained import Trained, lists_in
from bertft_helpers.pretrained import load_tokenizer
from bertft_helpers.reading.labels import order_names
from bertft_helpers.reading.report import Format
from bertft_helpers.validation import is_blank

__all__ = ["ExportTexts", "invented", "labelled_texts", "test_part"]

_INVENTED = 64


class ExportTexts(NamedTuple):
    """Texts and the right labels of each, one or any number; None where nobody knows them."""

    texts: list[str]
    labels: list[list[str]] | None


def test_part(folder: Path, on_note: Say) -> ExportTexts | None:
    """The texts that a run kept apart and their labels; None, and why, where they cannot be had."""
    path = folder / "run.json"
    if not path.is_file():
        on_note(f"note: {folder} is no folder of a run, so the file is compared on invented texts")
        return None
    saved = read_json(path, ANEW)
    digest = saved.pop("texts")
    several = lists_in(saved) if saved.get("several") else None
    settings = TaskSettings(**{**saved, "how": Format(**saved["how"]), "several": several})
    kind = kind_for(settings)
    try:
        dataset, _ = kind.load(settings)
    except (OSError, ValueError) as error:
        on_note(f"note: the texts of the run cannot be read ({error}), so the file is compared on invented texts")
        return None
    tokenizer = load_tokenizer(settings.checkpoint)
    prepared = kind.prepare(settings, dataset, tokenizer, min(settings.max_length, tokenizer.model_max_length))
    if prepared.digest != digest:
        on_note(
            f"note: {settings.source} is not what the run was trained on, so the file is compared on invented texts"
        )
        return None
    return ExportTexts(list(prepared.parts["test"]["text"]), _named(prepared))


def _named(prepared: Prepared) -> list[list[str]]:
    """The labels of the test part by name."""
    names = prepared.label_names
    if isinstance(prepared, PreparedSeveral):
        return [[names[number] for number in np.flatnonzero(row)] for row in targets_of(prepared, "test")]
    return [[names[label]] for label in prepared.parts["test"]["label"]]


def labelled_texts(data: str, columns: tuple[str, str], how: Format, trained: Trained) -> ExportTexts:
    """The rows of a file that have a text. Raises UserError for labels that the model does not know."""
    classifier = trained.classifier
    if trained.lists is not None:
        texts, labels, _ = read_several(data, *columns, trained.lists, how)
        numbers_of(order_names(name for own in labels for name in own), classifier.label_names)
    else:
        dataset, _ = load_source(data, *columns, how)
        names = dataset.features["label"].names
        numbers_of(names, classifier.label_names)
        texts, labels = list(dataset["text"]), [[names[label]] for label in dataset["label"]]
    rows = _with_text(texts, classifier, data)
    return ExportTexts([texts[row] for row in rows], [labels[row] for row in rows])


def _with_text(texts: Sequence[str], classifier: TextReader, data: str) -> list[int]:
    rows = [row for row, text in enumerate(texts) if not is_blank(classifier.prepare(text))]
    if not rows:
        raise UserError(f"none of the {len(texts)} rows of {data} has a text")
    return rows


def invented(tokenizer: PreTrainedTokenizerBase, max_length: int) -> ExportTexts:
    """Texts of the vocabulary's own entries, from one to more than the model reads; the same at every call."""
    generator = np.random.default_rng(0)
    words = sorted(word for word in tokenizer.get_vocab() if word.isalnum())
    lengths = np.geomspace(1, 1.2 * max_length, _INVENTED).round().astype(int)
    return ExportTexts([" ".join(generator.choice(words, length)) for length in lengths], None)
