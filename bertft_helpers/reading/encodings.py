"""From bytes to lines of text: the encoding is found line by line, and which one it was can always be told."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator

from bertft_helpers.errors import UserError
from bertft_helpers.reading.report import Reading, RowNumbers

__all__ = ["LONGEST_LINE", "MARKS", "OF_SEVERAL_BYTES", "decode", "decoded_lines", "read_text"]

LONGEST_LINE = 2**28  # bytes; beyond it a file is no table of texts, and memory would be at its mercy
MARKS = {  # the longer ones first: UTF-32's mark begins as UTF-16's does
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8",
}
OF_SEVERAL_BYTES = re.compile(rb"[\xc3-\xdf][\x80-\xbf]|[\xe1-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


def decode(content: bytes) -> str:
    """UTF-8 text; a line that is not valid UTF-8 is read as Windows-1252, the usual other encoding of Western texts.

    Raises UnicodeDecodeError for a line that is neither. Written out in lesson 07.
    """
    lines = []
    for line in content.removeprefix(codecs.BOM_UTF8).splitlines(keepends=True):
        try:
            lines.append(line.decode("utf-8"))
        except UnicodeDecodeError:
            lines.append(line.decode("cp1252"))
    return "".join(lines)


def read_text(content: bytes, name: str, encoding: str | None = None) -> tuple[str, Reading]:
    """A whole text, and how it was read. Raises as ``decoded_lines`` does."""
    reading = Reading(name)
    return "".join(line for block in decoded_lines(iter([content]), reading, encoding) for line in block), reading


def decoded_lines(pieces: Iterator[bytes], reading: Reading, encoding: str | None = None) -> Iterator[list[str]]:
    """The complete lines of each piece, line ends kept; ``reading`` gets the encoding and its notes.

    A byte-order mark decides; else a named ``encoding``; else every line is UTF-8 or Windows-1252 for itself. Raises
    ValueError naming file and rows for bytes that are neither, that look like another script, or that hold NUL.
    """
    first = next(pieces, b"")
    while any(len(first) < len(mark) and mark.startswith(first) for mark in MARKS) and (more := next(pieces, b"")):
        first += more  # only the beginning of a mark is waited for: a person may be typing
    mark = next((mark for mark in MARKS if first.startswith(mark)), b"")
    found = MARKS.get(mark)
    if found and encoding and codecs.lookup(found) != codecs.lookup(_known(encoding)):
        reading.note(f"the byte-order mark says {found.upper()}, so {encoding} was not used")
    chosen = found or encoding
    if chosen and (found != "utf-8"):
        reading.encoding = _known(chosen).upper()
        yield from _strictly(_joined(first, pieces), reading, "utf-8-sig" if chosen == "utf-8" else chosen)
    else:
        yield from _line_by_line(_joined(first.removeprefix(mark), pieces), reading)


def _joined(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from pieces


def _known(encoding: str) -> str:
    try:
        "".encode(encoding)  # codecs.lookup knows also what is no encoding of texts, such as zip
    except LookupError as error:
        raise UserError(
            f"there is no encoding {encoding!r}; usual ones are utf-8, cp1252, utf-16, cp1251, shift_jis, gb18030"
        ) from error
    return encoding


def _strictly(pieces: Iterator[bytes], reading: Reading, encoding: str) -> Iterator[list[str]]:
    decoder, rest, row = codecs.getincrementaldecoder(encoding)("strict"), "", 1
    for piece in _with_end(pieces):
        try:
            rest += decoder.decode(piece, final=not piece)
        except UnicodeError as error:
            near = row + getattr(error, "object", b"")[: getattr(error, "start", 0)].count(b"\n")
            raise UserError(
                f"{reading.name} is not {reading.encoding} text near row {near}; name its encoding (--encoding), or "
                "save it as UTF-8"
            ) from error
        end = rest.rfind("\n") + 1 if piece else len(rest)
        lines = _split_lines(rest[:end])
        _refuse_nul(lines, row, reading)
        rest, row = rest[end:], row + len(lines)
        yield lines


def _line_by_line(pieces: Iterator[bytes], reading: Reading) -> Iterator[list[str]]:
    rest, row, others = [], 1, _Others(reading)
    for piece in _with_end(pieces):
        end = piece.rfind(b"\n") + 1 if piece else 0
        if piece and not end:
            rest.append(piece)
            if sum(map(len, rest)) > LONGEST_LINE:
                raise UserError(
                    f"{reading.name} has no line end in {LONGEST_LINE >> 20} MB after row {row}: is it text?"
                )
            continue
        body = b"".join([*rest, piece[:end]])
        rest = [piece[end:]] if piece else []
        try:
            lines = _split_lines(body.decode("utf-8"))
        except UnicodeDecodeError:
            lines = [others.read(line, row + n) for n, line in enumerate(body.splitlines(keepends=True))]
        _refuse_nul(lines, row, reading)
        row += len(lines)
        yield lines
    others.tell()


def _with_end(pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield from filter(None, pieces)
    yield b""


def _split_lines(text: str) -> list[str]:
    return io.StringIO(text, newline="").readlines()  # at \n, \r\n and \r only; str.splitlines knows nine more


class _Others:
    """Reads the lines that may be no UTF-8, and remembers which were not."""

    def __init__(self, reading: Reading) -> None:
        self.reading, self.rows, self.mixed = reading, RowNumbers(), RowNumbers()

    def read(self, line: bytes, row: int) -> str:
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError:
            self.rows.add(row)
        high = sum(byte > 127 for byte in line)
        if high >= 8 and high > 0.4 * len(b"".join(line.split())):
            raise UserError(
                f"{self.reading.name} is not UTF-8 in row {row}, and does not look like a Western text either; name "
                "its encoding (--encoding cp1251, shift_jis, gb18030, …), or save it as UTF-8"
            )
        if OF_SEVERAL_BYTES.search(line):
            self.mixed.add(row)
        try:
            return line.decode("cp1252")
        except UnicodeDecodeError as error:
            raise UserError(
                f"{self.reading.name} is neither UTF-8 nor Windows-1252 in row {row}; name its encoding (--encoding), "
                "or save it as UTF-8"
            ) from error

    def tell(self) -> None:
        self.reading.encoding = "UTF-8"
        if self.rows.count:
            self.reading.encoding = f"UTF-8 with Windows-1252 in {self.rows}"
            self.reading.note(
                f"{self.rows} of {self.reading.name} {'is' if self.rows.count == 1 else 'are'} not valid UTF-8, read "
                "as Windows-1252; name another encoding (--encoding) if these texts look wrong"
            )
        if self.mixed.count:
            self.reading.note(
                f"{self.mixed} of {self.reading.name} may hold both encodings in one row: look at these texts"
            )


def _refuse_nul(lines: list[str], row: int, reading: Reading) -> None:
    damaged = RowNumbers()
    for number, line in enumerate(lines, row):
        if "\0" in line:
            damaged.add(number)
    if damaged.count:
        raise UserError(
            f"{reading.name} holds NUL bytes in {damaged}; it was damaged, is no text, or is UTF-16 without its mark: "
            "export it again, or name the encoding (--encoding utf-16-le)"
        )
