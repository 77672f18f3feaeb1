"""Commands on a machine that lacks what Windows lacks and refuses what it refuses: ``windows.py train … then …``.

There is no ``/proc`` and no module ``resource``, SIGHUP or ``fork``; only what was opened to write can be flushed, and
no folder can be opened; a file that is open or mapped can be neither removed nor renamed, and renaming replaces
nothing. Started with ``-X utf8=0`` in the locale C, text without a named encoding is ASCII.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import signal
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

_open, _readlink, _listdir, _fsync = os.open, os.readlink, os.listdir, os.fsync
_looking = False


def pretend() -> None:
    """Take from this process what Windows has not."""
    import psutil

    sys.modules["resource"] = None  # type: ignore[assignment]  # importing it raises
    memory = SimpleNamespace(rss=1, peak_wset=7_500_000)
    psutil.Process = lambda *_: SimpleNamespace(memory_info=lambda: memory)  # type: ignore[assignment, misc]
    for module, name in ((signal, "SIGHUP"), (os, "fork")):
        delattr(module, name)
    os.open, os.readlink, os.fsync = _open_no_folder, _readlink_no_proc, _fsync_what_is_written
    for name in ("remove", "unlink", "rename", "replace"):
        setattr(os, name, _unless_in_use(name, getattr(os, name)))
    sys.addaudithook(_without_proc)


def _without_proc(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and not _looking and str(args[0]).startswith("/proc") and _asked_by_us():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), args[0])


def _asked_by_us() -> bool:
    """Whether this package asks, not a library, which would ask Windows in another way."""
    frame = sys._getframe(2)
    while frame is not None:
        if "site-packages" in frame.f_code.co_filename:
            return False
        if "bertft_helpers" in frame.f_code.co_filename:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def _readlink_no_proc(path: Any, **options: Any) -> str:
    if str(path).startswith("/proc"):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    return _readlink(path, **options)


def _open_no_folder(path: Any, flags: int, *more: Any, **options: Any) -> int:
    if os.path.isdir(path) and "bertft_helpers" in sys._getframe(1).f_code.co_filename:  # rmtree works otherwise there
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    return _open(path, flags, *more, **options)


def _fsync_what_is_written(handle: int) -> None:
    if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    _fsync(handle)


def _unless_in_use(name: str, act: Callable[..., None]) -> Callable[..., None]:
    def checked(path: Any, *others: Any, **options: Any) -> None:
        for one in (path, *others):
            if os.path.isfile(one) and _is_in_use(os.path.realpath(one)):
                raise PermissionError(errno.EACCES, "it is being used by another process", str(one))
        if name == "rename" and os.path.exists(others[0]):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(others[0]))
        act(path, *others, **options)

    return checked


def _is_in_use(path: str) -> bool:
    """Whether this process has a file open or mapped into its memory."""
    global _looking
    _looking = True
    try:
        with open("/proc/self/maps", encoding="utf-8") as maps:
            if any(line.rstrip("\n").endswith(f" {path}") for line in maps):
                return True
        for handle in _listdir("/proc/self/fd"):
            try:
                if _readlink(f"/proc/self/fd/{handle}") == path:
                    return True
            except FileNotFoundError:  # the handle by which the list was read
                continue
        return False
    finally:
        _looking = False


if __name__ == "__main__":
    import datasets  # noqa: F401  (libraries that are those of this system)
    from sklearn.linear_model import LogisticRegression  # noqa: F401
    from transformers import BertForSequenceClassification  # noqa: F401

    pretend()
    from bertft_helpers.cli.main import app

    for is_call, words in itertools.groupby(sys.argv[1:], "then".__ne__):
        if is_call:
            try:
                app(list(words))
            except SystemExit as end:
                if end.code:
                    raise
