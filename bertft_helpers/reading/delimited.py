"""Rows of CSV and its kin, one by one: the delimiter is found, and a quotation mark that swallows rows is caught."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from bertft_helpers.errors import UserError
from bertft_helpers.reading.columns import name_columns, repair_name, require_columns
from bertft_helpers.reading.report import QUOTING, Format, Reading, RowNumbers

__all__ = ["DELIMITERS", "IN_A_NUMBER", "LONGEST_FIELD", "SPELLED", "Fields", "Record", "read_delimited"]

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
SPELLED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
LONGEST_FIELD = 2**31 - 1  # characters; the csv module's own limit refuses long stories
IN_A_NUMBER = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
Fields = tuple[int, list[str]]


class Record(NamedTuple):
    """One row: the number of its first line, its fields, and the lines that it takes in the file."""

    row: int
    fields: list[str]
    lines: list[str]


class _Style(NamedTuple):
    """How fields are parted and quoted, and whether white space follows the delimiter in this table's header."""

    delimiter: str
    quoting: str
    spaced: bool


def read_delimited(
    lines: Iterator[str], reading: Reading, how: Format, usual: str, wanted: Sequence[str] = ()
) -> tuple[list[str], Iterator[Fields]]:
    """The columns' names, and the rows as (number of the first line in the file, fields).

    Raises ValueError naming rows: at once for what is wrong with the header, and during the iteration, for all rows of
    a kind together, when a quotation mark is open or swallows rows, or a row has another number of fields.
    """
    csv.field_size_limit(LONGEST_FIELD)
    first, numbered, said = _first_line(lines, reading)
    delimiter = _named_delimiter(how) or said or _find_delimiter(first, usual, wanted, how)
    reading.kind = f"fields parted by {DELIMITERS.get(delimiter, repr(delimiter))}"
    records = _records(itertools.chain([first], lines), numbered, reading, delimiter, how.quoting)
    head = next(records, None)
    if head is None:
        raise UserError(f"{reading.name} is empty; it must hold a header and at least one row")
    header = head.fields
    if not how.header:
        header, records = [str(number) for number in range(1, len(head.fields) + 1)], itertools.chain([head], records)
    columns = name_columns(header, reading, wanted)
    require_columns(columns, reading.name, wanted, may_lack_header=how.header)
    spaced = any(name[:1].isspace() for name in head.fields[1:])
    return columns, _checked(records, reading, len(columns), _Style(delimiter, how.quoting, spaced))


def _first_line(lines: Iterator[str], reading: Reading) -> tuple[str, int, str | None]:
    """The first line that holds something, its number, and the delimiter that Excel's ``sep=;`` names before it."""
    named = None
    for number, line in enumerate(lines, 1):
        if found := re.fullmatch(r"\ufeff?\"?sep=(.)\"?[;,\t]*\r?\n?", line, re.IGNORECASE):
            named = found[1]
            reading.note(f"{reading.name} names its delimiter itself: {named!r}")
        elif line.strip().strip("\ufeff"):
            return line, number, named
    raise UserError(f"{reading.name} is empty; it must hold a header and at least one row")


def _named_delimiter(how: Format) -> str | None:
    if how.quoting not in QUOTING:
        raise UserError(f"there is no quoting {how.quoting!r}; choose one of {', '.join(QUOTING)}")
    delimiter = SPELLED.get(how.delimiter or "", how.delimiter)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise UserError(f"the delimiter {how.delimiter!r} must be one character, such as ';', '|' or tab")
    return delimiter


def _find_delimiter(line: str, usual: str, wanted: Sequence[str], how: Format) -> str:
    """The one by which the first line holds the wanted columns; else the usual one, or that of most fields."""
    fields = {mark: _split(line, mark, how.quoting) for mark in dict.fromkeys([usual, *DELIMITERS])}
    if how.header and wanted:
        for mark, names in fields.items():
            if set(wanted) <= {repair_name(name) for name in names}:
                return mark
    return usual if len(fields[usual]) > 1 else max(fields, key=lambda mark: len(fields[mark]))


