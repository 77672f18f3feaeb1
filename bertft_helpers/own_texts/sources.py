"""Texts of your own: read from wherever they are, cleaned, divided so that every class is in every part."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path

import numpy as np
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from bertft_helpers.data import load_texts
from bertft_helpers.errors import MissingError, UserError
from bertft_helpers.tables import READERS, visible
from bertft_helpers.validation import check_labels, check_texts

HUB_NAME = re.compile(r"(?P<name>[\w.-]+/[\w.-]+?)(@(?P<revision>[\w.-]+))?")
SMALLEST_CLASS = 3  # one text to train on, one to choose the epoch by, one to test on


def load_source(source: str, text_column: str = "text", label_column: str = "label") -> Dataset:
    """Labelled texts as ``data.load_texts`` reads them, or the train split of a data set on the Hub.

    A Hub name is ``owner/name`` or ``owner/name@revision``; a file or folder of that name goes first. Code that a data
    set brings is never run. Raises FileNotFoundError, and ValueError naming file, rows or columns.
    """
    found = HUB_NAME.fullmatch(source)
    if found is None or Path(source).exists() or Path(source).suffix in READERS:
        return load_texts(source, text_column, label_column)
    return _from_hub(found["name"], found["revision"], text_column, label_column)


def _from_hub(name: str, revision: str | None, text_column: str, label_column: str) -> Dataset:
    from datasets import load_dataset

    try:
        raw = load_dataset(name, revision=revision, split="train")
    except Exception as error:  # offline, gone, gated, no train split: many classes, which differ between versions
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise MissingError(
            f"there is no file or folder {name!r}, and the Hub's data set of that name could not be loaded ({reason}); "
            "check the name and the network"
        ) from error
    missing = [column for column in (text_column, label_column) if column not in raw.column_names]
    if missing:
        raise UserError(f"{name} has no column {', '.join(missing)}; it has {', '.join(raw.column_names)}")
    texts, labels = list(raw[text_column]), list(raw[label_column])
    feature = raw.features[label_column]
    if isinstance(feature, ClassLabel):
        labels = [feature.int2str(label) if label >= 0 else None for label in labels]
    check_texts(texts, f"{name}, column {text_column!r}")
    names = check_labels(labels, f"{name}, column {label_column!r}")
    features = Features({"id": Value("string"), "text": Value("string"), "label": ClassLabel(names=names)})
    ids = [str(row) for row in range(1, len(texts) + 1)]
    return Dataset.from_dict({"id": ids, "text": texts, "label": [str(label) for label in labels]}, features=features)


def split_by_class(dataset: Dataset, seed: int, validation: float = 0.2, test: float = 0.2) -> DatasetDict:
    """Train, validation and test rows with each class divided by itself, so that also a rare one is in every part.

    Unlike ``data.split`` this works from three texts per class on, for 2 or 200 classes. A function of rows and seed
    alone. Raises ValueError for shares that leave nothing to train on and for classes of fewer than three texts.
    """
    if not (validation > 0 and test > 0 and validation + test <= 0.8):
        raise UserError(f"validation={validation} and test={test} must be above 0 and leave a fifth for training")
    labels = np.array(list(dataset["label"]), dtype=int)
    names = dataset.features["label"].names
    _require_enough(Counter(labels.tolist()), names)
    generator = np.random.default_rng(seed)
    rows: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for label in range(len(names)):
        own = generator.permutation(np.flatnonzero(labels == label)).tolist()
        for_test, for_validation = (max(1, round(share * len(own))) for share in (test, validation))
        rows["test"] += own[:for_test]
        rows["validation"] += own[for_test : for_test + for_validation]
        rows["train"] += own[for_test + for_validation :]
    tables = {part: dataset[sorted(chosen)] for part, chosen in rows.items()}
    return DatasetDict({part: Dataset.from_dict(table, features=dataset.features) for part, table in tables.items()})


def _require_enough(counts: Counter, names: list[str]) -> None:
    if len(names) < 2:
        raise UserError(f"all texts are labelled {visible(names[0], 60)!r}; at least two classes are needed")
    small = [f"{visible(name, 60)!r} ({counts[n]})" for n, name in enumerate(names) if counts[n] < SMALLEST_CLASS]
    if small:
        shown = ", ".join(small[:8]) + (f" and {len(small) - 8} more classes" if len(small) > 8 else "")
        raise UserError(
            f"too few different texts of {shown}: each class needs at least {SMALLEST_CLASS}, one to train on, one to "
            "choose the epoch by, one to test on. Add such texts, join classes, or remove these rows."
        )


def digest_of(dataset: Dataset) -> str:
    """A sha256 over the texts and labels, which tells whether two runs had the same data."""
    digest, names = hashlib.sha256(), dataset.features["label"].names
    for text, label in zip(dataset["text"], dataset["label"], strict=True):
        digest.update(f"{len(text)} {text}{names[label]}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
