"""The bytes of a file in pieces, out of gzip, bzip2, xz or a zip archive where it is in one."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any

from bertft_helpers.errors import UserError
from bertft_helpers.reading.places import require_path

__all__ = [
    "COMPRESSED",
    "DAMAGE",
    "MOST_TIMES",
    "MOST_UNPACKED",
    "PIECE",
    "SYSTEM_FILES",
    "is_hidden",
    "opened",
    "pieces",
    "refuse_bomb",
    "whole",
]

PIECE = 1 << 16  # bytes: more at once is no quicker, and is held as text too
COMPRESSED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError, NotImplementedError)
# Beyond both, a file was made to fill a memory: real texts are packed to a third or a tenth.
MOST_UNPACKED, MOST_TIMES = 2**30, 200
SYSTEM_FILES = {"thumbs.db", "desktop.ini", "__macosx", "lost+found", "__pycache__", "$recycle.bin"}


def is_hidden(name: str) -> bool:
    """Whether a file or folder is one of a system or an editor, such as .DS_Store, Thumbs.db or __MACOSX."""
    return name.startswith((".", "~$")) or name.lower() in SYSTEM_FILES


@contextlib.contextmanager
def opened(path: Path, endings: Sequence[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """The ending of the table in a file, lower case, and its bytes as a file, unpacked.

    Raises FileNotFoundError, and ValueError for a folder, a pipe or device, a file that may not be read, another
    ending, or an archive without exactly one table.
    """
    _require_file(path)
    with contextlib.ExitStack() as stack:
        try:
            file: IO[bytes] = stack.enter_context(path.open("rb"))
        except PermissionError as error:
            raise UserError(f"{path.name} may not be read; change its permissions (chmod u+r)") from error
        outer = path.suffix.lower()
        ending = Path(path.stem).suffix.lower() if outer in COMPRESSED else outer
        with _damage_named(path.name):
            if outer in COMPRESSED:
                file = stack.enter_context(COMPRESSED[outer](file))
            elif outer == ".zip":
                ending, file = _only_member(stack.enter_context(zipfile.ZipFile(file)), path, endings)
                stack.enter_context(file)
        if ending not in endings:
            raise UserError(
                f"{path.name} has the ending {ending or path.suffix!r}; allowed are {', '.join(endings)}, these in "
                f"{', '.join(COMPRESSED)} and one of them in a .zip. Save it as one of these, a spreadsheet as .xlsx "
                "or CSV; a table that is text already needs only another name, such as texts.csv"
            )
        yield ending, file


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise UserError(f"{path.name} is a folder; give the table file in it")
    require_path(path)
    if not path.is_file():
        raise UserError(f"{path.name} is a pipe or a device; give a file")


def _only_member(archive: zipfile.ZipFile, path: Path, endings: Sequence[str]) -> tuple[str, IO[bytes]]:
    members = [one for one in archive.infolist() if not one.is_dir()]
    members = [one for one in members if not any(map(is_hidden, PurePosixPath(one.filename).parts))]
    tables = [one for one in members if PurePosixPath(one.filename).suffix.lower() in endings]
    if len(tables) != 1:
        found = ", ".join(one.filename for one in members[:8]) or "nothing"
        raise UserError(f"{path.name} must hold exactly one table, it holds {found}; unpack it and give one file")
    refuse_bomb(path.name, tables[0].file_size, path.stat().st_size)
    return PurePosixPath(tables[0].filename).suffix.lower(), archive.open(tables[0])


def pieces(file: IO[bytes], path: Path) -> Iterator[bytes]:
    """The bytes of an opened file. Raises ValueError when it is damaged, or unpacks to what no file of texts does."""
    size, total = path.stat().st_size, 0
    with _damage_named(path.name):
        while piece := file.read(PIECE):
            total += len(piece)
            refuse_bomb(path.name, total, size)
            yield piece


def whole(file: IO[bytes], path: Path) -> IO[bytes]:
    """A file that can be read in any order: the file itself, or its unpacked bytes."""
    return file if isinstance(file, io.BufferedReader) else io.BytesIO(b"".join(pieces(file, path)))


def refuse_bomb(name: str, unpacked: int, packed: int) -> None:
    """Raise ValueError for a packed file that says, or shows, that it unpacks to many times its size."""
    if unpacked > MOST_UNPACKED and unpacked > MOST_TIMES * packed:
        raise UserError(
            f"{name} of {packed:,} bytes unpacks to {unpacked:,} bytes or more, which no file of texts does; unpack it "
            "yourself if you trust it"
        )


@contextlib.contextmanager
def _damage_named(name: str) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except DAMAGE as error:
        raise UserError(f"{name} is damaged, cut off or locked by a password: {error}") from error
