"""Names of classes: one name for each label whatever the file's format, in one order that depends on nothing else."""

from __future__ import annotations

import datetime
import math
import numbers
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from bertft_helpers.errors import UserError
from bertft_helpers.reading.columns import repair_name
from bertft_helpers.reading.records import HALF_CHARACTER
from bertft_helpers.reading.report import RowNumbers

__all__ = [
    "ALIKE",
    "JSON_LIST",
    "LONG_NAME",
    "NUMBER",
    "SEVERAL",
    "WHOLE",
    "about_names",
    "name_date",
    "name_labels",
    "order_names",
    "wrong_label",
]

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
JSON_LIST = re.compile(r'\s*\[\s*"(.|\n)*"\s*\]\s*')
WHOLE = re.compile(r"(-?[0-9]+)\.0+")
ALIKE = 8  # groups of names that are told
LONG_NAME = 5  # letters; in shorter ones another letter is mostly another word
SEVERAL = "a list of labels"
_REMEDY = {
    False: "Labels must be names or numbers: fill or remove these rows",
    True: "A text has one label here: keep the one that matters most, or train for several with --several-labels",
}


def name_labels(
    labels: Sequence[Any], where: str, rows: Sequence[int] | None = None, on_note: Callable[[str], None] | None = None
) -> list[str]:
    """The class name of each label, the same from every kind of file: 1, 1.0, "1" and " 1 " are one class.

    Whole numbers lose their ".0", names are composed (NFC) and lose hidden characters and white space around them;
    "07" is a name, and dates are written as in ISO 8601. ``on_note`` hears what was repaired, and which different
    classes look alike. Raises ValueError with the rows whose label is missing, blank, infinite, or neither text nor a
    number nor a date.
    """
    rows = rows or range(1, len(labels) + 1)
    wrong: dict[str, RowNumbers] = {}
    names, repaired, made_whole = [], RowNumbers(), RowNumbers()
    for row, label in zip(rows, labels, strict=True):
        if kind := wrong_label(label):
            wrong.setdefault(kind, RowNumbers()).add(row)
            continue
        names.append(_name(label))
        if isinstance(label, str) and names[-1] != label:
            (made_whole if WHOLE.fullmatch(label.strip()) else repaired).add(row)
    if wrong:
        told = "; ".join(f"{kind} in {found}" for kind, found in wrong.items())
        raise UserError(f"{where}: {told}. {_REMEDY[SEVERAL in wrong]}")
    for note in filter(None, [_about_repairs(where, repaired, made_whole), *about_names(names)]):
        if on_note is not None:
            on_note(note)
    return names


def _about_repairs(where: str, repaired: RowNumbers, made_whole: RowNumbers) -> str:
    told = [f"hidden characters or white space removed in {repaired}"] if repaired.count else []
    if made_whole.count:
        told.append(f"whole numbers written as 1 instead of 1.0 in {made_whole}")
    return f"{where}: labels repaired: {'; '.join(told)}" if told else ""


def wrong_label(label: Any) -> str:
    """What keeps a value from being a label, in words; empty when nothing does."""
    if label is None or (isinstance(label, numbers.Real) and math.isnan(label)):
        return "no label"
    if isinstance(label, str):
        if JSON_LIST.fullmatch(label):
            return SEVERAL
        if HALF_CHARACTER.search(label):
            return "half a character (a lone surrogate; export the texts again)"
        return "" if repair_name(label) else "an empty label"
    if isinstance(label, list | tuple | set | np.ndarray):
        return SEVERAL
    if isinstance(label, datetime.date):
        return ""
    if not isinstance(label, numbers.Real | Decimal) or math.isinf(label):
        return f"the label {label!r} of type {type(label).__name__}"
    return ""


def _name(label: Any) -> str:
    if isinstance(label, str):
        name = repair_name(label)
        whole = WHOLE.fullmatch(name)
        return whole[1] if whole and NUMBER.fullmatch(whole[1]) else name
    if isinstance(label, datetime.date):
        return name_date(label)
    if isinstance(label, bool) or type(label).__name__ == "bool_":
        return str(bool(label))
    return str(int(label)) if label == int(label) else str(label)


