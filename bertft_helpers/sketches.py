"""Schematics of what surrounds the model: splits, padding, memory, loops and time. Each function returns a Figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import cos, pi, sin, tan
from typing import NamedTuple

from matplotlib.figure import Figure

from bertft_helpers.drawing import FAINT, INK, NORMAL, ROLES, SMALLEST, TITLE, Sheet, shortened, widest, width_of
from bertft_helpers.errors import UserError

__all__ = [
    "CYCLE",
    "Span",
    "Stage",
    "flow",
    "fold_grid",
    "length_steps",
    "masked_words",
    "memory_stack",
    "padding_grids",
    "ring",
    "split_bar",
    "task_grid",
    "timeline",
    "transfer",
]

CYCLE = ("token", "trained", "position", "segment", "loss", "frozen")  # for parts that have no meaning of their own


class Span(NamedTuple):
    """A stretch of a timeline: from, to (in the timeline's unit), a text, and a role (a key of ``drawing.ROLES``)."""

    start: float
    end: float
    text: str = ""
    role: str = "trained"


class Stage(NamedTuple):
    """One step of a pipeline: its name, what leaves it, what it puts aside, a role (a key of ``drawing.ROLES``)."""

    name: str
    leaves: str = ""
    aside: str = ""
    role: str = "plain"


def flow(stages: Sequence[Stage], title: str = "") -> Figure:
    """Steps below each other, the first on top; what goes on is written below each, what is put aside on its right."""
    sheet, width = Sheet(), widest([stage.name for stage in stages], least=2.4)
    for place, stage in enumerate(stages):
        box = sheet.block(0, 0.86 * place, width, 0.46, stage.name, stage.role)
        if stage.leaves:
            sheet.arrow((width / 2, box.bottom), (width / 2, box.bottom + 0.4))
            sheet.text((width / 2 + 0.14, box.bottom + 0.2), stage.leaves, SMALLEST, "left", FAINT)
        if stage.aside:
            sheet.arrow((width, box.middle[1]), (width + 0.4, box.middle[1]), colour=ROLES["loss"][1])
            sheet.text((width + 0.5, box.middle[1]), stage.aside, SMALLEST, "left", ROLES["loss"][1])
    return sheet.figure(title)


def padding_grids(
    layouts: Mapping[str, Sequence[tuple[int, int]]], title: str = "", batch_size: int | None = None
) -> Figure:
    """One grid of squares per layout, a row per text: ``layouts`` maps a name to (tokens, padded to) for each row.

    Filled squares are tokens, pale ones padding; there is a gap after every ``batch_size`` rows.
    """
    sheet, x = Sheet(), 0.0
    side = min(0.2, 8.0 / sum(max(padded for _, padded in rows) for rows in layouts.values()))  # inches
    for name, rows in layouts.items():
        for place, (length, padded) in enumerate(rows):
            y = side * (place + 0.8 * (place // batch_size if batch_size else 0))
            sheet.squares((x, y), length, side, "token")
            sheet.squares((x + side * length, y), padded - length, side, "padding")
        filled, cells = sum(length for length, _ in rows), sum(padded for _, padded in rows)
        caption = f"{cells:,} squares for {filled:,} tokens"
        sheet.text((x, -0.75), name, align="left", weight="bold")
        sheet.text((x, -0.48), f"{1 - filled / cells:.0%} padding", TITLE, "left", ROLES["loss"][1])
        sheet.text((x, -0.22), caption, SMALLEST, "left", FAINT)
        widths = width_of(name) * 1.08, width_of(caption, SMALLEST), side * max(padded for _, padded in rows)
        x += max(widths) + 0.4
    return sheet.figure(title)


def length_steps(steps: Mapping[str, Sequence[Sequence[tuple[int, int, str]]]], title: str = "") -> Figure:
    """What happens to texts on their way into batches: a column per step, a bar per text, as long as the text.

    ``steps`` maps a name to groups of (tokens, padded to, role); there is a gap after each group.
    """
    sheet, x, height, width = Sheet(), 0.0, 0.15, 1.45  # inches
    scale = width / max(padded for groups in steps.values() for group in groups for _, padded, _ in group)
    middle = height * max(len(groups) + sum(map(len, groups)) for groups in steps.values()) / 2
    for number, (name, groups) in enumerate(steps.items()):
        sheet.text((x, -0.2), name, SMALLEST, "left", FAINT)
        if number:
            sheet.arrow((x - 0.4, middle), (x - 0.12, middle))
        y = 0.0
        for group in groups:
            for tokens, padded, role in group:
                if tokens < padded:
                    sheet.block(x, y, scale * padded, 0.8 * height, role="padding")
                sheet.block(x, y, scale * tokens, 0.8 * height, role=role)
                y += height
            y += 0.7 * height
        x += max(width, width_of(name, SMALLEST)) + 0.5
    return sheet.figure(title)


def split_bar(
    parts: Mapping[str, int], leaks: Mapping[tuple[str, str], int] | None = None, title: str = "", what: str = "texts"
) -> Figure:
    """A data set cut into parts as long as their counts; ``leaks``: for two parts, how many of ``what`` are in both."""
    sheet, x, boxes, least = Sheet(), 0.0, {}, 0.3
    total = sum(parts.values())
    for number, (name, count) in enumerate(parts.items()):
        text = f"{name}\n{count:,}"
        width = max(8.5 * count / total, widest([text]), least)
        boxes[name] = sheet.block(x, 0, width, 0.62, text, CYCLE[number % len(CYCLE)])
        x += width + 0.08
    for level, (pair, count) in enumerate((leaks or {}).items()):
        ends = [boxes[name].middle[0] + 0.07 * level for name in pair]
        _leak(sheet, ends, 0.98 + 0.4 * level, x, f"{count:,} {what} in both")
    return sheet.figure(title)


def _leak(sheet: Sheet, ends: Sequence[float], y: float, right: float, text: str) -> None:
    colour = ROLES["loss"][1]
    for end in ends:
        sheet.arrow((end, y), (end, 0.66), colour=colour)
    sheet.arrow((min(ends), y), (right + 0.05, y), colour=colour, head=False)
    sheet.text((right + 0.15, y), text, SMALLEST, "left", colour)


def fold_grid(folds: Sequence[Sequence[int]], title: str = "") -> Figure:
    """Rounds of a cross-validation below each other, a block for each row's number; the round's own fold stands out."""
    sheet, numbers = Sheet(), sorted(number for fold in folds for number in fold)
    widths = [widest([f"{number}"], least=0.46) for number in numbers]
    for place, fold in enumerate(folds):
        sheet.text((-0.15, 0.48 * place + 0.2), f"round {place + 1}", NORMAL, "right")
        x = 0.0
        for number, width in zip(numbers, widths, strict=True):
            own = number in fold
            role, weight = ("trained", "bold") if own else ("token", "normal")
            x = sheet.block(x, 0.48 * place, width, text=f"{number}", role=role, weight=weight).right + 0.06
    return sheet.figure(title)


def masked_words(originals: Sequence[str], shown: Sequence[str], chosen: Sequence[bool], title: str = "") -> Figure:
    """The game of masked words: a text, the tokens that the network is shown, and the chosen ones, to be guessed."""
    sheet, x = Sheet(), 0.0
    for level, label in enumerate(("the text", "BERT sees", "and must guess")):
        sheet.text((-0.15, 0.68 * level + 0.2), label, NORMAL, "right", FAINT)
    for original, token, guessed in zip(originals, shown, chosen, strict=True):
        names = shortened(original, 16), shortened(token, 16)
        width = widest(names)
        sheet.block(x, 0, width, text=names[0])
        sheet.block(x, 0.68, width, text=names[1], role="token" if token == original else "loss")
        sheet.arrow((x + width / 2, 0.42), (x + width / 2, 0.66))
        if guessed:
            sheet.block(x, 1.36, width, text=names[0], role="trained")
            sheet.arrow((x + width / 2, 1.1), (x + width / 2, 1.34))
        x += width + 0.1
    return sheet.figure(title)


def task_grid(
    rows: Sequence[str], columns: Sequence[str], cells: Mapping[tuple[str, str], str], title: str = ""
) -> Figure:
    """A table of names: ``cells`` maps (row, column) to a text; a pair that is missing is drawn empty."""
    sheet, height = Sheet(), 0.4 + 0.2 * max((text.count("\n") for text in cells.values()), default=0)
    x = 0.0
    for row, name in enumerate(rows):
        sheet.text((-0.15, (height + 0.08) * row + height / 2), name, NORMAL, "right", weight="bold")
    for column in columns:
        texts = [cells.get((row, column), "") for row in rows]
        width = widest([column, *texts], least=0.9)
        sheet.text((x + width / 2, -0.2), column, colour=FAINT)
        for place, text in enumerate(texts):
            sheet.block(x, (height + 0.08) * place, width, height, text or "–", "token" if text else "padding")
        x += width + 0.08
    return sheet.figure(title)


def memory_stack(stacks: Mapping[str, Mapping[str, float]], unit: str = "MB", title: str = "") -> Figure:
    """Columns of parts as tall as their sizes, one per situation: name -> part -> size in ``unit``."""
    sheet, x = Sheet(), 0.0
    names = list(dict.fromkeys(part for parts in stacks.values() for part in parts))
    largest = max(sum(parts.values()) for parts in stacks.values())
    labels = [f"{part}  {size:,.0f} {unit}" for parts in stacks.values() for part, size in parts.items()]
    width = widest([*labels, *stacks], least=1.6)
    for name, parts in stacks.items():
        y = 0.0
        for part, size in parts.items():
            height = max(4.0 * size / largest, 0.3)  # a part too thin for its name is drawn as tall as the name
            y -= height
            role = CYCLE[names.index(part) % len(CYCLE)]
            sheet.block(x, y, width, height - 0.04, f"{part}  {size:,.0f} {unit}", role)
        sheet.text((x + width / 2, 0.18), name, weight="bold")
        sheet.text((x + width / 2, y - 0.16), f"{sum(parts.values()):,.0f} {unit}", colour=FAINT)
        x += width + 0.35
    return sheet.figure(title)


def transfer(places: Mapping[str, Sequence[str]], there: str, back: str, title: str = "") -> Figure:
    """Two places: ``places`` maps each one's name to what lies in it; ``there``, ``back`` are the calls between."""
    sheet = Sheet()
    (near, here), (far, over_there) = places.items()
    left = sheet.column(0, 0, near, here, "token")[0].right + 0.15
    right = left + width_of(max(there, back, key=width_of), SMALLEST) + 0.3
    sheet.column(right + 0.15, 0, far, over_there, "trained")
    middle = 0.24 * max(len(here), len(over_there))
    for y, start, end, call in ((middle - 0.24, left, right, there), (middle + 0.36, right, left, back)):
        sheet.arrow((start, y), (end, y))
        sheet.text(((left + right) / 2, y - 0.16), call, SMALLEST)
    return sheet.figure(title)


def ring(
    steps: Sequence[str],
    centre: str = "",
    roles: Mapping[str, str] | None = None,
    inner: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """Steps around a circle, clockwise from the top, the last leading to the first; ``inner`` is a ring within it.

    Raises UserError for fewer than three steps: the way there and the way back would be one line.
    """
    for circle in filter(None, (inner, steps)):
        if len(circle) < 3:
            raise UserError(f"a ring has three steps or more, these are {len(circle)}: {', '.join(circle)}")
    sheet = Sheet()
    radii = width_of(centre) / 2 + 0.15, 0.15 + 0.1 * centre.count("\n")
    sheet.text((0, 0), centre, weight="bold")
    if inner:
        radii = _circle(sheet, inner, radii, roles or {})
        radii = radii[0] + 0.3, radii[1] + 0.3
        sheet.disc((0, 0), *radii)
    _circle(sheet, steps, radii, roles or {})
    return sheet.figure(title)


def _circle(
    sheet: Sheet, steps: Sequence[str], within: tuple[float, float], roles: Mapping[str, str]
) -> tuple[float, float]:
    """Draw one ring around what fills ``within`` (half its width, half its height); the same of the ring itself."""
    width, count = widest(steps, least=1.0), len(steps)
    bend = -0.6 * tan(pi / 2 / count)  # nearly along the circle
    down = within[1] + 0.65
    while not _apart(places := _around(count, within, width, down), width):
        down += 0.05
    for (x, y), step in zip(places, steps, strict=True):
        sheet.block(x - width / 2, y - 0.2, width, text=step, role=roles.get(step, "plain"))
    for start, end in pairwise([*places, places[0]]):
        sheet.arrow(_leaving(start, end, width), _leaving(end, start, width), bend=bend)
    return max(x for x, _ in places) + width / 2, max(y for _, y in places) + 0.2


def _around(count: int, within: tuple[float, float], width: float, down: float) -> list[tuple[float, float]]:
    """The middles of a ring's blocks on an ellipse that leaves room for what is within."""
    across = max(within[0] + width / 2 + 0.3, 1.3 * down)
    return [(across * x, down * y) for x, y in (_direction(step / count) for step in range(count))]


def _apart(places: Sequence[tuple[float, float]], width: float) -> bool:
    """Whether an arrow fits between the blocks of each two neighbours."""
    room = 0.35
    return all(
        abs(x1 - x0) >= width + room or abs(y1 - y0) >= 0.4 + room
        for (x0, y0), (x1, y1) in pairwise([*places, places[0]])
    )


def _direction(turn: float) -> tuple[float, float]:
    """The point of the unit circle after a share of a turn, clockwise from the top."""
    return sin(2 * pi * turn), -cos(2 * pi * turn)


def _leaving(start: tuple[float, float], end: tuple[float, float], width: float) -> tuple[float, float]:
    """Where the way from the middle of one block to that of another leaves the first, with a little air."""
    (x0, y0), (x1, y1) = start, end
    across, down = x1 - x0, y1 - y0
    shares = [half / abs(way) for half, way in ((width / 2, across), (0.2, down)) if abs(way) > 1e-9]
    share = min([*shares, 0.5]) + 0.0
    return x0 + across * share, y0 + down * share


def timeline(
    lanes: Mapping[str, Sequence[Span]], marks: Mapping[float, str] | None = None, unit: str = "epoch", title: str = ""
) -> Figure:
    """Lanes of stretches over one axis of time, with marked moments below; all times are in ``unit``."""
    sheet = Sheet()
    last = max(span.end for spans in lanes.values() for span in spans)
    # an inch must hold the text of the tightest stretch
    scale = max([8 / last, *((widest([s.text], SMALLEST) / (s.end - s.start)) for v in lanes.values() for s in v)])
    for row, (name, spans) in enumerate(lanes.items()):
        sheet.text((-0.15, 0.5 * row + 0.2), name, NORMAL, "right")
        for span in spans:
            width = scale * (span.end - span.start) - 0.04
            sheet.block(scale * span.start, 0.5 * row, width, text=span.text, role=span.role, size=SMALLEST)
    bottom = 0.5 * len(lanes) + 0.1
    sheet.arrow((0, bottom), (scale * last + 0.25, bottom), colour=INK)
    sheet.text((scale * last + 0.32, bottom), unit, SMALLEST, "left", FAINT)
    free = [float("-inf")] * (len(marks or {}) + 1)  # how far each line of marks is used
    for moment, text in sorted((marks or {}).items()):
        x, half = scale * moment, width_of(text, SMALLEST) / 2 + 0.1
        level = next(number for number, right in enumerate(free) if right <= x - half)
        free[level] = x + half
        sheet.text((x, bottom + 0.45 + 0.26 * level), shortened(text, 40), SMALLEST, colour=ROLES["loss"][1])
        sheet.arrow((x, bottom + 0.28), (x, bottom + 0.04), colour=ROLES["loss"][1])
    return sheet.figure(title)
