"""Texts in a folder for each class: which files are texts, which are left out, and what the layout says otherwise."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bertft_helpers.errors import UserError
from bertft_helpers.reading.containers import is_hidden
from bertft_helpers.reading.damage import note_damage
from bertft_helpers.reading.encodings import read_text
from bertft_helpers.reading.report import Reading

__all__ = ["PARTS", "TextFiles", "find_texts", "name_encodings", "read_class_folders", "texts_below"]

PARTS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval", "unsup"}


class TextFiles(NamedTuple):
    """The text files of a folder in a fixed order, what was left out (a kind -> how many), and nested folders."""

    files: list[Path]
    left_out: Counter[str]
    nested: list[Path]


def find_texts(folder: Path) -> TextFiles:
    """The ``.txt`` files directly in the sub-folders of ``folder``, by folder and name."""
    files, nested = [], []
    left_out: Counter[str] = Counter()
    for place in _entries(folder, left_out):
        if not place.is_dir():
            left_out["files beside the class folders"] += 1
            continue
        for entry in _entries(place, left_out):
            if entry.is_dir():
                nested.append(entry)
            elif _is_text(entry, left_out):
                files.append(entry)
    return TextFiles(sorted(files), left_out, nested)


def _entries(folder: Path, left_out: Counter[str]) -> Iterator[Path]:
    """What lies in a folder, without what a system or an editor puts there."""
    try:
        entries = sorted(folder.iterdir())
    except PermissionError as error:
        raise UserError(f"the folder {folder} may not be read; change its permissions (chmod u+rx)") from error
    for entry in entries:
        if is_hidden(entry.name):
            left_out["hidden or system entries"] += 1
        else:
            yield entry


def _is_text(path: Path, left_out: Counter[str]) -> bool:
    if not path.is_file():  # a pipe or a device would be waited for, perhaps for ever
        left_out["pipes, devices or broken links"] += 1
        return False
    if path.suffix.lower() != ".txt":
        left_out["files that are no .txt"] += 1
        return False
    return True


def read_class_folders(folder: Path, encoding: str | None = None) -> tuple[list[str], list[str], list[str], Reading]:
    """Ids (``class/file``), texts and labels of a folder with one sub-folder per class, and how they were read.

    Raises ValueError for a folder without texts, and for layouts that mean something else: parts (train, test) instead
    of classes, or a further level of folders.
    """
    found = find_texts(folder)
    _refuse_other_layouts(folder, found)
    reading = Reading(folder.name, "a folder for each class", rows=len(found.files))
    ids, texts, others = [], [], []
    encodings: Counter[str] = Counter()
    for file in found.files:
        text, own = read_text(_content(file), f"{file.parent.name}/{file.name}", encoding)
        ids.append(f"{file.parent.name}/{file.stem}")
        texts.append(text)
        encodings[own.encoding] += 1
        if own.notes:
            others.append(ids[-1])
    reading.encoding = name_encodings(encodings)
    note_damage(reading, texts, ids)
    if others:
        shown = ", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
        reading.note(f"not all lines of {shown} are UTF-8; these were read as Windows-1252 (--encoding names another)")
    for what, count in found.left_out.items():
        reading.note(f"{folder.name}: {count} {what} left out")
    if found.nested:
        reading.note(
            f"{folder.name}: {len(found.nested)} folders within class folders left out, such as {found.nested[0]}"
        )
    empty = sorted(
        {one.name for one in folder.iterdir() if one.is_dir() and not is_hidden(one.name)}
        - {f.parent.name for f in found.files}
    )
    if empty:
        reading.note(f"{folder.name}: no .txt files in {', '.join(empty[:5])}, so no class of that name")
    return ids, texts, [file.parent.name for file in found.files], reading


def name_encodings(found: Counter[str]) -> str:
    """The encodings of files with how many have each, without the rows that only one file has."""
    counts = Counter[str]()
    for name, count in found.items():
        counts[name.split(" in ")[0]] += count
    return ", ".join(f"{name} ({count} files)" for name, count in counts.most_common())


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except PermissionError as error:
        raise UserError(f"{file} may not be read; change its permissions (chmod u+r)") from error


def _refuse_other_layouts(folder: Path, found: TextFiles) -> None:
    places = sorted({file.parent.name for file in found.files} | {nested.parent.name for nested in found.nested})
    if places and {place.lower() for place in places} <= PARTS:
        raise UserError(
            f"{folder} holds the parts {', '.join(places)}, not classes; give one of these folders, such as "
            f"{os.path.join(folder, places[0])}"
        )
    if not found.files:
        deeper = f"; {found.nested[0]} lies one level deeper: give the folder above it" if found.nested else ""
        raise UserError(f"{folder} has no .txt files in sub-folders; expected one sub-folder per class{deeper}")


def texts_below(folder: Path) -> Iterator[Path]:
    """Every ``.txt`` file at any depth of a folder, in a fixed order, without hidden and system entries."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in sorted(names):
            file = Path(place, name)
            if not is_hidden(name) and file.suffix.lower() == ".txt" and file.is_file():
                yield file
