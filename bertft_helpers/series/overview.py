"""The map of the series, ``notebooks/README.md``: question, lesson, what graduates there, minutes and memory."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from bertft_helpers.errors import UserError
from bertft_helpers.series.catalogue import Lesson, find_lessons
from bertft_helpers.series.notebook import numbered_code_cells, read_notebook, tags

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
}
INTRODUCTION = """# The lessons

Each question has one notebook, which can be opened first: it begins with a recap. Minutes and memory were measured by
`make run` on two CPU cores. Reading takes longer; each lesson says how long.
The terms are explained in the [glossary](GLOSSARY.md). "Graduates" are functions that a lesson writes out and that
`bertft_helpers` offers from then on.

This file is written by `bertft map`; edit the lessons, not this table.
"""


class Cost(NamedTuple):
    """What a run of a lesson took."""

    minutes: float
    peak_mb: float


PICTURE = "before-and-after.png"  # beside the map


def map_text(folder: Path, costs: Mapping[str, Cost]) -> str:
    """The map as Markdown; ``costs`` by lesson number. Raises ValueError naming the lessons without a cost."""
    lessons = find_lessons(folder)
    missing = [lesson.number for lesson in lessons if lesson.number not in costs]
    if missing:
        raise UserError(f"no measured minutes for {', '.join(missing)}: run all lessons first (make run)")
    lines = [INTRODUCTION]
    for lesson in lessons:
        if lesson.number in PARTS or lesson is lessons[0]:
            lines += [f"\n## {PARTS.get(lesson.number, 'Lessons')}\n", _HEAD]
        lines.append(_row(lesson, costs[lesson.number]))
    total = sum(round(costs[lesson.number].minutes, 1) for lesson in lessons)  # of the minutes shown
    return "\n".join([*lines, f"\nAll {len(lessons)} lessons together: {total:.1f} minutes.\n"])


def costs_of_run(run_file: Path) -> dict[str, Cost]:
    """Minutes and peak memory from the ``run.json`` of a run at the lessons' own values.

    Raises ValueError for another profile or a run in which a lesson failed.
    """
    run = json.loads(run_file.read_text(encoding="utf-8"))
    failed = [lesson["lesson"] for lesson in run["lessons"] if lesson["status"] != "ok"]
    if run["profile"] != "cpu" or failed:
        raise UserError(
            f"{run_file}: the map needs a complete run at the cpu profile; profile {run['profile']}, {failed=}"
        )
    return {lesson["lesson"][:2]: Cost(lesson["seconds"] / 60, lesson["peak_mb"]) for lesson in run["lessons"]}


def picture_of(folder: Path) -> bytes:
    """The PNG of the first lesson's last figure, for the README: headlines before and after fine-tuning."""
    _, lesson = min((lesson.number, lesson.path) for lesson in find_lessons(folder))
    outputs = [output for _, cell in numbered_code_cells(read_notebook(lesson)) for output in cell.outputs]
    *_, picture = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    return base64.b64decode(picture)


def costs_text(costs: Mapping[str, Cost]) -> str:
    """The costs as CSV, which the installed package brings along for the set-up cell of a lesson that stands alone."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(["lesson", *Cost._fields])
    writer.writerows([number, f"{cost.minutes:.1f}", f"{cost.peak_mb:.0f}"] for number, cost in sorted(costs.items()))
    return lines.getvalue()


_HEAD = "| lesson | question | graduates | minutes | peak MB |\n|---|---|---|---|---|"


def _row(lesson: Lesson, cost: Cost) -> str:
    notebook = read_notebook(lesson.path)
    question = notebook.cells[0].source.splitlines()[0].split(" · ", 1)[1]
    graduates = [
        f"`{tag.removeprefix('graduates:')}`"
        for _, cell in numbered_code_cells(notebook)
        for tag in tags(cell)
        if tag.startswith("graduates:")
    ]
    link = f"[{lesson.number}]({lesson.path.name})"
    return f"| {link} | {question} | {', '.join(graduates) or '–'} | {cost.minutes:.1f} | {cost.peak_mb:,.0f} |"
