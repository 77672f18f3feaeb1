"""Exercises tell plausible wrong answers apart: each gets a message of its own that says what is wrong with it.

``wrong_answers/NN.yaml`` lists them for lesson NN: under the name of each exercise, the ``answer`` and words that the
check must say (``told``). All of them are tried in one run of the lesson, with the empty answer as the last of each
exercise, so that the lesson must run on with it. The lessons without a list are in test_exercises.
"""

from __future__ import annotations

import copy
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
import yaml
from lessons_forked import run_smoke

from bertft_helpers.series.catalogue import Lesson, find_lessons
from bertft_helpers.series.notebook import read_notebook, tags
from bertft_helpers.series.teach.editions import learners_copy

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
LISTS = Path(__file__).with_name("wrong_answers")
LESSONS = [lesson for lesson in find_lessons(NOTEBOOKS) if (LISTS / f"{lesson.number}.yaml").is_file()]
FEWEST = 3


class Wrong(NamedTuple):
    """A plausible wrong answer, and words of the message that it must get."""

    answer: str
    told: str


def wrong_answers(lesson: Lesson) -> dict[str, list[Wrong]]:
    listed = yaml.safe_load((LISTS / f"{lesson.number}.yaml").read_text(encoding="utf-8"))
    return {str(name): [Wrong(**case) for case in cases] for name, cases in listed.items()}


def exercises(notebook: nbformat.NotebookNode) -> dict[str, tuple[int, int]]:
    """The places of each exercise's solution and of its check, by the exercise's name."""
    code = [place for place, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    solved = [pair for pair in pairwise(code) if "solution" in tags(notebook.cells[pair[0]])]
    return {str(number): pair for number, pair in enumerate(solved, start=1)}


def with_wrong_answers(notebook: nbformat.NotebookNode, wrong: dict[str, list[Wrong]]) -> nbformat.NotebookNode:
    """The lesson in which each exercise is answered wrongly, in every way, and then not at all."""
    places = exercises(notebook)
    answered = learners_copy(notebook)
    for name, cases in reversed(wrong.items()):
        empty, check = (answered.cells[place] for place in places[name])
        tried = []
        for number, case in enumerate([*cases, Wrong(empty.source, "")]):
            tried += [nbformat.v4.new_code_cell(case.answer), copy.deepcopy(check)]
            tried[-1].id = f"wrong-{name}-{number}"
        answered.cells[places[name][0] : places[name][1] + 1] = tried
    return answered


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.number)
def test_every_exercise_has_wrong_answers(lesson: Lesson) -> None:
    wrong = wrong_answers(lesson)
    assert wrong.keys() == exercises(read_notebook(lesson.path)).keys()
    assert min(map(len, wrong.values())) >= FEWEST


@pytest.mark.slow
@pytest.mark.exercises
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.number)
def test_each_wrong_answer_gets_a_message_of_its_own(lesson: Lesson) -> None:
    wrong = wrong_answers(lesson)
    said = run_smoke(lesson, with_wrong_answers(read_notebook(lesson.path), wrong))
    for name, cases in wrong.items():
        *messages, to_nothing = [said[f"wrong-{name}-{number}"].text for number in range(len(cases) + 1)]
        assert f"Exercise {name}: not yet" in to_nothing
        for case, message in zip(cases, messages, strict=True):
            assert f"Exercise {name}: not yet" in message, f"{case.answer}\nwas told: {message}"
            assert case.told in message, f"{case.answer}\nwas told: {message}"
        assert len(set(messages)) == len(messages), f"exercise {name}: two wrong answers get one message"
