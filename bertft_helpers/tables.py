"""Read a table of texts from CSV, TSV, JSON lines or Parquet, with errors that name the rows."""

from __future__ import annotations

import codecs
import csv
import io
import json
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bertft_helpers.errors import MissingError, UserError

LONGEST_FIELD = 2**31 - 1  # characters; the csv module's own limit refuses long stories


def read_table(path: Path) -> pd.DataFrame:
    """All rows of a table file; CSV fields stay text, the index is the row's number in the file (the header is row 1).

    CSV and TSV are read as UTF-8 (a byte-order mark is allowed) or else as Windows-1252. Raises FileNotFoundError,
    IsADirectoryError, PermissionError, or ValueError naming the file, the rows and what to do.
    """
    path = Path(path)
    if path.suffix not in READERS:
        raise UserError(f"{path.name} has the ending {path.suffix!r}; allowed are {', '.join(READERS)}")
    if not path.exists():
        raise MissingError(f"no file {str(path)!r}; check the path")
    if path.is_dir():
        raise UserError(f"{path.name} is a folder; give the table file in it")
    try:
        content = path.read_bytes()
    except PermissionError as error:
        raise UserError(f"{path.name} may not be read; change its permissions (chmod u+r)") from error
    if not content.strip():
        raise UserError(f"{path.name} is empty; it must hold a header and at least one row")
    table = READERS[path.suffix](path.name, content)
    if table.empty:
        raise UserError(f"{path.name} has a header but no rows")
    return table


def take_columns(table: pd.DataFrame, name: str, columns: Sequence[str]) -> pd.DataFrame:
    """The wanted columns. Raises ValueError naming those that exist, and the delimiter when it looks wrong."""
    missing = [column for column in columns if column not in table.columns]
    if not missing:
        return table[list(columns)]
    present = [str(column) for column in table.columns]
    advice = ""
    if len(present) == 1 and (found := next((mark for mark in ";\t|" if mark in present[0]), None)):
        advice = f" The fields seem to be separated by {found!r}: save the file with commas, or as .tsv with tabs."
    raise UserError(f"{name} has no column {', '.join(map(repr, missing))}; it has {', '.join(present)}.{advice}")


def name_rows(rows: Sequence[int]) -> str:
    """Row numbers for a message: ``rows 3, 8 and 11``, or the first five and ``and 20 more (25 in all)``."""
    shown = [str(row) for row in rows[:5]]
    if len(rows) > 5:
        return f"rows {', '.join(shown)} and {len(rows) - 5} more ({len(rows)} in all)"
    return f"row {shown[0]}" if len(shown) == 1 else f"rows {', '.join(shown[:-1])} and {shown[-1]}"


def decode(content: bytes) -> str:
    """UTF-8 text, or Windows-1252 where the bytes are not valid UTF-8 (the usual other encoding of Western texts).

    Written out in lesson 07.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _read_delimited(name: str, content: bytes, delimiter: str) -> pd.DataFrame:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UserError(f"{name} is UTF-16 text; save it as UTF-8")
    if b"\0" in content:
        rows = [number for number, line in enumerate(content.split(b"\n"), 1) if b"\0" in line]
        raise UserError(f"{name} holds NUL bytes in {name_rows(rows)}; it is not text, or was damaged: export it again")
    limit = csv.field_size_limit(LONGEST_FIELD)
    try:
        reader = csv.reader(io.StringIO(decode(content), newline=""), delimiter=delimiter, strict=True)
        lines = [(reader.line_num, fields) for fields in reader if fields]
    except csv.Error as error:
        raise UserError(
            f"{name} cannot be read at row {reader.line_num}: {error}; check its quotation marks"
        ) from error
    finally:
        csv.field_size_limit(limit)
    if not lines:
        raise UserError(f"{name} is empty; it must hold a header and at least one row")
    (_, header), body = lines[0], lines[1:]
    _refuse_repeated(name, header)
    broken = [row for row, fields in body if len(fields) != len(header)]
    if broken:
        raise UserError(
            f"{name} has another number of fields than its header's {len(header)} in {name_rows(broken)}; "
            "put texts that hold the separator in quotation marks"
        )
    return pd.DataFrame([fields for _, fields in body], columns=header, index=[row for row, _ in body], dtype=object)


def _refuse_repeated(name: str, header: Sequence[str]) -> None:
    repeated = sorted({column for column in header if header.count(column) > 1})
    if repeated:
        raise UserError(f"{name} has several columns named {', '.join(map(repr, repeated))}; give each its own name")


def _read_json_lines(name: str, content: bytes) -> pd.DataFrame:
    records, broken = {}, []
    for row, line in enumerate(decode(content).split("\n"), 1):
        if line.strip():
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):  # a thousand open brackets are no record either
                record = None
            if isinstance(record, dict):
                records[row] = record
            else:
                broken.append(row)
    if broken:
        raise UserError(f"{name} has no JSON object in {name_rows(broken)}; each line must hold one, such as {{...}}")
    return pd.DataFrame(list(records.values()), index=list(records), dtype=object)


def _read_parquet(name: str, content: bytes) -> pd.DataFrame:
    try:
        table = pd.read_parquet(io.BytesIO(content))
    except Exception as error:  # pyarrow's error classes are many and its own
        raise UserError(f"{name} is not a Parquet file, or is damaged: {str(error).splitlines()[0]}") from error
    table.index = range(1, len(table) + 1)
    return table.astype(object)


def _delimited_by(delimiter: str) -> Callable[[str, bytes], pd.DataFrame]:
    return lambda name, content: _read_delimited(name, content, delimiter)


READERS: dict[str, Callable[[str, bytes], Any]] = {
    ".csv": _delimited_by(","),
    ".tsv": _delimited_by("\t"),
    ".jsonl": _read_json_lines,
    ".parquet": _read_parquet,
}


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
