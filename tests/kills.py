"""Kill a process before its n-th change under a folder: the worst moments of a run, each of them, in turn."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

LONGEST = 120  # seconds
# Forked from a process that has imported and done nothing: quick, and without the threads that a fork does not copy.
READY = multiprocessing.get_context("forkserver")
READY.set_forkserver_preload(["bertft_helpers.own_texts.run", "bertft_helpers.own_texts.trained", "matplotlib.pyplot"])
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Event of Python's audit -> where in its arguments the handle of the folder is that a bare name lies in.
CHANGES = {"os.mkdir": 2, "os.remove": 1, "os.rmdir": 1, "os.rename": 2, "shutil.rmtree": 1}


def killed_before(number: int, root: Path, work: Callable[..., object], *args: object, **options: object) -> bool:
    """Do ``work`` in a process that kills itself (-9) before its ``number``-th change under ``root``.

    Returns whether it came to that; False says that ``work`` was done with fewer changes. ``work`` and what it is given
    must be such as pickle takes. Raises AssertionError when ``work`` raised, or did not end within ``LONGEST``.
    """
    child = READY.Process(target=_until_killed, args=(number, root, work, args, options))
    child.start()
    child.join(LONGEST)
    code = child.exitcode
    child.kill()
    assert code in (0, -signal.SIGKILL), f"the work ended with {code} before change {number}"
    return code != 0


def _until_killed(number: int, root: Path, work: Callable[..., object], args: Any, options: Any) -> None:
    torch.set_num_threads(1)
    _kill_before(number, root)
    work(*args, **options)


def _kill_before(number: int, root: Path) -> None:
    """Count this process's changes from now on: opening to write, making, renaming and removing."""
    done = 0

    def count(event: str, args: tuple[Any, ...]) -> None:
        nonlocal done
        if _changed(event, args, root):
            done += 1
            if done == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def _changed(event: str, args: tuple[Any, ...], root: Path) -> bool:
    if event == "open":
        path, _, flags = args
        return isinstance(path, str | os.PathLike) and bool(flags & WRITING) and _is_below(root, path)
    if event not in CHANGES:
        return False
    handle = args[CHANGES[event]] if len(args) > CHANGES[event] else None
    inside = f"/proc/self/fd/{handle}" if isinstance(handle, int) and handle >= 0 else ""
    return _is_below(root, os.path.join(os.path.realpath(inside) if inside else "", os.fspath(args[0])))


def _is_below(root: Path, path: str | os.PathLike[str]) -> bool:
    return os.path.abspath(path).startswith(f"{root}{os.sep}")
