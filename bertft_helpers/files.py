"""Files that are written as a whole or not at all, locks beside what they guard, and what killed runs left behind.

A draft lies beside its target, so that renaming it is atomic, and has its process in its name: the next call can tell
what nobody will finish from what somebody is writing just now, and from a user's own files.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import json
import os
import re
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bertft_helpers.errors import RunError

__all__ = [
    "A_DAY",
    "DRAFT",
    "LONGEST_NAME",
    "TOKEN",
    "flush",
    "held",
    "new_file",
    "new_folder",
    "read_json",
    "remove_folder",
    "scratch_folder",
    "sweep",
    "write_bytes",
    "write_json",
    "write_text",
]

DRAFT = re.compile(r"(?:\..+\.|bertft-[a-z]+-)([0-9a-f]{8})-(\d+)-([0-9a-f]{8})-\d+(?:\.draft)?")
LONGEST_NAME = 50  # characters of a target's name in its draft's: a file system allows 255 bytes in all
A_DAY = 24 * 3600  # seconds after which a draft of another machine is nobody's
TOKEN = secrets.token_hex(4)  # tells this process from an earlier one of the same number
_numbers = itertools.count()


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """The path of a draft to write; the file gets its name, in place of an older one, when the block ends well.

    A link stays a link: the file that it points to is replaced. Raises OSError naming ``path`` (a full disk, a folder
    that is gone) also where a library raises another class for that; nothing partial stays.
    """
    final = Path(os.path.realpath(path)) if path.is_symlink() else path
    draft = _draft_of(final)
    with _told_by_name(path, draft):
        try:
            yield draft
            flush(draft)
            if final.exists():
                shutil.copymode(final, draft)
            draft.replace(final)
            flush(final.parent)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """An empty draft folder to fill; it gets its name when the block ends well. Raises as ``new_file`` does.

    Also raises FileExistsError or OSError when ``path`` holds something by then: nothing there is removed.
    """
    draft = _draft_of(path)
    with _told_by_name(path, draft):
        try:
            draft.mkdir()
            yield draft
            for written in [*draft.rglob("*"), draft]:
                flush(written)
            with contextlib.suppress(FileNotFoundError):
                path.rmdir()  # an empty one, which Windows would not replace
            draft.rename(path)
            flush(path.parent)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file as a whole or not at all. Raises as ``new_file`` does."""
    with new_file(path) as draft:
        draft.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file as a whole or not at all. Raises as ``new_file`` does."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: object) -> None:
    """Write a JSON file as a whole or not at all. Raises as ``new_file`` does."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """The JSON object in a file that this package wrote. Raises RunError naming the file and ``remedy``."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged ({error}); {remedy}") from error
    if not isinstance(value, dict) or not value:
        raise RunError(f"{path} is damaged (no JSON object with something in it); {remedy}")
    return value


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it; renamed first, so that a kill leaves no half folder under its name."""
    draft = _draft_of(folder)
    with contextlib.suppress(FileNotFoundError):
        folder.rename(draft)
        shutil.rmtree(draft)


def flush(path: Path) -> None:
    """Make the system write a file, or a folder's list of names, to the disk, as far as it can be asked to."""
    if path.is_dir():
        with contextlib.suppress(PermissionError, NotImplementedError):  # Windows opens no folder
            _flush(path, os.O_RDONLY)
    else:
        _flush(path, os.O_RDWR)  # Windows refuses to flush what was opened for reading


def _flush(path: Path, mode: int) -> None:
    handle = os.open(path, mode)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):  # some file systems cannot flush folders
            raise
    finally:
        os.close(handle)


@contextlib.contextmanager
def held(path: Path, on_note: Callable[[str], None] = lambda line: None) -> Iterator[None]:
    """Hold a file or a folder for this process; another one is refused and told who holds it.

    The lock is ``.NAME.lock`` beside a file and ``.lock`` in a folder (whose parent need not be writable). The system
    frees it when its process ends, also by ``kill -9``; ``on_note`` is told of such an end. Raises RunError.
    """
    place = path / ".lock" if path.is_dir() else path.with_name(f".{path.name}.lock")
    lock = FileLock(place)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise RunError(
            f"another process writes to {path}: {_owner_in(place) or 'an unknown one'}; wait for it or stop it"
        ) from error
    try:
        if earlier := _owner_in(place):
            on_note(f"the last run here ({earlier}) ended without finishing; its lock is free")
        with contextlib.suppress(OSError):  # a full disk; and Windows lets nobody write to what is locked
            place.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        yield
    finally:
        removed = _removed(place)  # before it is free, or another process could hold what is removed here
        lock.release()
        if not removed:  # Windows removes nothing that is open, and so nothing that another process holds by now
            _removed(place)


def _removed(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def _owner_in(place: Path) -> str:
    with contextlib.suppress(OSError):
        if found := re.fullmatch(r"process \d+ on [\w.-]+", place.read_text(encoding="utf-8", errors="replace")):
            return found.group()
    return ""


@contextlib.contextmanager
def scratch_folder(kind: str) -> Iterator[Path]:
    """A temporary folder ``bertft-KIND-…``; those of killed processes are removed first."""
    top = Path(tempfile.gettempdir())
    sweep(top)
    folder = top / f"bertft-{kind}-{_owner()}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove the drafts in ``folder`` that nobody will finish; what cannot be removed stays for another time."""
    for path in folder.glob("*") if folder.is_dir() else ():
        if _is_abandoned(path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink()


def _is_abandoned(path: Path) -> bool:
    """Whether a path is a draft and its process has ended; of another machine's only the age can be known."""
    found = DRAFT.fullmatch(path.name)
    if found is None:
        return False
    host, process, token = found[1], int(found[2]), found[3]
    if host != _host() or os.name == "nt":
        with contextlib.suppress(OSError):
            return time.time() - path.lstat().st_mtime > A_DAY
        return False
    if process == os.getpid():
        return token != TOKEN
    return not _is_running(process)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)  # asks only
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _draft_of(path: Path) -> Path:
    return path.with_name(f".{path.name[:LONGEST_NAME]}.{_owner()}.draft")


def _owner() -> str:
    return f"{_host()}-{os.getpid()}-{TOKEN}-{next(_numbers)}"


def _host() -> str:
    """Eight digits for this machine, or for the container: process numbers mean nothing outside of it."""
    numbering = ""
    with contextlib.suppress(OSError):
        numbering = os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(f"{socket.gethostname()} {numbering}".encode()).hexdigest()[:8]


@contextlib.contextmanager
def _told_by_name(path: Path, draft: Path) -> Iterator[None]:
    """What the system refuses about a draft is said with the name that the user knows, and always as OSError.

    safetensors and tokenizers raise classes of their own with the system's number in the text.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or (error.filename is not None and draft.name not in str(error.filename)):
            raise  # of another file, which was read meanwhile
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
    except Exception as error:
        if number := re.search(r"\(os error (\d+)\)", str(error)):
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error
        raise
