"""Being ended in order: what asks a process to go (SIGTERM, a closed terminal) ends its work as Ctrl-C does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["ENDING", "signals_as_interrupt"]

ENDING = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP


@contextmanager
def signals_as_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM and SIGHUP, so that everything on the way out cleans up behind itself.

    A signal that the caller ignores stays ignored (``nohup``). Only the main thread can be told: elsewhere nothing
    happens here.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in ENDING if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # asked twice, the cleaning up still comes to its end
    raise KeyboardInterrupt
