"""Several labels for one text, as people's tables hold them: JSON lists, names with a separator, columns of 0 and 1."""

from __future__ import annotations

import dataclasses
import json
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bertft_helpers.errors import UserError
from bertft_helpers.reading.labels import JSON_LIST, name_labels
from bertft_helpers.reading.report import RowNumbers

__all__ = ["NO", "SHOWN", "YES", "LabelLists", "lists_from_column", "lists_from_columns", "name_lists"]

SHOWN = 5  # different values that are told
YES, NO = ("1", "1.0", "true"), ("0", "0.0", "false")


@dataclasses.dataclass(frozen=True)
class LabelLists:
    """How a table says which labels a text has.

    With neither field the label column holds lists (in CSV written as JSON); with a ``separator`` it holds names with
    that between them; ``columns`` are the names of columns of 0 and 1, one for each label. Raises UserError for what
    cannot be.
    """

    separator: str | None = None
    columns: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.separator is not None and self.columns is not None:
            raise UserError("--label-separator and --label-columns are two ways to say the same: give one of them")
        if self.separator is not None and not self.separator.strip():
            raise UserError(
                f"--label-separator is {self.separator!r}; name the sign between two labels, such as '|' or ';'"
            )
        if self.columns is not None and (len(self.columns) < 2 or len(set(self.columns)) < len(self.columns)):
            raise UserError(
                f"--label-columns is {','.join(self.columns)!r}; name at least two different columns, "
                "with commas between"
            )


def lists_from_column(values: Sequence[Any], separator: str | None, where: str, rows: Sequence[int]) -> list[list[Any]]:
    """The labels of each text as they stand in one column. An empty list, or with a separator an empty field, is none.

    Raises UserError naming the rows that hold something else.
    """
    if separator is not None:
        return _each(
            values, where, rows, lambda value: _parted(value, separator), f"Write names with {separator!r} between them"
        )
    remedy = 'Write ["sport", "tech"] and, for a text without a label, []; or name what parts them (--label-separator)'
    return _each(values, where, rows, _listed, remedy)


def lists_from_columns(columns: Mapping[str, Sequence[Any]], where: str, rows: Sequence[int]) -> list[list[str]]:
    """The labels of each text from columns of 0 and 1 (or true and false). Raises UserError naming column and rows."""
    remedy = "Write 1 where the text has the label and 0 where it has not"
    answers = {
        name: _each(values, f"{where}, column {name!r}", rows, _yes_or_no, remedy) for name, values in columns.items()
    }
    return [[name for name, own in answers.items() if own[place]] for place in range(len(rows))]


def name_lists(
    lists: Sequence[Sequence[Any]], where: str, rows: Sequence[int], on_note: Callable[[str], None] | None = None
) -> list[list[str]]:
    """The names of each text's labels, as ``labels.name_labels`` gives them, each once. Raises what that raises."""
    counts = [len(own) for own in lists]
    flat = [label for own in lists for label in own]
    names = iter(
        name_labels(flat, where, [row for row, n in zip(rows, counts, strict=True) for _ in range(n)], on_note)
    )
    return [list(dict.fromkeys(next(names) for _ in range(count))) for count in counts]


def _each(values: Sequence[Any], where: str, rows: Sequence[int], read: Callable[[Any], Any], remedy: str) -> list[Any]:
    """What ``read`` makes of each value; it raises ValueError with what is wrong, which is told with the rows."""
    found, wrong = [], dict[str, RowNumbers]()
    for row, value in zip(rows, values, strict=True):
        try:
            found.append(read(value))
        except ValueError as error:
            wrong.setdefault(str(error), RowNumbers()).add(row)
    if wrong:
        told = "; ".join(f"{kind} in {numbers}" for kind, numbers in [*wrong.items()][:SHOWN])
        more = sum(numbers.count for numbers in [*wrong.values()][SHOWN:])
        raise UserError(f"{where}: {told}{f'; and in {more} more rows' if more else ''}. {remedy}.")
    return found


def _listed(value: Any) -> list[Any]:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError(f"{_shown(value)}, which is broken JSON,") from None
    if not isinstance(value, list | tuple | np.ndarray):
        raise ValueError("nothing instead of a list" if _is_missing(value) else f"{_shown(value)} instead of a list")
    return list(value)


def _parted(value: Any, separator: str) -> list[str]:
    if isinstance(value, list | tuple | np.ndarray) or (isinstance(value, str) and JSON_LIST.fullmatch(value)):
        raise ValueError(f"{_shown(value)}, a list that --several-labels would read,")
    if _is_missing(value):
        return []
    if not isinstance(value, str):
        if isinstance(value, numbers.Number):
            return [str(value)]  # a single label that is a number
        raise ValueError(f"{_shown(value)} instead of names with {separator!r} between them")
    return [name for name in value.split(separator) if name.strip()]


def _yes_or_no(value: Any) -> bool:
    told = str(value).strip().lower()
    if told not in (*YES, *NO):
        raise ValueError("nothing" if _is_missing(value) else _shown(value))
    return told in YES


def _is_missing(value: Any) -> bool:
    if value is None or (isinstance(value, numbers.Real) and math.isnan(value)):
        return True
    return isinstance(value, str) and not value.strip()


def _shown(value: Any) -> str:
    return f"{value!r:.40}"
