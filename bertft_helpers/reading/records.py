"""Rows of JSON lines, JSON arrays, Parquet and Excel, one by one, with errors that name the rows."""

from __future__ import annotations

import datetime
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any

from bertft_helpers.errors import UserError
from bertft_helpers.reading.columns import name_columns, require_columns
from bertft_helpers.reading.containers import refuse_bomb
from bertft_helpers.reading.report import Format, Reading, RowNumbers

__all__ = [
    "HALF_CHARACTER",
    "MOST_ROWS",
    "ROWS_AT_ONCE",
    "ROWS_PER_BYTE",
    "Row",
    "read_excel",
    "read_json",
    "read_parquet",
]

Row = tuple[int, dict[str, Any]]
HALF_CHARACTER = re.compile("[\ud800-\udfff]")  # JSON may spell it; no file or tokenizer can hold it
ROWS_AT_ONCE = 1024
MOST_ROWS, ROWS_PER_BYTE = 10_000_000, 10  # a table of texts takes more than a tenth of a byte for a row


def read_json(lines: Iterator[str], reading: Reading, wanted: Sequence[str]) -> tuple[list[str], Iterator[Row]]:
    """Columns (of the first object) and rows of JSON lines, or of one array of objects.

    Raises ValueError naming the rows that hold no object, or an object with a name twice or half a character.
    """
    first = next((line for line in lines if line.strip() or _count_blank(reading)), None)
    if first is None:
        raise UserError(f"{reading.name} is empty; it must hold at least one JSON object")
    skipped, reading.kind = reading.blank, "JSON lines"
    if isinstance(record := _parsed(first), dict) and not _is_wrapping(record, wanted):
        found: Iterator[tuple[int, Any]] = (
            (row, _parsed(line))
            for row, line in enumerate(itertools.chain([first], lines), skipped + 1)
            if _full(line, reading)
        )
    else:
        found = _document(first + "".join(lines), skipped, reading)
    return _objects(found, reading, wanted)


