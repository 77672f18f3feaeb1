"""Look at texts, labels, batches and models before the first step, and say what is wrong with which rows."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.utils.data import DataLoader

from bertft_helpers.batching import EncodedTexts
from bertft_helpers.errors import UserError
from bertft_helpers.losses import IGNORE
from bertft_helpers.tables import name_rows

if TYPE_CHECKING:
    from transformers import PreTrainedModel

HALF_CHARACTER = re.compile("[\ud800-\udfff]")  # JSON may spell it; no file or tokenizer can hold it


def check_texts(texts: Sequence[Any], where: str, rows: Sequence[int] | None = None) -> None:
    """Raise ValueError unless every text is a string; names the rows and what they hold. Blank strings pass."""
    _refuse_empty(texts, where, "texts")
    if found := _problems(texts, _wrong_text, rows):
        raise UserError(f"{where}: {found}. Every text must be a string: fill or remove these rows.")


def check_not_blank(texts: Sequence[str], where: str, rows: Sequence[int] | None = None) -> None:
    """Raise ValueError naming the rows whose text is empty or white space: BERT would see only [CLS] and [SEP]."""
    if found := _problems(texts, lambda text: "" if text.strip() else "an empty text", rows):
        raise UserError(f"{where}: {found}. Fill or remove these rows (data.clean removes them and says so).")


def _problems(values: Sequence[Any], wrong: Callable[[Any], str], rows: Sequence[int] | None) -> str:
    """What ``wrong`` says of the values, each with its rows; empty when nothing is wrong."""
    problems: dict[str, list[int]] = {}
    for row, value in zip(rows or range(1, len(values) + 1), values, strict=True):
        if kind := wrong(value):
            problems.setdefault(kind, []).append(row)
    return "; ".join(f"{kind} in {name_rows(found)}" for kind, found in problems.items())


def _wrong_text(text: Any) -> str:
    if text is None or (isinstance(text, float) and math.isnan(text)):
        return "no text"
    if isinstance(text, bytes):
        return "bytes instead of text (decode them)"
    if not isinstance(text, str):
        return f"a {type(text).__name__} instead of text"
    return "half a character (a lone surrogate; export the texts again)" if HALF_CHARACTER.search(text) else ""


def check_labels(labels: Sequence[Any], where: str, rows: Sequence[int] | None = None) -> list[str]:
    """The label names in order, for labels that are all names (strings) or all class numbers.

    Names are sorted; class numbers give the names "0", "1", … Raises ValueError for labels that are missing, blank,
    fractional, negative or of mixed kinds (with rows and values).
    """
    _refuse_empty(labels, where, "labels")
    rows = rows or range(1, len(labels) + 1)
    if found := _problems(labels, _wrong_label, rows):
        raise UserError(f"{where}: {found}. Labels must be names, or class numbers 0, 1, 2, …")
    kinds = {isinstance(label, str) for label in labels}
    if len(kinds) == 2:
        texts = [row for row, label in zip(rows, labels, strict=True) if isinstance(label, str)]
        raise UserError(f"{where}: labels are numbers in some rows and names in {name_rows(texts)}; use one kind")
    return [str(label) for label in sorted(set(labels))]


def _wrong_label(label: Any) -> str:
    if label is None or (isinstance(label, float) and math.isnan(label)):
        return "no label"
    if isinstance(label, str):
        return _wrong_text(label) if label.strip() else "an empty label"
    if isinstance(label, bool) or not isinstance(label, numbers.Real) or math.isinf(label):
        return f"the label {label!r} of type {type(label).__name__}"
    if label != int(label):
        return f"the fractional label {label}"
    return f"the negative label {label}" if label < 0 else ""


def check_run(model: nn.Module, *loaders: DataLoader) -> None:
    """``check_examples`` for each loader of encoded texts that is to feed a transformers model; others pass unseen."""
    from transformers import PreTrainedModel  # takes seconds where there is no model yet, and texts do without it

    for loader in loaders:
        if isinstance(model, PreTrainedModel) and isinstance(loader.dataset, EncodedTexts):
            check_examples(loader.dataset, model)


def check_examples(examples: EncodedTexts, model: PreTrainedModel) -> None:
    """Raise ValueError when encoded examples cannot train this model; row numbers count from 0, as in the batches.

    Looks for: no examples, labels outside the model's classes, labels that are no whole numbers, nothing but ignored
    labels, token ids outside the vocabulary, texts longer than the positions, texts without a token.
    """
    _refuse_empty(examples.labels, "the loader", "examples")
    config = model.config
    _check_classes(examples.labels, config.num_labels)
    unknown = [row for row, ids in enumerate(examples.input_ids) if len(ids) and max(ids) >= config.vocab_size]
    if unknown:
        raise UserError(
            f"token ids of {name_rows(unknown)} lie outside the model's vocabulary of {config.vocab_size}: "
            "tokenizer and model do not belong together; take both from one folder"
        )
    long = [row for row, ids in enumerate(examples.input_ids) if len(ids) > config.max_position_embeddings]
    if long:
        longest = max(len(examples.input_ids[row]) for row in long)
        raise UserError(
            f"{name_rows(long)} are longer than the model's {config.max_position_embeddings} positions "
            f"(the longest has {longest} tokens): give encode_dataset a max_length"
        )
    empty = [row for row, ids in enumerate(examples.input_ids) if len(ids) == 0]
    if empty:
        raise UserError(f"{name_rows(empty)} have no token at all, so their mask would be empty: remove these texts")


def _check_classes(labels: Sequence[Any], num_labels: int) -> None:
    allowed = f"the model's {num_labels} classes are 0 to {num_labels - 1}, and {IGNORE} leaves a row out"
    fractional = [row for row, label in enumerate(labels) if label != int(label)]
    if fractional:
        raise UserError(f"fractional labels in {name_rows(fractional)}, such as {labels[fractional[0]]}; {allowed}")
    outside = [row for row, label in enumerate(labels) if label != IGNORE and not 0 <= label < num_labels]
    if outside:
        raise UserError(f"labels out of range in {name_rows(outside)}, such as {labels[outside[0]]}; {allowed}")
    if all(label == IGNORE for label in labels):
        raise UserError(f"all {len(labels)} labels are ignored ({IGNORE}): the loss would be NaN; {allowed}")


def _refuse_empty(items: Sequence[Any], where: str, what: str) -> None:
    if len(items) == 0:
        raise UserError(f"{where} has no {what}; at least one is needed")
