"""What a reader of data is told about a file, and what it found there: nothing is guessed without being said."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from bertft_helpers.errors import UserError

__all__ = ["FOUND_OUT", "MEANT_FOR", "QUOTING", "Format", "Reading", "RowNumbers", "name_rows", "refuse_unused"]

QUOTING = ("auto", "csv", "none")
MEANT_FOR = {  # by field of Format: the option, and the files that have such a thing
    "encoding": ("--encoding", "files of text"),
    "delimiter": ("--delimiter", "CSV and TSV"),
    "quoting": ("--quoting", "CSV and TSV"),
    "header": ("--no-header", "CSV, TSV and Excel"),
}


@dataclasses.dataclass(frozen=True)
class Format:
    """What is known of a table file beforehand; None is found out, and said.

    ``encoding`` is a name that Python knows (``utf-8``, ``cp1252``, ``utf-16``, ``shift_jis``). ``quoting`` is ``auto``
    (as in CSV, and a field that seems to swallow whole rows is refused), ``csv`` (such fields are meant) or
    ``none`` (a quotation mark is a character like others). Without a ``header`` the columns are called 1, 2, 3.
    """

    encoding: str | None = None
    delimiter: str | None = None
    quoting: str = "auto"
    header: bool = True


FOUND_OUT = Format()  # nothing is known beforehand


def refuse_unused(how: Format, name: str, used: Sequence[str] = ()) -> None:
    """Raise ValueError for what was said of a source that has no such thing; ``used`` are the fields that count."""
    said = [field for field in MEANT_FOR if getattr(how, field) != getattr(FOUND_OUT, field) and field not in used]
    if said:
        meant = " and ".join("{} (for {})".format(*MEANT_FOR[field]) for field in said)
        raise UserError(f"{name} has no use for {meant}; leave it out, or check that this is the right file")


@dataclasses.dataclass
class Reading:
    """What was found while a source was read: its kind, the encoding, the rows; ``notes`` are worth a look.

    ``rows`` counts the rows that were read, ``blank`` those without any value, which are no rows.
    """

    name: str
    kind: str = ""
    encoding: str = ""
    rows: int = 0
    blank: int = 0
    notes: list[str] = dataclasses.field(default_factory=list)

    def note(self, sentence: str) -> None:
        """Keep a sentence once, however often the same thing is found."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def summary(self) -> str:
        """One line: what was read, how, and how many rows of it."""
        how = ", ".join(filter(None, [self.kind, self.encoding]))
        blank = f" and {self.blank:,} blank ones, which are left out" if self.blank else ""
        return f"{self.name}: {how or 'read'}; {self.rows:,} rows{blank}"


class RowNumbers:
    """Numbers of rows of one kind: the first few by number, the others counted, however many there are."""

    def __init__(self, shown: int = 5) -> None:
        self.first: list[int] = []
        self.count = 0
        self.shown = shown

    def add(self, row: int) -> None:
        """One more row."""
        self.count += 1
        if len(self.first) < self.shown:
            self.first.append(row)

    def __str__(self) -> str:
        return _named(self.first, self.count)


def name_rows(rows: Sequence[int]) -> str:
    """Row numbers for a message: ``rows 3, 8 and 11``, or the first five and ``and 20 more (25 in all)``."""
    return _named([*rows[:5]], len(rows))


def _named(first: Sequence[int], count: int) -> str:
    shown = [str(row) for row in first]
    if count > len(shown):
        return f"rows {', '.join(shown)} and {count - len(shown)} more ({count} in all)"
    return f"row {shown[0]}" if count == 1 else f"rows {', '.join(shown[:-1])} and {shown[-1]}"
