"""The map of the series, ``notebooks/README.md``: question, lesson, graduates, minutes to read and to run, memory."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from nbformat import NotebookNode

from bertft_helpers.errors import MissingError, UserError
from bertft_helpers.series.catalogue import Lesson, find_lessons, number_of
from bertft_helpers.series.costs import Cost, measured_costs
from bertft_helpers.series.notebook import numbered_code_cells, read_notebook, tags
from bertft_helpers.series.stamp import unstamped_text

__all__ = [
    "INTRODUCTION",
    "LAST_RUN",
    "PARTS",
    "PICTURE",
    "SECONDS_PER_CELL",
    "WORDS_PER_MINUTE",
    "costs_of_run",
    "known_costs",
    "lessons_by_part",
    "map_text",
    "minutes_to_read",
    "picture_of",
]

PARTS = {  # first lesson of each part -> its title
    "00": "Understanding BERT and transfer learning",
    "01": "Setting up the environment",
    "04": "Loading the pre-trained BERT model",
    "07": "Preparing the data set",
    "10": "Tokenizing input data for BERT",
    "14": "Modifying BERT for fine-tuning",
    "17": "Training the fine-tuned BERT model",
    "22": "Evaluating the fine-tuned BERT model",
    "25": "Experimenting with different fine-tuning strategies",
    "A1": "Beyond the thirty: what else BERT is fine-tuned for",
}
INTRODUCTION = """# The lessons

Each question has one notebook, which can be opened first: it begins with a recap. "Read" is an estimate in minutes: 200
words of text a minute, and 20 seconds for each cell of code. "Run" (minutes) and memory were measured by `bertft run`
on two CPU cores, one lesson after the other; `make run` executes them side by side.
The terms are explained in the [glossary](GLOSSARY.md). "Graduates" are functions that a lesson writes out and that
`bertft_helpers` offers from then on.

This file is written by `bertft map`; edit the lessons, not this table.
"""


WORDS_PER_MINUTE, SECONDS_PER_CELL = 200, 20  # of a reader: text cells, code cells


LAST_RUN = Path("build/run.json")  # where `bertft run` leaves what it measured
PICTURE = "before-and-after.png"  # beside the map


def map_text(folder: Path, costs: Mapping[str, Cost]) -> str:
    """The map as Markdown; ``costs`` by lesson number. Raises ValueError naming the lessons without a cost."""
    lessons = find_lessons(folder)
    missing = [lesson.number for lesson in lessons if lesson.number not in costs]
    if missing:
        raise UserError(f"no measured minutes for {', '.join(missing)}: run all lessons first (bertft run)")
    lines = [INTRODUCTION]
    for part, members in lessons_by_part(lessons).items():
        lines += [f"\n## {part}\n", _HEAD, *(_row(lesson, costs[lesson.number]) for lesson in members)]
    to_run = sum(round(costs[lesson.number].minutes, 1) for lesson in lessons)  # of the minutes shown
    to_read = sum(minutes_to_read(read_notebook(lesson.path)) for lesson in lessons)
    total = f"All {len(lessons)} lessons together: {to_read / 60:.0f} hours to read, {to_run:.1f} minutes to run."
    return "\n".join([*lines, f"\n{total}\n"])


def lessons_by_part(lessons: Sequence[Lesson]) -> dict[str, list[Lesson]]:
    """The lessons of each part, by the part's title, in their order; parts without a lesson are left out."""
    parts: dict[str, list[Lesson]] = {}
    for lesson in lessons:
        first = max(number for number in PARTS if number <= lesson.number)
        parts.setdefault(PARTS[first], []).append(lesson)
    return parts


def minutes_to_read(notebook: NotebookNode) -> int:
    """How long a lesson takes to read, in whole minutes: by the words of its text and the number of its code cells.

    A stamp, whose links have more words, changes nothing.
    """
    words = sum(len(unstamped_text(cell.source).split()) for cell in notebook.cells if cell.cell_type == "markdown")
    cells = len(numbered_code_cells(notebook))
    return round(words / WORDS_PER_MINUTE + cells * SECONDS_PER_CELL / 60)


def known_costs(run_file: Path | None = None) -> dict[str, Cost]:
    """The costs of ``run_file``; without one those of the last run, and where nothing was run the stored ones."""
    if run_file is None and not LAST_RUN.exists():
        return measured_costs()
    return costs_of_run(run_file or LAST_RUN)


def costs_of_run(run_file: Path) -> dict[str, Cost]:
    """Minutes and peak memory from the ``run.json`` of a run at the lessons' own values.

    Raises ValueError for another profile, parameters that were given (``QUICK`` by ``bertft run --fast``), lessons side
    by side (which slow each other), or a run in which a lesson failed, FileNotFoundError where no file is.
    """
    if not run_file.is_file():
        raise MissingError(
            f"{run_file} is not there: name the run.json of a complete run (bertft run), or leave --run out"
        )
    run = json.loads(run_file.read_text(encoding="utf-8"))
    failed = [lesson["lesson"] for lesson in run["lessons"] if lesson["status"] != "ok"]
    given = run.get("parameters", {})  # a run of an earlier version does not tell
    if run["profile"] != "cpu" or given or run["jobs"] > 1 or failed:
        raise UserError(
            f"{run_file}: the map needs a complete run at the lessons' own values, one lesson after the other; "
            f"profile {run['profile']}, {given=}, {run['jobs']} at once, {failed=}. "
            "Run all lessons (bertft run), or remove the file to keep the costs that are stored"
        )
    return {number_of(lesson["lesson"]): Cost(lesson["seconds"] / 60, lesson["peak_mb"]) for lesson in run["lessons"]}


def picture_of(folder: Path) -> bytes:
    """The PNG of the first lesson's last figure, for the README: headlines before and after fine-tuning."""
    _, lesson = min((lesson.number, lesson.path) for lesson in find_lessons(folder))
    outputs = [output for _, cell in numbered_code_cells(read_notebook(lesson)) for output in cell.outputs]
    *_, picture = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    return base64.b64decode(picture)


_HEAD = "| lesson | question | graduates | read | run | peak MB |\n|---|---|---|---|---|---|"


def _row(lesson: Lesson, cost: Cost) -> str:
    notebook = read_notebook(lesson.path)
    question = notebook.cells[0].source.splitlines()[0].split(" · ", 1)[1]
    graduates = [
        f"`{tag.removeprefix('graduates:')}`"
        for _, cell in numbered_code_cells(notebook)
        for tag in tags(cell)
        if tag.startswith("graduates:")
    ]
    link = f"[{lesson.number}]({lesson.place})"
    columns = [link, question, ", ".join(graduates) or "–", str(minutes_to_read(notebook))]
    return f"| {' | '.join(columns)} | {cost.minutes:.1f} | {cost.peak_mb:,.0f} |"
