"""Exercises: a solution is told `correct` (in the stored outputs), an empty answer `not yet`, and nothing crashes.

Where test_wrong_answers has a list for a lesson, it tries the empty answers too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import nbformat
import pytest
from lessons_forked import run_smoke

from bertft_helpers.series.catalogue import Lesson, find_lessons
from bertft_helpers.series.notebook import read_notebook
from bertft_helpers.series.teach.editions import learners_copy

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
LESSONS = find_lessons(NOTEBOOKS)
LISTED = {path.stem for path in Path(__file__).with_name("wrong_answers").glob("*.yaml")}
UNLISTED = [lesson for lesson in LESSONS if lesson.number not in LISTED]
VERDICT = re.compile(r"^Exercise (\w+): (correct|not yet)", flags=re.MULTILINE)


def verdicts_in(texts: Iterable[str]) -> dict[str, str]:
    """What checks said of exercises, by the exercise's name."""
    return dict(VERDICT.findall("\n".join(texts)))


def verdicts(path: Path) -> dict[str, str]:
    """Those among a notebook's stored outputs."""
    return verdicts_in(
        output.get("text", "")
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_the_stored_solutions_are_correct(lesson: Lesson) -> None:
    found = verdicts(lesson.path)
    assert 2 <= len(found) <= 3
    assert set(found.values()) == {"correct"}


@pytest.mark.slow
@pytest.mark.exercises
@pytest.mark.parametrize("lesson", UNLISTED, ids=lambda lesson: lesson.name)
def test_an_empty_answer_is_told_not_yet_and_the_lesson_runs_on(lesson: Lesson) -> None:
    said = run_smoke(lesson, learners_copy(read_notebook(lesson.path)))
    found = verdicts_in(cell.text for cell in said.values())
    assert found.keys() == verdicts(lesson.path).keys()
    assert set(found.values()) == {"not yet"}, found
