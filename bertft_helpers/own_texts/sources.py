"""Texts of your own: read from wherever they are, cleaned, divided so that every class is in every part."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
from datasets import Dataset, DatasetDict

from bertft_helpers.data import build, read_texts
from bertft_helpers.errors import UserError
from bertft_helpers.own_texts.hub import read_hub
from bertft_helpers.reading.places import hub_name
from bertft_helpers.reading.report import FOUND_OUT, Format, Reading, refuse_unused
from bertft_helpers.tables import visible

__all__ = [
    "GROUP",
    "SMALLEST_CLASS",
    "Source",
    "at_most",
    "digest_of",
    "load_source",
    "name_classes",
    "require_enough",
    "require_shares",
    "rows_by_class",
    "small_classes",
    "split_by_class",
    "take_parts",
    "without_classes",
    "without_small_classes",
]

GROUP = "group"  # the column of what belongs together, where texts have it
SMALLEST_CLASS = 3  # one text to train on, one to choose the epoch by, one to test on


class Source(NamedTuple):
    """Labelled texts as they were read, and how: the rows, the encoding, what was repaired."""

    dataset: Dataset
    reading: Reading


def load_source(
    source: str,
    text_column: str = "text",
    label_column: str = "label",
    how: Format = FOUND_OUT,
    group_column: str | None = None,
) -> Source:
    """Labelled texts as ``data.read_texts`` reads them, or the train split of a data set on the Hub.

    A Hub name is ``hub:owner/name``, ``owner/name`` or ``owner/name@revision``; whatever can be a path is one. Raises
    FileNotFoundError, and ValueError naming file, rows or columns.
    """
    if (found := hub_name(source)) is not None:
        refuse_unused(how, source)
        return Source(*read_hub(found, text_column, label_column, group_column))
    return Source(*read_texts(source, text_column, label_column, how, group_column))


def split_by_class(dataset: Dataset, seed: int, validation: float = 0.2, test: float = 0.2) -> DatasetDict:
    """Train, validation and test rows with each class divided by itself, so that also a rare one is in every part.

    Unlike ``data.split`` this works from three texts per class on, for 2 or 200 classes. A function of rows and seed
    alone. Raises ValueError for shares that leave nothing to train on and for classes of fewer than three texts.
    """
    return take_parts(dataset, rows_by_class(dataset, seed, validation, test))


def rows_by_class(dataset: Dataset, seed: int, validation: float, test: float) -> dict[str, list[int]]:
    """The row numbers of each part, as ``split_by_class`` divides: every class has at least one row in each."""
    require_shares(validation, test)
    labels = np.array(list(dataset["label"]), dtype=int)
    names = dataset.features["label"].names
    require_enough(dataset)
    generator = np.random.default_rng(seed)
    rows: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for label in range(len(names)):
        own = generator.permutation(np.flatnonzero(labels == label)).tolist()
        for_test = min(max(1, round(test * len(own))), len(own) - 2)
        for_validation = min(max(1, round(validation * len(own))), len(own) - for_test - 1)
        rows["test"] += own[:for_test]
        rows["validation"] += own[for_test : for_test + for_validation]
        rows["train"] += own[for_test + for_validation :]
    return {part: sorted(own) for part, own in rows.items()}


def require_shares(validation: float, test: float) -> None:
    """Raise UserError for shares of the texts that leave nothing to choose by, to test on or to train on."""
    if not (validation > 0 and test > 0 and validation + test <= 0.8):
        raise UserError(f"validation={validation} and test={test} must be above 0 and leave a fifth for training")


def take_parts(dataset: Dataset, rows: dict[str, list[int]]) -> DatasetDict:
    """The data set's rows part by part."""
    tables = {part: dataset[own] for part, own in rows.items()}  # flatten_indices would cast row by row
    return DatasetDict({part: Dataset.from_dict(table, features=dataset.features) for part, table in tables.items()})


def small_classes(dataset: Dataset, fewest: int = SMALLEST_CLASS) -> dict[str, int]:
    """The classes of fewer than ``fewest`` texts (by default: too few to be in every part), and how many they have.

    Where texts have groups, groups are counted, since one group can be in one part only.
    """
    counts, names = Counter(dataset["label"]), dataset.features["label"].names
    if GROUP in dataset.column_names:
        counts = Counter(label for label, _ in {*zip(dataset["label"], dataset[GROUP], strict=True)})
    return {name: counts[number] for number, name in enumerate(names) if counts[number] < fewest}


def without_classes(dataset: Dataset, left_out: Collection[str]) -> Dataset:
    """The texts of the other classes, which are numbered anew in the order that they had."""
    names = dataset.features["label"].names
    staying = dataset[[row for row, label in enumerate(dataset["label"]) if names[label] not in left_out]]
    labels = [names[label] for label in staying["label"]]
    return build(staying["id"], staying["text"], labels, names, staying.get(GROUP))


def without_small_classes(dataset: Dataset, fewest: int) -> tuple[Dataset, list[str]]:
    """The data set without the classes of fewer than ``fewest`` texts, and the names of those.

    Raises UserError when fewer than two classes stay, which is what a wrong column of labels looks like.
    """
    left_out = small_classes(dataset, fewest)
    staying = len(dataset.features["label"].names) - len(left_out)
    if staying < 2:
        raise UserError(f"only {staying} classes have {fewest} different texts: is that the right column of labels?")
    return without_classes(dataset, left_out), list(left_out)


def at_most(part: Dataset, number: int | None, seed: int) -> Dataset:
    """At most ``number`` texts of a part, all of them for None: one of each class first, the rest drawn by the seed."""
    if number is None or number >= len(part):
        return part
    order = np.random.default_rng(seed).permutation(len(part))
    _, first = np.unique(np.array(part["label"])[order], return_index=True)
    rest = np.delete(np.arange(len(order)), first)
    return part.select(sorted(order[np.concatenate([first, rest])[:number]]))


def name_classes(counts: Mapping[str, int]) -> str:
    """Classes with their numbers of texts, for a message: at most eight by name."""
    shown = ", ".join(f"{visible(name, 60)!r} ({count})" for name, count in [*counts.items()][:8])
    return shown + (f" and {len(counts) - 8} more classes" if len(counts) > 8 else "")


def require_enough(dataset: Dataset) -> None:
    """Raise UserError for fewer than two classes, and for one with too few texts, or groups, to be in every part."""
    names = dataset.features["label"].names
    if len(names) < 2:
        only = f"all texts are labelled {visible(names[0], 60)!r}" if names else "no class has enough texts"
        raise UserError(f"{only}; at least two classes are needed")
    if small := small_classes(dataset):
        doubt = "is that the right column of labels? E" if 2 * len(small) > len(names) else "e"
        what = "groups" if GROUP in dataset.column_names else "different texts"
        raise UserError(
            f"too few {what} of {name_classes(small)}: {doubt}ach class needs at least {SMALLEST_CLASS}, one "
            "to train on, one to choose the epoch by, one to test on. Add such texts, join classes, remove these rows, "
            "or leave the classes out with --skip-small-classes."
        )


def digest_of(dataset: Dataset) -> str:
    """A sha256 over the texts, labels and groups, which tells whether two runs had the same data."""
    digest, names = hashlib.sha256(), dataset.features["label"].names
    for text, label in zip(dataset["text"], dataset["label"], strict=True):
        digest.update(f"{len(text)} {text}{names[label]}\0".encode("utf-8", "surrogatepass"))
    if GROUP in dataset.column_names:
        digest.update(repr(list(dataset[GROUP])).encode())
    return digest.hexdigest()
