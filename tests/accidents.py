"""Something happens to a process before its n-th change under a folder: it is killed, or the disk ends."""

from __future__ import annotations

import ctypes
import itertools
import os
import re
import signal
import struct
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import torch
from forked import READY

LONGEST = 300  # seconds, on a busy machine
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Event of Python's audit -> where in its arguments the handle of the folder is that a bare name lies in.
CHANGES = {"os.mkdir": 2, "os.remove": 1, "os.rmdir": 1, "os.rename": 2, "shutil.rmtree": 1}
OWNER = re.compile(r"[0-9a-f]{8}-\d+-[0-9a-f]{8}-\d+")  # who writes a draft, in its name
CAPABILITIES = 0x20080522  # the version of Linux's interface to them
IGNORES_PERMISSIONS = 0b111  # the capabilities by which root may write everywhere
Work = Callable[..., object]


class Made(NamedTuple):
    """How the work ended: the changes that it made, and the sentence that a command would end in (empty: all well)."""

    changes: list[str]
    told: str


def killed_before(number: int, root: Path, work: Work, *args: object, **options: object) -> bool:
    """Do ``work`` in a process that is killed (-9) before its ``number``-th change under ``root``.

    Returns whether it came to that; False says that ``work`` was done with fewer changes. ``work`` and what it is given
    must be such as pickle takes. Raises AssertionError when ``work`` raised, or did not end within ``LONGEST``.
    """
    made = befallen(number, _kill, root, work, *args, **options)
    assert made is None or not made.told, made
    return made is None


def befallen(
    number: int, accident: Callable[[], object], root: Path, work: Work, *args: object, **options: object
) -> Made | None:
    """Do ``work`` in a process of its own to which ``accident`` happens before its ``number``-th change under ``root``.

    None says that it was killed. Number 0 lets the work be done in peace.
    """
    receiver, sender = READY.Pipe(duplex=False)
    threads = torch.get_num_threads()  # sums over another number of threads differ in their last digits
    child = READY.Process(target=_work, args=(sender, threads, number, accident, root, work, args, options))
    child.start()
    sender.close()
    child.join(LONGEST)
    code = child.exitcode
    child.kill()
    assert code in (0, -signal.SIGKILL), f"the work ended with {code}, {number} changes after its beginning"
    return receiver.recv() if code == 0 else None


def _work(
    sender: Connection,
    threads: int,
    number: int,
    accident: Callable[[], object],
    root: Path,
    work: Work,
    args: Any,
    options: Any,
) -> None:
    from bertft_helpers.cli.console import told

    torch.set_num_threads(threads)
    _obey_permissions()
    changes = _watched(number, accident, root)
    try:
        work(*args, **options)
        end = ""
    except Exception as error:
        end = told(error)[0]
    sender.send(Made(list(changes), end))


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _obey_permissions() -> None:
    """Give up root's right to write where it is not allowed; for others nothing changes."""
    if sys.platform != "linux" or os.geteuid():
        return
    system, head = ctypes.CDLL(None, use_errno=True), struct.pack("Ii", CAPABILITIES, 0)
    held = ctypes.create_string_buffer(24)
    assert system.capget(head, held) == 0
    sets = list(struct.unpack("6I", held.raw))
    sets[0] &= ~IGNORES_PERMISSIONS  # those in effect, the first 32
    assert system.capset(head, struct.pack("6I", *sets)) == 0


def _watched(number: int, accident: Callable[[], object], root: Path) -> list[str]:
    """This process's changes from now on, as they come: opening to write, making, renaming and removing."""
    changes: list[str] = []
    counted = itertools.count(1)

    def look(event: str, args: tuple[Any, ...]) -> None:
        path = _changed(event, args)
        if path is None or not path.startswith(f"{root}{os.sep}"):
            return
        changes.append(f"{event} {OWNER.sub('…', os.path.relpath(path, root))}")
        if next(counted) == number:
            accident()

    sys.addaudithook(look)
    return changes


def _changed(event: str, args: tuple[Any, ...]) -> str | None:
    """The path that an event changes, None when it changes none."""
    if event == "open":
        path, _, flags = args
        return os.path.abspath(path) if isinstance(path, str | os.PathLike) and flags & WRITING else None
    if event not in CHANGES:
        return None
    handle = args[CHANGES[event]] if len(args) > CHANGES[event] else None
    inside = f"/proc/self/fd/{handle}" if isinstance(handle, int) and handle >= 0 else ""
    return os.path.join(os.path.realpath(inside) if inside else os.getcwd(), os.fspath(args[0]))
