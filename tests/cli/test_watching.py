"""While a run trains: a bar on a terminal, a line now and then elsewhere; both with the pace and the time left."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from bertft_helpers.cli import console, watching
from bertft_helpers.own_texts.pace import Pace


def shown(monkeypatch: pytest.MonkeyPatch, terminal: bool, seconds: list[float]) -> str:
    """What appears on standard error when steps end at the given seconds."""
    screen = Console(file=io.StringIO(), force_terminal=terminal, width=120)
    times = iter(seconds)
    monkeypatch.setattr(watching, "error_console", screen)
    monkeypatch.setattr(console, "error_console", screen)
    monkeypatch.setattr(watching, "Pace", lambda: Pace(lambda: next(times)))
    with watching.watched_training() as on_step:
        for done in range(1, len(seconds) + 1):
            on_step(done, 10, 16)
    return screen.file.getvalue()


def test_without_a_terminal_a_line_comes_after_every_half_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, False, [0.0, 20.0, 40.0, 60.0, 80.0]).splitlines()
    assert lines == [
        "step 3 of at most 10, 0.8 texts a second, at most 2 min left",
        "step 5 of at most 10, 0.8 texts a second, at most 2 min left",
    ]


def test_a_short_run_says_nothing_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, False, [0.0, 1.0, 2.0]) == ""


def test_a_terminal_has_a_bar_with_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "step 3 of at most 10, 16 texts a second, at most 7 s left" in shown(monkeypatch, True, [0.0, 1.0, 2.0])
