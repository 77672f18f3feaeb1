"""Texts to label, block by block, from tables, lines, folders and standard input, read as training reads them."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

from bertft_helpers.errors import UserError
from bertft_helpers.reading.containers import opened, pieces
from bertft_helpers.reading.encodings import decoded_lines, read_text
from bertft_helpers.reading.folders import name_encodings, texts_below
from bertft_helpers.reading.report import FOUND_OUT, Format, Reading, refuse_unused
from bertft_helpers.tables import ENDINGS, open_table, parquet_files

__all__ = ["BLOCK", "FILE", "STANDARD_INPUT", "Block", "Input", "open_input"]

STANDARD_INPUT = "-"
BLOCK = 512  # rows predicted together: enough to sort by length, few enough to hold
FILE = "file"  # the column for the names of files in a folder
Block = list[tuple[int, dict[str, Any]]]


class Input(NamedTuple):
    """The columns, the rows in blocks of (number in the source, values by column), and how they were read."""

    columns: list[str]
    blocks: Iterator[Block]
    reading: Reading


@contextlib.contextmanager
def open_input(source: str, text_column: str, how: Format = FOUND_OUT) -> Iterator[Input]:
    """The rows of a table, the lines of a ``.txt`` file or of standard input (``-``), the ``.txt`` files of a folder.

    A folder of Parquet files is a table. From standard input what has been written is a block, so that a writer who
    pauses gets answers. Raises FileNotFoundError, and ValueError naming source, rows or columns.
    """
    path = Path(source)
    if source == STANDARD_INPUT:
        written = iter(lambda: cast(io.BufferedReader, sys.stdin.buffer).read1(1 << 16), b"")
        yield _lines("standard input", written, text_column, how)
    elif path.is_dir() and not parquet_files(path):
        yield _folder(path, text_column, how)
    elif Path(path.stem if path.suffix.lower() in (".gz", ".bz2", ".xz") else path.name).suffix.lower() == ".txt":
        with opened(path, (*ENDINGS, ".txt")) as (_, file):
            yield _lines(path.name, pieces(file, path), text_column, how)
    else:
        with open_table(path, [text_column], how) as table:
            yield Input(table.columns, _blocks(table.rows), table.reading)


def _blocks(rows: Iterable[tuple[int, dict[str, Any]]]) -> Iterator[Block]:
    rows = iter(rows)
    while block := list(itertools.islice(rows, BLOCK)):
        yield block


def _lines(name: str, written: Iterator[bytes], text_column: str, how: Format) -> Input:
    refuse_unused(how, name, ["encoding"])
    reading = Reading(name, "one text a line")

    def blocks() -> Iterator[Block]:
        for lines in decoded_lines(written, reading, how.encoding):
            if lines and not reading.rows and _is_header(lines[0], text_column):
                reading.note(
                    f"{name} is read as one text a line, but its first line looks like the header of a table: to have "
                    "it read as one give it the ending .csv or .tsv"
                )
            first = reading.rows + 1
            reading.rows += len(lines)
            yield from _blocks((first + n, {text_column: line.rstrip("\r\n")}) for n, line in enumerate(lines))

    return Input([text_column], blocks(), reading)


def _is_header(line: str, text_column: str) -> bool:
    fields = [field.strip(" \"'\r\n") for field in re.split(r"[\t,;|]", line)]
    return len(fields) > 1 and text_column in fields


def _folder(folder: Path, text_column: str, how: Format) -> Input:
    if text_column == FILE:
        raise UserError(f"the column {FILE!r} gets the names of the files; name another with --text")
    refuse_unused(how, folder.name, ["encoding"])
    reading, encodings = Reading(folder.name, "one text a file"), Counter[str]()

    def rows() -> Iterator[tuple[int, dict[str, Any]]]:
        for file in texts_below(folder):
            text, own = read_text(file.read_bytes(), str(file.relative_to(folder)), how.encoding)
            reading.rows += 1
            encodings[own.encoding] += 1
            for note in own.notes:
                reading.note(note)
            yield reading.rows, {FILE: file.relative_to(folder).as_posix(), text_column: text}
        reading.encoding = name_encodings(encodings)

    blocks = _blocks(rows())
    first = next(blocks, None)
    if first is None:
        raise UserError(f"{folder} has no .txt or .parquet files; give a file, or the folder that holds them")
    return Input([FILE, text_column], itertools.chain([first], blocks), reading)
