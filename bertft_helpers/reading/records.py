"""Rows of JSON lines and JSON arrays, one by one, with errors that name the rows."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bertft_helpers.errors import UserError
from bertft_helpers.reading.columns import require_columns
from bertft_helpers.reading.report import Reading, RowNumbers

__all__ = ["HALF_CHARACTER", "Row", "read_json"]

Row = tuple[int, dict[str, Any]]
HALF_CHARACTER = re.compile("[\ud800-\udfff]")  # JSON may spell it; no file or tokenizer can hold it


def read_json(lines: Iterator[str], reading: Reading, wanted: Sequence[str]) -> tuple[list[str], Iterator[Row]]:
    """Columns (of the first object) and rows of JSON lines, of one array of objects, or of one object of columns.

    Raises ValueError naming the rows that hold no object, or an object with a name twice or half a character.
    """
    first = next((line for line in lines if line.strip() or _count_blank(reading)), None)
    if first is None:
        raise UserError(f"{reading.name} is empty; it must hold at least one JSON object")
    skipped, reading.kind = reading.blank, "JSON lines"
    record = _parsed(first)
    if isinstance(record, dict) and not _is_wrapping(record, wanted) and not _by_column(record, wanted):
        found: Iterator[tuple[int, Any]] = (
            (row, _parsed(line))
            for row, line in enumerate(itertools.chain([first], lines), skipped + 1)
            if _full(line, reading)
        )
    else:
        found = _document(first + "".join(lines), skipped, reading, wanted)
    return _objects(found, reading, wanted)


def _is_wrapping(record: dict[str, Any], wanted: Sequence[str]) -> bool:
    """Whether an object is no row but holds the rows, as in ``{"data": [{"text": …}]}``."""
    arrays = [value for value in record.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
    return len(arrays) == 1 and not set(wanted) <= record.keys()


def _by_column(record: dict[str, Any], wanted: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of an object that holds whole columns: lists or, as pandas writes them, objects of row and value.

    None of another object.
    """
    columns = {name: [*own.values()] if isinstance(own, dict) else own for name, own in record.items()}
    if not set(wanted) <= columns.keys() or not all(isinstance(own, list) for own in columns.values()):
        return []
    if len({len(own) for own in columns.values()}) != 1:
        return []
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _count_blank(reading: Reading) -> bool:
    reading.blank += 1
    return False


def _full(line: str, reading: Reading) -> bool:
    return bool(line.strip()) or _count_blank(reading)


def _document(text: str, skipped: int, reading: Reading, wanted: Sequence[str]) -> Iterator[tuple[int, Any]]:
    """The items of one JSON array (or of the only array in one object), or of columns; lines where the text is none."""
    document = _parsed(text)
    if isinstance(document, dict) and (rows := _by_column(document, wanted)):
        reading.kind = "JSON by columns"
        return enumerate(rows, 1)
    if isinstance(document, dict):
        arrays = [value for value in document.values() if isinstance(value, list)]
        document = arrays[0] if len(arrays) == 1 else [document]
    if isinstance(document, list):
        reading.kind = "a JSON array"
        return enumerate(document, 1)
    return ((row, _parsed(line)) for row, line in enumerate(text.split("\n"), skipped + 1) if line.strip())


class _Twice(ValueError):
    pass


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Twice
    return found


def _parsed(text: str) -> Any:
    """What a JSON text says; None where it is none, ``_Twice`` where an object has a name twice."""
    try:
        value = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_once)
    except _Twice:
        return _Twice
    except (ValueError, RecursionError):  # a thousand open brackets are no record either
        return None
    if "\\u" in text and HALF_CHARACTER.search(json.dumps(value, ensure_ascii=False)):
        return HALF_CHARACTER
    return value


def _objects(
    found: Iterable[tuple[int, Any]], reading: Reading, wanted: Sequence[str]
) -> tuple[list[str], Iterator[Row]]:
    found = iter(found)
    row, first = next(found, (1, None))
    columns = list(first) if isinstance(first, dict) else []
    if isinstance(first, dict):
        require_columns(columns, reading.name, wanted)
    return columns, _good(itertools.chain([(row, first)], found), reading, wanted)


def _good(found: Iterable[tuple[int, Any]], reading: Reading, wanted: Sequence[str]) -> Iterator[Row]:
    """The rows while all is well; after the first bad one the rest is only looked through, for one complete message."""
    wrong: dict[str, RowNumbers] = {}
    for row, value in found:
        if problem := _problem(value, wanted):
            wrong.setdefault(problem, RowNumbers()).add(row)
        elif not wrong:
            reading.rows += 1
            yield row, value
    if wrong:
        told = "; ".join(f"{problem} in {rows}" for problem, rows in wrong.items())
        raise UserError(f"{reading.name} has {told}; each line must hold one JSON object, such as {{...}}")


def _problem(value: Any, wanted: Sequence[str]) -> str:
    if value is _Twice:
        return "a name twice in one object"
    if value is HALF_CHARACTER:
        return "half a character (a lone surrogate; export the texts again)"
    if not isinstance(value, dict):
        return "no JSON object"
    return next((f"no {column!r}" for column in wanted if column not in value), "")
