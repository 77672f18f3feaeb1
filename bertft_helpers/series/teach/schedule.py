"""Schedules of a workshop from measured minutes: what is worked through, what is shown, and when there is a break."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from bertft_helpers.errors import UserError

EXERCISES = 6  # minutes for the exercises of a lesson that is worked through
_READING = re.compile(r"\*\*Time\*\* about (\d+) minutes to read")


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
    "90_minutes": Format("90 minutes", ("00 10 14 +19 22",), 90, 45, 5, framing=3),
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


def reading_minutes(first_cell: str) -> float:
    """The minutes that a lesson's first cell names. Raises ValueError when it names none."""
    match = _READING.search(first_cell)
    if match is None:
        raise UserError(f"no 'Time about N minutes to read' in the first cell: {first_cell[:60]!r}")
    return float(match[1])


def plan_days(kind: Format, lasting: Mapping[str, Lasting]) -> list[list[Slot]]:
    """The slots of each day. Raises ValueError for a lesson without minutes and a day that became too long."""
    return [_plan_day(kind, lessons.split(), lasting) for lessons in kind.days]


def _plan_day(kind: Format, lessons: list[str], lasting: Mapping[str, Lasting]) -> list[Slot]:
    missing = [name for name in lessons if name.lstrip("+") not in lasting]
    if missing:
        raise UserError(f"no measured minutes for {', '.join(missing)}: run all lessons (make run), then bertft map")
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
    sheets = [_sheet(kind, plan_days(kind, lasting)) for kind in FORMATS.values()]
    return _PAGE.format(sheets="\n".join(sheets))


def _sheet(kind: Format, days: list[list[Slot]]) -> str:
    tables = []
    for number, slots in enumerate(days, start=1):
        rows = "".join(_row(slot) for slot in slots)
        caption = f"Day {number}" if len(days) > 1 else ""
        head = "<tr><th>from</th><th>min</th><th>what</th><th>how</th></tr>"
        tables.append(f"<table><caption>{caption}</caption>{head}{rows}</table>")
    return f"<section><h1>{html.escape(kind.title)}</h1>{''.join(tables)}</section>"


def _row(slot: Slot) -> str:
    clock = f"{9 + slot.start // 60}:{slot.start % 60:02}"
    kind = ' class="pause"' if slot.what in ("Break", "Lunch") else ""
    cells = "".join(f"<td>{html.escape(str(value))}</td>" for value in (clock, slot.minutes, slot.what, slot.how))
    return f"<tr{kind}>{cells}</tr>"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Schedules</title>
<style>body{{font-family:sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}}
table{{border-collapse:collapse;width:100%;margin-bottom:1rem}}caption{{text-align:left;font-weight:bold;padding:.3rem}}
td,th{{padding:.2rem .6rem;border-bottom:1px solid #ccc;text-align:left}}.pause td{{background:#eee}}
@media print{{section{{break-after:page}}body{{margin:0;font-size:10pt}}}}</style></head>
<body>{sheets}
<p>Reading minutes are those of the lessons' first cells, run minutes were measured on two CPU cores; shown lessons take
half of the reading. On slower machines begin with the smoke profile.</p></body></html>
"""