def name_date(value: datetime.date) -> str:
    """A date as ISO 8601 writes it, the same from a table that adds midnight to it."""
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        value = value.date()
    return value.isoformat()


def order_names(names: Iterable[str]) -> list[str]:
    """Different names in their one order: numbers by their value, then names by their characters."""
    return sorted(set(names), key=_place)


def _place(name: str) -> tuple[int, Decimal, str]:
    return (0, Decimal(name), name) if NUMBER.fullmatch(name) else (1, Decimal(0), name)


def about_names(names: Sequence[str]) -> list[str]:
    """What a reader should know of the classes: which look alike, numbers among names, and -1."""
    counts = Counter(names)
    alike: dict[str, list[str]] = {}
    for name in order_names(counts):
        alike.setdefault(_bare(name), []).append(name)
    groups = [group for group in alike.values() if len(group) > 1]
    found = [
        f"the classes {' and '.join(f'{name!r} ({counts[name]} rows)' for name in group)} differ only in case, spaces, "
        "accents, marks or zeros; they are different classes here"
        for group in groups[:ALIKE]
    ]
    if len(groups) > ALIKE:
        found.append(f"{len(groups) - ALIKE} more groups of classes look alike")
    found += [
        f"the classes {name!r} ({counts[name]} rows) and {longer!r} ({counts[longer]} rows) differ by one letter; "
        "they are different classes here"
        for name, longer in _one_letter_apart(alike)[:ALIKE]
    ]
    are_numbers = {name for name in counts if NUMBER.fullmatch(name)}
    if are_numbers and len(are_numbers) < len(counts):
        others = ", ".join(map(repr, order_names(set(counts) - are_numbers)[:5]))
        found.append(f"labels are numbers in some rows and names ({others}) in others; each is a class of its own")
    if any("." in name for name in are_numbers):
        found.append("labels are fractional numbers; each different number is a class of its own")
    if several := _of_several(counts):
        found.append(
            f"classes that look like several labels in one field: {len(several)} of {len(counts)}, such as "
            f"{several[0]!r}; each is a class of its own here (bertft train reads several with --label-separator)"
        )
    if "-1" in counts:
        found.append(f"-1 is a class here, with {counts['-1']} rows; in some files it marks a missing label")
    return found


def _one_letter_apart(alike: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Pairs of names, the first of each group alike, of which one has a letter more: a plural, a slip of a finger.

    Such a letter is an s at the end, or in names of five letters or more any but the first.
    """
    pairs = []
    for longer in alike:
        last = len(longer) - 1
        places = range(1, last + 1) if last >= LONG_NAME else [last] if longer.endswith("s") and last >= 3 else []
        shorter = {longer[:place] + longer[place + 1 :] for place in places if longer[place].isalpha()}
        pairs += [(alike[name][0], alike[longer][0]) for name in sorted(shorter & alike.keys())]
    return pairs


def _of_several(names: Iterable[str]) -> list[str]:
    """Names that are made of other names, as ``birds|tools`` where there are birds or tools too."""
    known = {name.casefold() for name in names}
    made = {name: {part.strip().casefold() for part in re.split(r"[|;,/+&]", name)} for name in order_names(names)}
    return [name for name, parts in made.items() if len(parts) > 1 and "" not in parts and parts & known]


def _bare(name: str) -> str:
    """A name without case, accents, white space, hyphens, leading zeros and marks around it: equal for those alike."""
    name = re.sub(r"^\+(?=[0-9])", "", name)
    if re.fullmatch(r"-?[0-9.]+", name):
        return re.sub(r"^(-?)0+(?=[0-9])", r"\1", name.rstrip("0").rstrip(".") if "." in name else name)
    apart = unicodedata.normalize("NFKD", name.replace("&amp;", "&").casefold())
    letters = "".join(one for one in apart if not unicodedata.combining(one))
    return re.sub(r"[\s_-]+", "", letters).strip(".,:;!?'\"") or name