def _split(line: str, delimiter: str, quoting: str) -> list[str]:
    """The fields of a line read for itself."""
    if quoting == "none":
        return line.rstrip("\r\n").split(delimiter)
    return next(csv.reader([line], delimiter=delimiter), [])


class _Taken:
    """Lines as they are taken, kept until the record is complete."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.kept: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.kept.append(line := next(self._lines))
        return line


def _records(lines: Iterable[str], row: int, reading: Reading, delimiter: str, quoting: str) -> Iterator[Record]:
    """Every row that is not an empty line; those are counted."""
    taken = _Taken(lines)
    style = {"quoting": csv.QUOTE_NONE} if quoting == "none" else {"strict": True}
    reader = csv.reader(taken, delimiter=delimiter, **style)
    try:
        for fields in reader:
            own, taken.kept = taken.kept, []
            if fields and (len(fields) > 1 or fields[0].strip()):
                yield Record(row, fields, own)
            else:
                reading.blank += 1
            row += len(own)
    except csv.Error as error:
        raise UserError(
            f"{reading.name} cannot be read at row {row}: {error}; check its quotation marks, or give --quoting none "
            "if they are characters like others"
        ) from error


def _checked(records: Iterator[Record], reading: Reading, width: int, style: _Style) -> Iterator[Fields]:
    """The rows while all is well; after the first bad one the rest is only looked through, for one complete message."""
    wrong, swallowed, longer, tall = RowNumbers(), [], RowNumbers(), RowNumbers()
    for record in records:
        fields = record.fields
        if len(fields) > width and not any(field.strip() for field in fields[width:]):
            fields = fields[:width]
            longer.add(record.row)
        if len(record.lines) > 1:
            tall.add(record.row)
            if style.quoting == "auto" and _swallows(record.lines, width, style):
                swallowed.append(record)
        if len(fields) != width:
            wrong.add(record.row)
        elif not (wrong.count or swallowed):
            reading.rows += 1
            yield record.row, fields
    _refuse_swallowed(swallowed, reading)
    _refuse_wrong(wrong, reading, width)
    if longer.count:
        reading.note(f"{reading.name} has empty fields beyond its header's {width} in {longer}; they are left out")
    if tall.count:
        reading.kind += f", {tall.count:,} over several lines"
        if width == 1 and style.quoting == "auto":  # where there is one column, no line can look like a row
            reading.note(
                f"{reading.name}: texts of several lines in {tall}; if quotation marks are characters like others, "
                "give --quoting none"
            )


def _swallows(lines: Sequence[str], width: int, style: _Style) -> bool:
    """Whether each line of one row looks like a row of the same table: then a quotation mark was none.

    In running text a comma is followed by a space or stands in a number, which a table's delimiter does not.
    """
    if width < 2:
        return False
    bare = [IN_A_NUMBER.sub("", line).rstrip("\r\n").split(style.delimiter) for line in lines if line.strip()]
    if any(len(fields) != width for fields in bare):
        return False
    return style.spaced or not any(field[:1].isspace() for fields in bare for field in fields[1:])


def _refuse_swallowed(swallowed: Sequence[Record], reading: Reading) -> None:
    if not swallowed:
        return
    shown = [f"row {one.row} (lines {one.row} to {one.row + len(one.lines) - 1})" for one in swallowed[:5]]
    more = f" and {len(swallowed) - 5} more" if len(swallowed) > 5 else ""
    raise UserError(
        f"{reading.name}: a quotation mark seems to swallow whole rows in {', '.join(shown)}{more}. Give --quoting "
        "none if quotation marks are characters like others, --quoting csv if these fields are meant to hold such "
        "lines, or repair the rows"
    )


def _refuse_wrong(wrong: RowNumbers, reading: Reading, width: int) -> None:
    if wrong.count:
        raise UserError(
            f"{reading.name} has another number of fields than its header's {width} in {wrong}; put texts that hold "
            "the separator in quotation marks, or name another with --delimiter"
        )
