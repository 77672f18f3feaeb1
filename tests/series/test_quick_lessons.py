"""Lessons that ``bertft run --fast`` trains as this machine is quickest; the map's minutes are not taken from them."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import code, text, write_lesson
from typer.testing import CliRunner, Result

from bertft_helpers.cli.main import app
from bertft_helpers.series.catalogue import Lesson, find_lessons
from bertft_helpers.series.costs import Cost
from bertft_helpers.series.execute import runner, side_by_side
from bertft_helpers.series.execute.runner import Outcome
from bertft_helpers.series.notebook import declared_parameters, numbered_code_cells, parse_cell, read_notebook
from bertft_helpers.series.overview import costs_of_run

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
FITTED = ["find_choice", "set_up", "build_optimizer", "fit", "take_down"]
TRAINED = ["find_choice", "set_up", "freeze", "make_scaler", "build_optimizer", "train_epoch", "take_down"]
ORDERS = {"22": FITTED, "24": FITTED, "30": TRAINED}
QUICK = {
    lesson.number: lesson
    for lesson in find_lessons(NOTEBOOKS)
    if "QUICK" in declared_parameters(read_notebook(lesson.path))
}


def calls(lesson: Lesson) -> Iterator[tuple[str, str]]:
    """Each call of a plain name in a lesson's code, in the order of the text: the name, and the whole call."""
    for _, cell in numbered_code_cells(read_notebook(lesson.path)):
        found = [node for node in ast.walk(parse_cell(cell.source)) if isinstance(node, ast.Call)]
        for call in sorted(found, key=lambda node: (node.lineno, node.col_offset)):
            if isinstance(call.func, ast.Name):
                yield call.func.id, ast.unparse(call)


def test_stored_outputs_are_those_of_the_exact_way() -> None:
    stored = {number: declared_parameters(read_notebook(lesson.path))["QUICK"] for number, lesson in QUICK.items()}
    assert stored == dict.fromkeys(ORDERS, False)


@pytest.mark.parametrize("number", ORDERS)
def test_the_model_is_set_up_before_its_optimizer_is_built_and_taken_down_after_training(number: str) -> None:
    watched = {*FITTED, *TRAINED}
    assert [name for name, _ in calls(QUICK[number]) if name in watched] == ORDERS[number]


@pytest.mark.parametrize("number", ORDERS)
def test_way_and_precision_are_the_chosen_ones(number: str) -> None:
    made = dict(calls(QUICK[number]))
    assert made["set_up"].lower() == "set_up(model, way, seed)"
    assert made["TrainConfig"] == "TrainConfig(epochs=EPOCHS, precision=way.precision)"
    trains = made[ORDERS[number][-2]]
    assert "config" in trains
    assert ("scaler=scaler" in trains) == ("make_scaler" in made)  # fit makes its own
    ways = [
        ast.unparse(node.value)
        for _, cell in numbered_code_cells(read_notebook(QUICK[number].path))
        for node in ast.walk(parse_cell(cell.source))
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "way"
    ]
    assert ways == ["find_choice(device) if QUICK else EXACT"]


@pytest.fixture
def lessons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lesson that can be quick and one that cannot; they are not executed, but said to have run, one by one."""
    folder = tmp_path / "notebooks"
    for name, parameters in {"01_plain": "SEED = 0", "02_can_be_quick": "SEED = 0\nQUICK = False"}.items():
        write_lesson(folder / f"{name}.ipynb", [text("# Q · ?"), code(parameters, "parameters")])

    def run_lessons(lessons: Sequence[Lesson], plan: Mapping[str, Any], out: Path, *_: object) -> list[Outcome]:
        out.mkdir()
        (tmp_path / "plan.json").write_text(json.dumps(plan))
        return [Outcome(lesson.name, "ok", 60.0, 700.0) for lesson in lessons]

    monkeypatch.setattr(runner, "run_lessons", run_lessons)
    monkeypatch.setattr(side_by_side, "lessons_at_once", lambda: 1)  # so that no other reason spoils a run for the map
    return folder


def run(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["run", *words, "--notebooks", str(folder), "--out", str(folder.parent / "build")])


@pytest.mark.parametrize(
    ("words", "plain", "can_be_quick"),
    [
        ([], {}, {}),
        (["--fast"], {}, {"QUICK": True}),
        (["--fast", "-p", "QUICK=False"], {}, {"QUICK": False}),
        (["--fast", "-p", "SEED=1"], {"SEED": 1}, {"SEED": 1, "QUICK": True}),
        (["-p", "QUICK=True"], {}, {"QUICK": True}),
    ],
)
def test_fast_gives_quick_to_lessons_that_have_it_and_a_reader_s_own_value_wins(
    lessons: Path, words: list[str], plain: dict[str, Any], can_be_quick: dict[str, Any]
) -> None:
    done = run(lessons, *words)
    assert done.exit_code == 0, done.output
    assert json.loads((lessons.parent / "plan.json").read_text()) == {
        "01_plain": plain,
        "02_can_be_quick": can_be_quick,
    }


def test_fast_runs_a_lesson_without_the_parameter(lessons: Path) -> None:
    assert run(lessons, "--fast", "01").exit_code == 0
    assert json.loads((lessons.parent / "plan.json").read_text()) == {"01_plain": {}}


@pytest.mark.parametrize("words", [["--fast"], ["-p", "QUICK=True"], ["-p", "SEED=1"]])
def test_the_map_takes_no_minutes_from_a_run_that_was_quick_or_had_other_values(
    lessons: Path, words: list[str]
) -> None:
    run(lessons, *words)
    with pytest.raises(ValueError, match=r"lessons' own values.*given=\{.*'02_can_be_quick': \{'(QUICK|SEED)'"):
        costs_of_run(lessons.parent / "build" / "run.json")


def test_the_map_takes_minutes_from_a_run_without_fast(lessons: Path) -> None:
    run(lessons)
    assert costs_of_run(lessons.parent / "build" / "run.json") == {"01": Cost(1.0, 700.0), "02": Cost(1.0, 700.0)}
