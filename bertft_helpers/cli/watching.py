"""What a person sees while a run trains: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from rich.progress import BarColumn, Progress, TextColumn

from bertft_helpers.cli.console import error_console, say
from bertft_helpers.own_texts.pace import Pace
from bertft_helpers.resume.run import OnStep

__all__ = ["SILENCE", "watched_training"]

SILENCE = 30.0  # seconds between two lines where no bar is drawn


@contextlib.contextmanager
def watched_training() -> Iterator[OnStep]:
    """A function for ``train_classifier`` to call after each step, which shows the pace and the time left."""
    pace = Pace()
    if not error_console.is_terminal or os.environ.get("RANK", "0") != "0":  # of several processes one draws
        yield _lines(pace)
        return
    columns = BarColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=error_console, transient=True) as bars:
        bar = bars.add_task("training", total=None)

        def on_step(done: int, planned: int, texts: int) -> None:
            pace.step(done, planned, texts)
            bars.update(bar, completed=done, total=planned, description=str(pace))

        yield on_step


def _lines(pace: Pace) -> OnStep:
    told = 0.0

    def on_step(done: int, planned: int, texts: int) -> None:
        nonlocal told
        pace.step(done, planned, texts)
        if pace.seconds - told >= SILENCE:
            told = pace.seconds
            say(str(pace))

    return on_step
