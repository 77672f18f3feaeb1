"""What a lesson offers to copy runs as it stands: alone, with nothing run before, without a network."""

from __future__ import annotations

from pathlib import Path

import pytest
from lessons_forked import NOTEBOOKS, run_cells

from bertft_helpers.series.catalogue import Lesson, find_lessons
from bertft_helpers.series.notebook import read_notebook, tags

LESSONS = find_lessons(NOTEBOOKS)

pytestmark = [pytest.mark.slow, pytest.mark.exercises]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.number)
def test_in_short_runs_alone_and_shows_something(lesson: Lesson, tmp_path: Path) -> None:
    notebook = read_notebook(lesson.path)
    notebook.cells = [cell for cell in notebook.cells if "in-short" in tags(cell)]
    (said,) = run_cells(notebook, tmp_path, {}).values()
    assert said.text or said.showed
