"""Everything for teaching the series, made from the lessons themselves: ``bertft workshop``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from bertft_helpers.errors import UserError
from bertft_helpers.files import new_folder, sweep
from bertft_helpers.series.catalogue import find_lessons
from bertft_helpers.series.costs import measured_costs
from bertft_helpers.series.notebook import read_notebook
from bertft_helpers.series.teach.catch_up import write_catch_up
from bertft_helpers.series.teach.editions import stumbling_blocks, write_editions
from bertft_helpers.series.teach.handout import handout_page
from bertft_helpers.series.teach.schedule import EXERCISES, Lasting, reading_minutes, schedule_page
from bertft_helpers.series.teach.slides import write_slides

__all__ = ["GUIDE", "build", "lasting_of", "notes_of"]

GUIDE = "WORKSHOP.md"  # beside the folder of the lessons


def build(
    folder: Path, out: Path, n_train: int | None = None, on_part: Callable[[str], None] = lambda part: None
) -> None:
    """Write editions, schedules, hand-out, slides and the catch-up folder into ``out``, new or empty: all or none.

    ``n_train`` headlines (all if None) train the catch-up model; ``on_part`` is told what is being made. Raises
    FileExistsError when ``out`` holds something, and ValueError for a lesson without minutes.
    """
    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out} is not empty: choose another folder, or remove it")
    out.parent.mkdir(parents=True, exist_ok=True)
    sweep(out.parent)
    lasting = lasting_of(folder)
    with new_folder(out) as draft:
        for part, write in _parts(folder, draft, lasting, n_train):
            on_part(part)
            write()


def _parts(
    folder: Path, out: Path, lasting: dict[str, Lasting], n_train: int | None
) -> Iterator[tuple[str, Callable[[], object]]]:
    yield "schedule.html", lambda: _write(out / "schedule.html", schedule_page(lasting))
    yield "handout.html", lambda: _write(out / "handout.html", handout_page(folder))
    yield "learners/ and instructors/", lambda: write_editions(folder, out, notes_of(folder, lasting))
    yield "slides/", lambda: write_slides(folder, out / "slides")
    yield "catch_up/ (trains a model)", lambda: write_catch_up(folder, out / "catch_up", n_train)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def lasting_of(folder: Path) -> dict[str, Lasting]:
    """Title and minutes of each lesson that was measured."""
    lasting = {}
    for lesson in find_lessons(folder):
        first, cost = read_notebook(lesson.path).cells[0].source, measured_costs().get(lesson.number)
        if cost is not None:
            title = first.splitlines()[0].split(" · ", 1)[1]
            lasting[lesson.number] = Lasting(title, reading_minutes(first), cost[0])
    return lasting


def notes_of(folder: Path, lasting: dict[str, Lasting]) -> dict[str, str]:
    """The note for who teaches each lesson: minutes, and what people get stuck on."""
    guide = folder.parent / GUIDE
    stuck = stumbling_blocks(guide.read_text(encoding="utf-8")) if guide.exists() else {}
    notes = {}
    for number, (_, reading, running) in lasting.items():
        minutes = f"{reading:.0f} min to read, {running:.1f} min for the cells to run, {EXERCISES} min for exercises"
        notes[number] = f"**For instructors.** {minutes}.\n" + (f"Stuck: {stuck[number]}" if number in stuck else "")
    return notes
