"""Texts with several labels each, read from a table: as lists of names, and as a data set of sets of labels."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from datasets import Dataset

from bertft_helpers.data import build, refuse_one_column
from bertft_helpers.errors import MissingError, UserError
from bertft_helpers.own_texts.settings import TaskSettings
from bertft_helpers.own_texts.sources import Source
from bertft_helpers.reading.damage import note_damage
from bertft_helpers.reading.label_lists import LabelLists, lists_from_column, lists_from_columns, name_lists
from bertft_helpers.reading.labels import order_names
from bertft_helpers.reading.report import Format, Reading
from bertft_helpers.tables import parquet_files, read_table
from bertft_helpers.validation import check_texts

__all__ = ["Listed", "load_several", "read_several", "set_names"]


class Listed(NamedTuple):
    """Texts, the labels of each by name, and how they were read."""

    texts: list[str]
    labels: list[list[str]]
    reading: Reading


def load_several(settings: TaskSettings) -> Source:
    """What a run is to learn from, as ``sources.load_source`` gives it; a class is the list of a text's labels as JSON.

    So whatever counts, compares or removes texts by their label does so by all of their labels. Raises UserError as
    ``read_several``, and for fewer than two labels.
    """
    lists = settings.several or LabelLists()
    texts, labels, reading = read_several(
        settings.source, settings.text_column, settings.label_column, lists, settings.how
    )
    names = order_names(name for own in labels for name in own)
    if unused := [name for name in lists.columns or () if name not in names]:
        raise UserError(
            f"{reading.name}: no row has a 1 in {', '.join(map(repr, unused))}; leave these columns out of "
            "--label-columns"
        )
    if len(names) < 2:
        found = f"the only label is {names[0]!r}" if names else "no text has a label"
        raise UserError(
            f"{reading.name}: {found}; at least two labels are needed. A single question is one with two classes: give "
            "each text yes or no as its label, and leave out --several-labels."
        )
    if all(len(own) == 1 for own in labels):
        reading.note(
            "every text has exactly one label: if labels exclude one another, train without the options for several, "
            "which uses that"
        )
    sets = [json.dumps([name for name in names if name in own], ensure_ascii=False) for own in labels]
    return Source(build([str(number) for number in range(1, len(texts) + 1)], texts, sets), reading)


def set_names(dataset: Dataset) -> list[list[str]]:
    """The labels of each text of what ``load_several`` has read."""
    sets = [json.loads(name) for name in dataset.features["label"].names]
    return [sets[number] for number in dataset["label"]]


def read_several(source: str, text_column: str, label_column: str, lists: LabelLists, how: Format) -> Listed:
    """The texts and labels of a table. Raises MissingError, and UserError naming file, rows or columns."""
    path = Path(source)
    _require_table(path)
    label_columns = [label_column] if lists.columns is None else list(lists.columns)
    for column in label_columns:
        refuse_one_column(text_column, column)
    table, reading = read_table(path, [text_column, *label_columns], how)
    texts, rows = list(table[text_column]), list(table.index)
    check_texts(texts, f"{path.name}, column {text_column!r}", rows)
    note_damage(reading, texts, rows)
    if lists.columns is None:
        where = f"{path.name}, column {label_column!r}"
        found: Sequence[Iterable[object]] = lists_from_column(list(table[label_column]), lists.separator, where, rows)
    else:
        where = path.name
        found = lists_from_columns({name: list(table[name]) for name in lists.columns}, where, rows)
    return Listed(texts, name_lists([list(own) for own in found], where, rows, reading.note), reading)


def _require_table(path: Path) -> None:
    if not path.exists():
        raise MissingError(f"no data at {str(path)!r}; several labels are read from a CSV, JSON, Excel or Parquet file")
    if path.is_dir() and not parquet_files(path):
        raise UserError(
            f"{path} is a folder, in which a text has one label, its folder's; put texts and labels into a table, or "
            "leave out the options for several labels"
        )
