"""Exercises: a solution is told `correct`, an empty answer `not yet`, a wrong one what is wrong; nothing crashes.

``wrong_answers/NN.md`` holds what learners of lesson NN may write, under headings of the form "Exercise 1 is told: …".
"""

from __future__ import annotations

import copy
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
from conftest import Silent
from nbformat import NotebookNode

from bertft_helpers.series.catalogue import Lesson, find_lessons, plan_parameters
from bertft_helpers.series.execute.runner import run_lessons
from bertft_helpers.series.notebook import read_notebook, tags
from bertft_helpers.series.teach.editions import learners_copy

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
LESSONS = find_lessons(NOTEBOOKS)
VERDICT = re.compile(r"^Exercise (\w+): (correct|not yet)", flags=re.MULTILINE)
WRONG_ANSWERS = Path(__file__).parent / "wrong_answers"
WRONG_ANSWER = re.compile(r"^## Exercise (\w+) is told: (.+?)\n.*?^```python\n(.*?)^```", flags=re.M | re.S)
FEWEST_WRONG = 3  # for each exercise


class WrongAnswer(NamedTuple):
    """What a learner might write in an exercise's cell, and a part of what the check must say to it."""

    exercise: str
    told: str
    code: str


def verdicts(path: Path) -> dict[str, str]:
    texts = [
        output.get("text", "")
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code"
        for output in cell.outputs
    ]
    return dict(VERDICT.findall("\n".join(texts)))


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_the_stored_solutions_are_correct(lesson: Lesson) -> None:
    found = verdicts(lesson.path)
    assert 2 <= len(found) <= 3
    assert set(found.values()) == {"correct"}


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_an_empty_answer_is_told_not_yet_and_the_lesson_runs_on(lesson: Lesson, tmp_path: Path) -> None:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    shutil.copytree(NOTEBOOKS / "results", folder / "results")
    nbformat.write(learners_copy(read_notebook(lesson.path)), folder / lesson.path.name)
    parameters = plan_parameters(NOTEBOOKS, [lesson], "smoke")
    (outcome,) = run_lessons([Lesson(folder / lesson.path.name)], parameters, tmp_path / "build", Silent())
    assert outcome.ok, f"cell {outcome.cell}: {outcome.source}: {outcome.error}"
    found = verdicts(tmp_path / "build" / lesson.path.name)
    assert found.keys() == verdicts(lesson.path).keys()
    assert set(found.values()) == {"not yet"}, found


def read_wrong_answers(lesson: Lesson) -> list[WrongAnswer]:
    text = (WRONG_ANSWERS / f"{lesson.number}.md").read_text(encoding="utf-8")
    return [WrongAnswer(*found) for found in WRONG_ANSWER.findall(text)]


def with_wrong_answers(notebook: NotebookNode, wrong: list[WrongAnswer]) -> NotebookNode:
    """The lesson with each wrong answer and the exercise's check before the solution, which then is checked as well."""
    tried, cells = copy.deepcopy(notebook), iter(notebook.cells)
    tried.cells = []
    for cell in cells:
        if "solution" in tags(cell):
            check = next(cells)
            name = re.findall(r'with exercise\("(\w+)"\)', check.source)[0]
            for code in [*(answer.code for answer in wrong if answer.exercise == name), cell.source]:
                tried.cells += [_cell(code, cell), _cell(check.source, check)]
        else:
            tried.cells.append(cell)
    return tried


def _cell(code: str, like: NotebookNode) -> NotebookNode:
    return nbformat.v4.new_code_cell(code, metadata=copy.deepcopy(like.metadata))


def messages(path: Path) -> Iterator[tuple[str, str]]:
    """(exercise, what it was told) for each check of an executed lesson, in order."""
    for cell in nbformat.read(path, as_version=4).cells:
        text = "".join(output.get("text", "") for output in cell.get("outputs", []))
        yield from re.findall(r"^Exercise (\w+): (.+(?:\n.+)*)", text, flags=re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize(
    "lesson",
    [lesson for lesson in LESSONS if (WRONG_ANSWERS / f"{lesson.number}.md").exists()],
    ids=lambda lesson: lesson.name,
)
def test_a_wrong_answer_is_told_what_is_wrong_with_it_and_no_other_is_told_the_same(
    lesson: Lesson, tmp_path: Path
) -> None:
    wrong, source = read_wrong_answers(lesson), tmp_path / lesson.path.name
    shutil.copytree(NOTEBOOKS / "results", tmp_path / "results")
    nbformat.write(with_wrong_answers(read_notebook(lesson.path), wrong), source)
    parameters = plan_parameters(NOTEBOOKS, [lesson], "smoke")
    (outcome,) = run_lessons([Lesson(source)], parameters, tmp_path / "build", Silent())
    assert outcome.ok, f"cell {outcome.cell}: {outcome.source}: {outcome.error}"
    told = list(messages(tmp_path / "build" / lesson.path.name))
    for name in verdicts(lesson.path):
        answers = [answer for answer in wrong if answer.exercise == name]
        *said, right = [message for exercise, message in told if exercise == name]
        assert right.startswith("correct")
        assert len(answers) >= FEWEST_WRONG
        for answer, message in zip(answers, said, strict=True):
            assert message.startswith("not yet"), f"{answer.code}\nof exercise {name} is told {message}"
            assert answer.told in message, f"{answer.code}\nof exercise {name} is told {message}"
        assert len(set(said)) == len(said), f"exercise {name}: {said}"
