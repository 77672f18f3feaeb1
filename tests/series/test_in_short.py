"""What a lesson offers to copy runs as it stands: alone, in a fresh kernel, without a network."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Silent, write_lesson

from bertft_helpers.series.catalogue import Lesson, find_lessons
from bertft_helpers.series.execute.runner import run_lessons
from bertft_helpers.series.notebook import numbered_code_cells, read_notebook, tags

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
LESSONS = find_lessons(NOTEBOOKS)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.number)
def test_in_short_runs_alone_and_shows_something(
    lesson: Lesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (cell,) = [cell for _, cell in numbered_code_cells(read_notebook(lesson.path)) if "in-short" in tags(cell)]
    cell.outputs, cell.execution_count = [], None
    alone = Lesson(write_lesson(tmp_path / lesson.path.name, [cell]))
    (outcome,) = run_lessons([alone], {}, tmp_path / "run", Silent())
    assert outcome.ok, outcome
    (ran,) = read_notebook(tmp_path / "run" / lesson.path.name).cells[-1:]
    assert any(output.get("name") == "stdout" or "data" in output for output in ran.outputs)
