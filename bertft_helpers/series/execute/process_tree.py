"""Other processes of this machine: what they started, how much memory they hold, and how they are ended."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

__all__ = ["descendants", "end_process_tree", "memory_of"]


def end_process_tree(process: subprocess.Popen) -> None:
    """End a process and everything it started: first asked, after three seconds forced."""
    family = [*descendants(process.pid), psutil.Process(process.pid)] if process.poll() is None else []
    for member in family:
        _quietly(member.terminate)
    for member in psutil.wait_procs(family, timeout=3)[1]:
        _quietly(member.kill)
    process.wait()
    if process.stdin:
        process.stdin.close()


def descendants(pid: int) -> list[psutil.Process]:
    """The processes that a process started, and those that they started; none when it has ended."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def memory_of(processes: Sequence[psutil.Process]) -> int:
    """Resident bytes of the processes together, or the highest that any of them ever had alone, if that is more."""
    return max([sum(map(_resident, processes)), *map(_own_peak, processes)])


def _resident(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0


def _own_peak(process: psutil.Process) -> int:
    """A process's highest resident memory so far in bytes, where Linux keeps it: a short peak falls between samples."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return 0
    kilobytes = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(kilobytes[0]) * 1024 if kilobytes else 0


def _quietly(action: Callable[[], object]) -> None:
    with suppress(psutil.NoSuchProcess):
        action()