def _is_wrapping(record: dict[str, Any], wanted: Sequence[str]) -> bool:
    """Whether an object is no row but holds the rows, as in ``{"data": [{"text": …}]}``."""
    arrays = [value for value in record.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
    return len(arrays) == 1 and not set(wanted) <= record.keys()


def _count_blank(reading: Reading) -> bool:
    reading.blank += 1
    return False


def _full(line: str, reading: Reading) -> bool:
    return bool(line.strip()) or _count_blank(reading)


def _document(text: str, skipped: int, reading: Reading) -> Iterator[tuple[int, Any]]:
    """The items of one JSON array (or of the only array in one object); lines where the text is none."""
    document = _parsed(text)
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


def read_parquet(
    file: IO[bytes], reading: Reading, size: int, wanted: Sequence[str]
) -> tuple[list[str], Iterator[Row]]:
    """Columns and rows of a Parquet file, never more than a batch in memory; ``size`` is the file's in bytes.

    Raises ValueError when it is none, is damaged, or says that it unpacks to what no table of texts is.
    """
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(file)
    except Exception as error:  # pyarrow's error classes are many and its own
        raise UserError(f"{reading.name} is not a Parquet file, or is damaged: {_reason(error)}") from error
    head = table.metadata
    refuse_bomb(reading.name, sum(head.row_group(n).total_byte_size for n in range(head.num_row_groups)), size)
    if head.num_rows > MOST_ROWS and head.num_rows > ROWS_PER_BYTE * size:
        raise UserError(
            f"{reading.name} of {size:,} bytes says that it has {head.num_rows:,} rows: no table of texts has"
        )
    reading.kind = "Parquet"
    columns = name_columns(table.schema_arrow.names, reading, wanted)
    require_columns(columns, reading.name, wanted)
    return columns, _parquet_rows(table, columns, _class_names(table, columns, reading), reading)


def _class_names(table: Any, columns: Sequence[str], reading: Reading) -> dict[str, list[str]]:
    """Names of classes by column, where the library datasets wrote numbers and kept the names beside the table."""
    try:
        features = json.loads(table.schema_arrow.metadata[b"huggingface"])["info"]["features"]
        kinds = [features[name] for name in table.schema_arrow.names]
        found = {
            column: [str(name) for name in kind["names"]]
            for column, kind in zip(columns, kinds, strict=True)
            if isinstance(kind, dict) and kind.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, ValueError):  # no such note in the file, or one of another version
        return {}
    for column in found:
        reading.note(f"{reading.name}: the column {column!r} holds numbers, read as the names of classes beside them")
    return found


def _named(values: list[Any], names: Sequence[str], column: str, reading: Reading) -> list[str | None]:
    """Names for numbers of classes; None where there is no label, which is -1 there."""
    if wrong := sorted({value for value in values if value is not None and not -1 <= value < len(names)}):
        raise UserError(
            f"{reading.name}: {column!r} holds {wrong[0]}, but has names for 0 to {len(names) - 1}; write it again"
        )
    return [None if value is None or value < 0 else names[value] for value in values]


def _parquet_rows(table: Any, columns: Sequence[str], names: dict[str, list[str]], reading: Reading) -> Iterator[Row]:
    row = 0
    try:
        for batch in table.iter_batches(ROWS_AT_ONCE):
            held = [column.to_pylist() for column in batch.columns]
            for place, column in enumerate(columns):
                if column in names:
                    held[place] = _named(held[place], names[column], column, reading)
            for values in zip(*held, strict=True):
                row += 1
                reading.rows += 1
                yield row, dict(zip(columns, values, strict=True))
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{reading.name} is damaged after row {row}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def read_excel(
    file: IO[bytes], reading: Reading, how: Format, wanted: Sequence[str]
) -> tuple[list[str], Iterator[Row]]:
    """Columns and rows of the first sheet that holds something; values are text, as in CSV.

    Raises ValueError when the package openpyxl is not installed, or the file is no Excel file.
    """
    try:
        from openpyxl import load_workbook
    except ModuleNotFoundError as error:
        raise UserError(
            f"{reading.name} is an Excel file, which needs openpyxl: pip install openpyxl, or save it as CSV"
        ) from error
    try:
        book = load_workbook(file, read_only=True, data_only=True)
    except Exception as error:  # zip, XML and its own errors
        raise UserError(f"{reading.name} is not an Excel file (.xlsx), or is damaged: {_reason(error)}") from error
    full = [sheet for sheet in book.worksheets if any(map(_has_value, sheet.iter_rows(values_only=True)))]
    if not full:
        raise UserError(f"{reading.name} is empty; it must hold a header and at least one row")
    if len(full) > 1:
        reading.note(f"{reading.name} has {len(full)} sheets; only the first, {full[0].title!r}, is read")
    reading.kind = "Excel"
    rows: Iterator[tuple[int, Any]] = enumerate(full[0].iter_rows(values_only=True), 1)
    start, head = next((number, values) for number, values in rows if _has_value(values))
    header = _without_end(list(map(_cell, head)))
    if not how.header:
        header, rows = [str(number) for number in range(1, len(header) + 1)], itertools.chain([(start, head)], rows)
    columns = name_columns(header, reading, wanted)
    require_columns(columns, reading.name, wanted, may_lack_header=how.header)
    return columns, _sheet_rows(rows, columns, reading)


def _sheet_rows(rows: Iterable[tuple[int, Sequence[Any]]], columns: Sequence[str], reading: Reading) -> Iterator[Row]:
    beyond = RowNumbers()
    for row, values in rows:
        cells = list(map(_cell, values))
        if not any(cell.strip() for cell in cells):
            reading.blank += 1
            continue
        if any(cell.strip() for cell in cells[len(columns) :]):
            beyond.add(row)
        reading.rows += 1
        yield row, dict(itertools.zip_longest(columns, cells[: len(columns)], fillvalue=""))
    if beyond.count:
        reading.note(f"{reading.name} has values beyond its header's {len(columns)} columns in {beyond}: left out")


def _has_value(values: Iterable[Any]) -> bool:
    return any(value is not None and str(value).strip() for value in values)


def _without_end(cells: list[str]) -> list[str]:
    while cells and not cells[-1].strip():
        cells.pop()
    return cells


def _cell(value: Any) -> str:
    """A cell as CSV would have it."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else str(value)
