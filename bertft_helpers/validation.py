"""Look at texts, labels, batches and models before the first step, and say what is wrong with which rows."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.utils.data import DataLoader

from bertft_helpers.batching import EncodedTexts
from bertft_helpers.errors import UserError
from bertft_helpers.losses import IGNORE
from bertft_helpers.reading.records import HALF_CHARACTER
from bertft_helpers.reading.report import name_rows

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["BLANKS", "check_examples", "check_not_blank", "check_run", "check_texts", "is_blank", "wrong_text"]

# Beside white space: what is shown as nothing though Unicode calls it a letter, a mark or a symbol.
BLANKS = {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0xFE00, 0xFE10)}


def is_blank(text: str) -> bool:
    """Whether a text shows nothing: white space, control and zero-width characters only."""
    return not text.strip() or all(
        one.isspace() or ord(one) in BLANKS or unicodedata.category(one) in ("Cc", "Cf") for one in text
    )


def check_texts(texts: Sequence[Any], where: str, rows: Sequence[int] | None = None) -> None:
    """Raise ValueError unless every text is a string; names the rows and what they hold. Blank strings pass."""
    _refuse_empty(texts, where, "texts")
    if found := _problems(texts, wrong_text, rows):
        raise UserError(f"{where}: {found}. Every text must be a string: fill or remove these rows.")


def check_not_blank(texts: Sequence[str], where: str, rows: Sequence[int] | None = None) -> None:
    """Raise ValueError naming the rows whose text is empty or white space: BERT would see only [CLS] and [SEP]."""
    if found := _problems(texts, lambda text: "an empty text" if is_blank(text) else "", rows):
        raise UserError(f"{where}: {found}. Fill or remove these rows (data.clean removes them and says so).")


def _problems(values: Sequence[Any], wrong: Callable[[Any], str], rows: Sequence[int] | None) -> str:
    """What ``wrong`` says of the values, each with its rows; empty when nothing is wrong."""
    problems: dict[str, list[int]] = {}
    for row, value in zip(rows or range(1, len(values) + 1), values, strict=True):
        if kind := wrong(value):
            problems.setdefault(kind, []).append(row)
    return "; ".join(f"{kind} in {name_rows(found)}" for kind, found in problems.items())


def wrong_text(text: Any) -> str:
    """What keeps a value from being a text, in words; empty when nothing does."""
    if text is None or (isinstance(text, float) and math.isnan(text)):
        return "no text"
    if isinstance(text, bytes):
        return "bytes instead of text (decode them)"
    if not isinstance(text, str):
        return f"a {type(text).__name__} instead of text"
    return "half a character (a lone surrogate; export the texts again)" if HALF_CHARACTER.search(text) else ""


def check_run(model: nn.Module, *loaders: DataLoader) -> None:
    """``check_examples`` for each loader of encoded texts that is to feed a transformers model; others pass unseen."""
    from transformers import PreTrainedModel  # takes seconds where there is no model yet, and texts do without it

    for loader in loaders:
        examples = getattr(loader, "dataset", None)
        if isinstance(model, PreTrainedModel) and isinstance(examples, EncodedTexts):
            check_examples(examples, model)


def check_examples(examples: EncodedTexts, model: PreTrainedModel) -> None:
    """Raise ValueError when encoded examples cannot train this model; row numbers count from 0, as in the batches.

    Looks for: no examples, labels outside the model's classes, labels that are no whole numbers, nothing but ignored
    labels, token ids outside the vocabulary, texts longer than the positions, texts without a token.
    """
    _refuse_empty(examples.labels, "the loader", "examples")
    config: Any = model.config  # each kind of model has fields of its own
    per_row = [label if isinstance(label, list) else [label] for label in examples.labels]
    _check_classes(per_row, _number_of_classes(model))
    uneven = [
        row
        for row, (ids, label) in enumerate(zip(examples.input_ids, examples.labels, strict=True))
        if isinstance(label, list) and len(label) != len(ids)
    ]
    if uneven:
        tokens, labels = (len(column[uneven[0]]) for column in (examples.input_ids, per_row))
        raise UserError(
            f"labels do not fit the tokens of {name_rows(uneven)} (the first has {tokens} tokens and {labels} "
            f"labels): give every token a label, {IGNORE} where it has none"
        )
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


def _number_of_classes(model: PreTrainedModel) -> int:
    """Those of its head; a head that guesses words has one for each piece of the vocabulary."""
    words: Any = model.get_output_embeddings()
    config: Any = model.config
    return int(config.num_labels if words is None else words.out_features)


def _check_classes(labels: Sequence[Sequence[Any]], num_labels: int) -> None:
    allowed = f"the model's {num_labels} classes are 0 to {num_labels - 1}, and {IGNORE} leaves a row out"

    def refuse(what: str, wrong: Callable[[Any], bool]) -> None:
        found = {row: bad[0] for row, own in enumerate(labels) if (bad := list(filter(wrong, own)))}
        if found:
            raise UserError(f"{what} in {name_rows(list(found))}, such as {next(iter(found.values()))}; {allowed}")

    refuse("fractional labels", lambda label: label != int(label))
    refuse("labels out of range", lambda label: label != IGNORE and not 0 <= label < num_labels)
    if all(label == IGNORE for own in labels for label in own):
        count = sum(map(len, labels))
        raise UserError(f"all {count} labels are ignored ({IGNORE}): the loss would be NaN; {allowed}")


def _refuse_empty(items: Sequence[Any], where: str, what: str) -> None:
    if len(items) == 0:
        raise UserError(f"{where} has no {what}; at least one is needed")
