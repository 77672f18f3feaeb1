"""Label a file of any size: rows are read, predicted and written in blocks, so memory stays flat."""

from __future__ import annotations

import codecs
import contextlib
import csv
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import pandas as pd

from bertft_helpers.data import repair
from bertft_helpers.errors import MissingError, UserError
from bertft_helpers.files import new_file, sweep
from bertft_helpers.inference import TextClassifier
from bertft_helpers.tables import LONGEST_FIELD, take_columns

Row = dict[str, Any]
STANDARD_INPUT = "-"
READ = (".csv", ".tsv", ".jsonl", ".txt")
WRITTEN = (".csv", ".tsv", ".jsonl")
ADDED = ("predicted_label", "predicted_probability")
BLOCK = 512  # rows predicted together: enough to sort by length, few enough to hold


class Labelled(NamedTuple):
    """How many rows were written, and how many of them have no text and so no label."""

    rows: int
    without_text: int


def label_file(
    classifier: TextClassifier,
    source: str,
    out: Path | None,
    text_column: str = "text",
    on_rows: Callable[[int], None] = lambda rows: None,
) -> Labelled:
    """Copy the rows of ``source`` to ``out`` with the columns of ``ADDED``; a row without text gets none of them.

    ``source`` is a ``.csv``, ``.tsv``, ``.jsonl`` or ``.txt`` file (one text per line), or ``-`` for such lines from
    standard input; ``out`` a ``.csv``, ``.tsv`` or ``.jsonl`` file, or None for JSON lines on standard output. The file
    is complete or not there. Raises FileNotFoundError, and ValueError naming file, row or column.
    """
    _check_endings(source, out)
    done = without = 0
    with contextlib.ExitStack() as stack:
        rows = read_rows(source, text_column)
        first = list(itertools.islice(rows, 1))  # what is wrong with the head shows before anything is written
        write = stack.enter_context(_writer(out))
        rows = itertools.chain(first, rows)
        while block := list(itertools.islice(rows, BLOCK)):
            without += _label(classifier, block, text_column)
            write(block)
            done += len(block)
            on_rows(done)
    return Labelled(done, without)


def _check_endings(source: str, out: Path | None) -> None:
    if source != STANDARD_INPUT and Path(source).suffix not in READ:
        raise UserError(f"{source} has the ending {Path(source).suffix!r}; allowed are {', '.join(READ)}, or -")
    if out is not None and out.suffix not in WRITTEN:
        raise UserError(f"--out {out} has the ending {out.suffix!r}; allowed are {', '.join(WRITTEN)}")


def _label(classifier: TextClassifier, block: list[Row], text_column: str) -> int:
    """Add the predictions to the rows; returns how many had no text."""
    texts = [repair(row[text_column] or "") for row in block]
    filled = [number for number, text in enumerate(texts) if text]
    predictions = dict(zip(filled, classifier.predict([texts[number] for number in filled]), strict=True))
    for number, row in enumerate(block):
        found = predictions.get(number)
        answer = (found.label, round(found.probability, 6)) if found else (None, None)
        row.update(zip(ADDED, answer, strict=True))
    return len(block) - len(filled)


def read_rows(source: str, text_column: str) -> Iterator[Row]:
    """The rows of a file one by one, each with its text. Raises as ``label_file`` does."""
    if source == STANDARD_INPUT:
        yield from ({text_column: line.rstrip("\n")} for line in sys.stdin)
        return
    path = Path(source)
    if not path.is_file():
        raise MissingError(f"no file {source!r}; check the path")
    with open(path, encoding=_encoding(path), errors="replace", newline="") as file:
        if path.suffix == ".txt":
            yield from ({text_column: line.rstrip("\r\n")} for line in file)
        elif path.suffix == ".jsonl":
            yield from _json_rows(path.name, file, text_column)
        else:
            yield from _delimited_rows(path.name, file, "," if path.suffix == ".csv" else "\t", text_column)


def _encoding(path: Path) -> str:
    """UTF-8 where the whole file is valid, else Windows-1252, as ``tables.decode`` does; read in pieces."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open(path, "rb") as file:
        try:
            while piece := file.read(1 << 16):
                decoder.decode(piece)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8-sig"


def _json_rows(name: str, lines: Iterable[str], text_column: str) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"{name} has no JSON object in row {number}; each line must hold one") from error
        if not isinstance(row, dict) or not isinstance(row.get(text_column, ""), str | None):
            raise UserError(f"{name}, row {number}: {text_column!r} must be text in a JSON object, got {line[:60]!r}")
        if text_column not in row:
            raise UserError(f"{name}, row {number} has no {text_column!r}; it has {', '.join(map(str, row))}")
        yield row


def _delimited_rows(name: str, file: IO[str], delimiter: str, text_column: str) -> Iterator[Row]:
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader((line.replace("\0", "�") for line in file), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        take_columns(pd.DataFrame(columns=header), name, [text_column])
        for fields in reader:
            if fields and len(fields) != len(header):
                raise UserError(
                    f"{name}, row {reader.line_num} has {len(fields)} fields, the header {len(header)}; put texts that "
                    "hold the separator in quotation marks"
                )
            if fields:
                yield dict(zip(header, fields, strict=True))
    except csv.Error as error:
        raise UserError(
            f"{name} cannot be read at row {reader.line_num}: {error}; check its quotation marks"
        ) from error


@contextlib.contextmanager
def _writer(out: Path | None) -> Iterator[Callable[[list[Row]], None]]:
    """A function that writes a block of rows; the file gets its name when all is written."""
    if out is None:
        yield lambda rows: _write_json(sys.stdout, rows)
        return
    sweep(out.parent)
    with new_file(out) as draft, open(draft, "w", encoding="utf-8", newline="") as file:
        yield _block_writer(file, out.suffix)


def _block_writer(file: IO[str], ending: str) -> Callable[[list[Row]], None]:
    if ending == ".jsonl":
        return lambda rows: _write_json(file, rows)
    writers: list[csv.DictWriter] = []

    def write(rows: list[Row]) -> None:
        if not writers:
            writers.append(csv.DictWriter(file, list(rows[0]), delimiter="," if ending == ".csv" else "\t"))
            writers[0].writeheader()
        try:
            writers[0].writerows(rows)
        except ValueError as error:
            raise UserError("a row has fields that the first row has not; write to a .jsonl file instead") from error

    return write


def _write_json(file: IO[str], rows: list[Row]) -> None:
    file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    file.flush()
