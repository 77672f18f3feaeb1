"""Read a table of texts from CSV, TSV, JSON, Parquet or Excel, as a whole or row by row; errors name the rows."""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from bertft_helpers.errors import UserError
from bertft_helpers.reading.columns import require_columns
from bertft_helpers.reading.containers import is_hidden, opened, pieces, whole
from bertft_helpers.reading.delimited import read_delimited
from bertft_helpers.reading.encodings import decode, decoded_lines
from bertft_helpers.reading.excel import read_excel
from bertft_helpers.reading.parquet import read_parquet
from bertft_helpers.reading.records import read_json
from bertft_helpers.reading.report import FOUND_OUT, MEANT_FOR, Format, Reading, refuse_unused

__all__ = [
    "DELIMITED",
    "DIRECTION_MARKS",
    "ENDINGS",
    "JSON",
    "Table",
    "decode",
    "open_table",
    "parquet_files",
    "read_table",
    "take_columns",
    "visible",
]

DELIMITED = {".csv": ",", ".tsv": "\t", ".tab": "\t"}  # the ending and its usual delimiter
JSON = (".jsonl", ".ndjson", ".json")
ENDINGS = (*DELIMITED, *JSON, ".parquet", ".xlsx")


class Table(NamedTuple):
    """A table that is being read: its columns, its rows as (number in the file, values by column), what was found."""

    columns: list[str]
    rows: Iterator[tuple[int, dict[str, Any]]]
    reading: Reading


@contextlib.contextmanager
def open_table(path: Path, wanted: Sequence[str] = (), how: Format = FOUND_OUT) -> Iterator[Table]:
    """A table file, or a folder of Parquet files, row by row in flat memory; the header of a file is its row 1.

    The ``wanted`` columns must be there, and each only once; all others come along. What ``how`` leaves open is found
    out; ``reading`` tells it, completely when the last row was read. Raises FileNotFoundError, and ValueError naming
    file, rows, columns, what is allowed and what to do.
    """
    path = Path(path)
    if path.is_dir() and (files := parquet_files(path)):
        refuse_unused(how, path.name)
        with _all_of(path, files, wanted) as table:
            yield table
        return
    with opened(path, ENDINGS) as (ending, file):
        reading = Reading(path.name)
        refuse_unused(how, path.name, _known_of(ending))
        if ending == ".parquet":
            yield Table(*read_parquet(whole(file, path), reading, path.stat().st_size, wanted), reading)
        elif ending == ".xlsx":
            yield Table(*read_excel(whole(file, path), reading, how, wanted), reading)
        else:
            blocks = decoded_lines(pieces(file, path), reading, how.encoding)
            lines = (line for block in blocks for line in block)
            yield _of_lines(lines, ending, reading, how, wanted)


def _known_of(ending: str) -> Sequence[str]:
    """What can be known of such a file beforehand, as fields of ``Format``."""
    if ending in DELIMITED:
        return list(MEANT_FOR)
    return {".parquet": [], ".xlsx": ["header"]}.get(ending, ["encoding"])


def _of_lines(lines: Iterator[str], ending: str, reading: Reading, how: Format, wanted: Sequence[str]) -> Table:
    if ending in JSON:
        return Table(*read_json(lines, reading, wanted), reading)
    columns, rows = read_delimited(lines, reading, how, DELIMITED[ending], wanted)
    return Table(columns, ((row, dict(zip(columns, fields, strict=True))) for row, fields in rows), reading)


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files that lie in a folder, as other tools write a large table."""
    files = [file for file in folder.iterdir() if file.suffix.lower() == ".parquet" and file.is_file()]
    return sorted(file for file in files if not is_hidden(file.name))


@contextlib.contextmanager
def _all_of(folder: Path, files: Sequence[Path], wanted: Sequence[str]) -> Iterator[Table]:
    """The files of a folder as one table, with the columns of the first."""
    reading = Reading(folder.name, f"{len(files)} Parquet files")
    with open_table(files[0], wanted) as first:
        columns = first.columns

    def rows() -> Iterator[tuple[int, dict[str, Any]]]:
        for file in files:
            with open_table(file, wanted) as table:
                if table.columns != columns:
                    raise UserError(f"{file.name} has other columns than {files[0].name}; give one of the files")
                for _, values in table.rows:
                    reading.rows += 1
                    yield reading.rows, values

    yield Table(columns, rows(), reading)


def read_table(path: Path, wanted: Sequence[str] = (), how: Format = FOUND_OUT) -> tuple[pd.DataFrame, Reading]:
    """All rows of a table, and how it was read; fields of CSV stay text, the index is the row's number in the file.

    Rows in which every field is blank are counted and left out. Raises what ``open_table`` raises, and ValueError for a
    table without rows.
    """
    with open_table(path, wanted, how) as table:
        rows = [(row, values) for row, values in table.rows if not _is_blank(values) or _leave_out(table.reading)]
    if not rows:
        raise UserError(f"{Path(path).name} has a header but no rows")
    frame = pd.DataFrame([values for _, values in rows], index=[row for row, _ in rows], dtype=object)
    return frame, table.reading


def _is_blank(values: dict[str, Any]) -> bool:
    return all(isinstance(value, str) and not value.strip() for value in values.values())


def _leave_out(reading: Reading) -> bool:
    reading.rows, reading.blank = reading.rows - 1, reading.blank + 1
    return False


def take_columns(table: pd.DataFrame, name: str, columns: Sequence[str]) -> pd.DataFrame:
    """The wanted columns. Raises ValueError naming those that exist."""
    require_columns([str(column) for column in table.columns], name, columns)
    return table[list(columns)]


# Marks that change the direction of what follows, so that a text can look like another one (CVE-2021-42574).
DIRECTION_MARKS = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}


def visible(text: str, longest: int | None = 300) -> str:
    """One line of text in which control characters and direction marks are written out, as ``<U+001B>``.

    White space is folded; a text beyond ``longest`` characters is cut and its length told; ``None`` cuts nothing.
    """
    head = text if longest is None else text[: 4 * longest]  # a line of a megabyte is not worth looking through
    shown = "".join(_written(character) for character in " ".join(head.split()))
    if longest is None or (len(shown) <= longest and len(head) == len(text)):
        return shown
    return f"{shown[:longest].rstrip()} … ({len(text):,} characters)"


def _written(character: str) -> str:
    code = ord(character)
    hidden = unicodedata.category(character) in ("Cc", "Cs") or code in DIRECTION_MARKS
    return f"<U+{code:04X}>" if hidden else character
