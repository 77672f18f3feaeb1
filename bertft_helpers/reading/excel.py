"""Rows of a sheet of an Excel file, cell by cell as CSV would have them."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any

from bertft_helpers.errors import UserError, first_line
from bertft_helpers.reading.columns import name_columns, repair_name, require_columns
from bertft_helpers.reading.labels import name_date
from bertft_helpers.reading.records import Row
from bertft_helpers.reading.report import Format, Reading, RowNumbers

__all__ = ["TITLES", "read_excel"]

TITLES = 20  # rows at most in which a header is looked for, below titles and remarks


def read_excel(
    file: IO[bytes], reading: Reading, how: Format, wanted: Sequence[str]
) -> tuple[list[str], Iterator[Row]]:
    """Columns and rows of the first sheet with a header that has the ``wanted`` columns; values are text, as in CSV.

    A header may stand below a title. Where none is found the first row that holds something is the header. Raises
    ValueError when the package openpyxl is not installed, or the file is no Excel file.
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
        raise UserError(f"{reading.name} is not an Excel file (.xlsx), or is damaged: {first_line(error)}") from error
    full = [sheet for sheet in book.worksheets if any(map(_has_value, sheet.iter_rows(values_only=True)))]
    if not full:
        raise UserError(f"{reading.name} is empty; it must hold a header and at least one row")
    places = (_place_of_header(sheet, wanted) for sheet in full) if how.header else iter(())
    sheet, place = next(filter(None, places), (full[0], None))
    if len(full) > 1:
        reading.note(f"{reading.name} has {len(full)} sheets; only {sheet.title!r} is read")
    if place is not None and place > 1:
        reading.note(f"{reading.name}: the header is in row {place}; what stands above it is left out")
    reading.kind = "Excel"
    rows: Iterator[tuple[int, Any]] = enumerate(sheet.iter_rows(values_only=True), 1)
    rows = itertools.dropwhile(lambda row: row[0] < place if place else not _has_value(row[1]), rows)
    start, head = next(rows)
    header = _without_end(list(map(_cell, head)))
    if not how.header:
        header, rows = [str(number) for number in range(1, len(header) + 1)], itertools.chain([(start, head)], rows)
    columns = name_columns(header, reading, wanted)
    require_columns(columns, reading.name, wanted, may_lack_header=how.header)
    return columns, _sheet_rows(rows, columns, reading)


def _place_of_header(sheet: Any, wanted: Sequence[str]) -> tuple[Any, int] | None:
    """The sheet and the number of its row that has all ``wanted`` names; None where there is no such row."""
    first = enumerate(itertools.islice(sheet.iter_rows(values_only=True), TITLES), 1)
    found = (row for row, values in first if wanted and {*wanted} <= {repair_name(_cell(value)) for value in values})
    row = next(found, None)
    return None if row is None else (sheet, row)


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
    if isinstance(value, datetime.date):
        return name_date(value)
    return value.isoformat() if isinstance(value, datetime.time) else str(value)
