"""Schedules of a workshop from measured minutes: what is worked through, what is shown, and when there is a break."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from bertft_helpers.errors import UserError
from bertft_helpers.series.gates.anatomy import STATED_READ
from bertft_helpers.series.pages import render

__all__ = ["EXERCISES", "FORMATS", "Format", "Lasting", "Slot", "plan_days", "reading_minutes", "schedule_page"]

EXERCISES = 6  # minutes for the exercises of a lesson that is worked through


class Lasting(NamedTuple):
    """Minutes of one lesson: to read it (as its first cell says), and for its cells to run (measured)."""

    title: str
    reading: float
    running: float


@dataclass(frozen=True)
class Format:
    """A kind of workshop: each day's lessons in order; ``+`` marks those worked through, the others are shown."""

    title: str
    days: tuple[str, ...]
    longest_day: int  # minutes with all breaks
    stretch: int  # minutes after which a break is due
    pause: int  # minutes of a break
    lunch: int = 0  # minutes of the first break after a quarter to twelve
    framing: int = 5  # minutes at the start and at the end of a day, for questions


FORMATS = {
    "90_minutes": Format("90 minutes", ("00 10 14 +19 22",), 90, 45, 4, framing=3),
    "one_day": Format("One day", ("00 +04 +05 07 +08 +10 +11 13 +14 +15 17 18 +19 +22 +24",), 480, 80, 15, 60, 10),
    "two_days": Format(
        "Two days",
        (
            "00 01 02 03 +04 +05 +06 +07 +08 +09 +10 +11 +12 +13",
            "+14 +15 16 +17 +18 +19 20 21 +22 23 +24 25 26 28 29 30",
        ),
        480,
        80,
        15,
        60,
        10,
    ),
}


class Slot(NamedTuple):
    """A line of a schedule; ``start`` in minutes after the day's beginning."""

    start: int
    minutes: int
    what: str
    how: str

    @property
    def clock(self) -> str:
        """When it starts, on a day that begins at nine."""
        return f"{9 + self.start // 60}:{self.start % 60:02}"

    @property
    def is_pause(self) -> bool:
        """Whether people leave the room."""
        return self.what in ("Break", "Lunch")


def reading_minutes(first_cell: str) -> float:
    """The minutes that a lesson's first cell names. Raises ValueError when it names none."""
    match = STATED_READ.search(first_cell)
    if match is None:
        raise UserError(f"no 'Time about N minutes to read' in the first cell: {first_cell[:60]!r}")
    return float(match[1])


def plan_days(kind: Format, lasting: Mapping[str, Lasting]) -> list[list[Slot]]:
    """The slots of each day. Raises ValueError for a lesson without minutes and a day that became too long."""
    return [_plan_day(kind, lessons.split(), lasting) for lessons in kind.days]


def _plan_day(kind: Format, lessons: list[str], lasting: Mapping[str, Lasting]) -> list[Slot]:
    missing = [name for name in lessons if name.lstrip("+") not in lasting]
    if missing:
        raise UserError(f"no measured minutes for {', '.join(missing)}: run all lessons (bertft run), then bertft map")
    blocks = [(kind.framing, "Welcome, questions", ""), *(_block(name, lasting) for name in lessons)]
    slots = list(_with_breaks(kind, [*blocks, (kind.framing, "What we have seen, questions", "")]))
    end = slots[-1].start + slots[-1].minutes
    if end > kind.longest_day:
        raise UserError(f"{kind.title}: {end} minutes, {kind.longest_day} are available: show or leave out a lesson")
    return slots


def _block(name: str, lasting: Mapping[str, Lasting]) -> tuple[int, str, str]:
    number, worked = name.lstrip("+"), name.startswith("+")
    lesson = lasting[number]
    # shown on the projector a lesson takes half of the reading, because everybody looks at the same place
    minutes = lesson.reading + lesson.running + EXERCISES if worked else lesson.reading / 2 + lesson.running
    return math.ceil(minutes), f"{number} · {lesson.title}", "worked through, with exercises" if worked else "shown"


def _with_breaks(kind: Format, blocks: list[tuple[int, str, str]]) -> Iterator[Slot]:
    now, since_break, lunch_due = 0, 0, kind.lunch > 0
    for place, (minutes, what, how) in enumerate(blocks, start=1):
        too_long = since_break + minutes > kind.stretch + kind.framing
        if since_break and too_long and place < len(blocks):  # nobody takes a break to hear the farewell
            at_noon = lunch_due and now >= 165  # a day begins at nine
            pause = kind.lunch if at_noon else kind.pause
            yield Slot(now, pause, "Lunch" if at_noon else "Break", "")
            now, since_break, lunch_due = now + pause, 0, lunch_due and not at_noon
        yield Slot(now, minutes, what, how)
        now, since_break = now + minutes, since_break + minutes


def schedule_page(lasting: Mapping[str, Lasting]) -> str:
    """All formats as one printable HTML page, a sheet for each."""
    sheets = [(kind.title, plan_days(kind, lasting)) for kind in FORMATS.values()]
    return render("schedule.html.j2", sheets=sheets)
