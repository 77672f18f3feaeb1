"""What lessons write out and what the package offers are the same, to the last bit; see ``graduation.py``."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
from pathlib import Path

import pytest
from graduation import (
    NOTEBOOKS,
    Case,
    code_cells,
    defined_names,
    equal,
    find_lesson,
    graduated_names,
    graduates,
    imported_names,
    lesson_functions,
    package_functions,
)

PACKAGE = Path(__file__).parents[1] / "bertft_helpers"
CORE = (
    *("runtime", "config", "metrics", "tables", "pretrained", "data", "batching", "losses", "models", "vocabulary"),
    *("states", "validation", "features", "optim", "evaluation", "failures", "history", "training", "resume"),
    "inference",
)
INFRASTRUCTURE = {
    "runtime": "the machine, not the method",
    "config": "settings",
    "tables": "reading files: checks and messages around the csv and json modules",
    "validation": "checks and messages",
    "states": "files on disk",
    "failures": "checks and messages",
    "resume": "training.fit with its state on disk; a test proves it equal to fit",
    "vocabulary": "a way to compute the same numbers sooner; a test proves them equal",
    "pretrained": "finding and verifying files, around the two functions that lessons write out",
    "data": "the parts of loading that hold no idea of their own",
}
INFRASTRUCTURE_NAMES = {
    "batching.EncodedTexts": "a list with labels; lesson 13 writes its own",
    "batching.encode_dataset": "encode and truncate in one line",
    "batching.move_batch": "one line",
    "evaluation.Evaluation": "a record",
    "evaluation.Predictions": "a record",
    "training.steps_per_run": "a multiplication",
    "training.make_scaler": "needs a GPU to be shown",
    "training.close_epoch": "a part of fit",
    "training.EarlyStopping": "written out in lesson 29",
    "history.Step": "a record",
    "metrics.ClassScores": "a record",
    "metrics.Curve": "a record",
    "metrics.Reliability": "a record",
    "inference.Prediction": "a record",
    "inference.model_card": "text",
}


def case_files() -> list[Path]:
    files = sorted((Path(__file__).parent / "graduation_cases").glob("case_[0-9][0-9].py"))
    return [path for path in files if find_lesson(path.stem[-2:])]


def load_cases() -> list[tuple[str, Case]]:
    cases = []
    for path in case_files():
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        cases += [(path.stem[-2:], case) for case in module.CASES]
    return cases


CASES = load_cases()
MUTANTS = [(lesson, case, wrong) for lesson, case in CASES for wrong in case.mutants]


@pytest.mark.parametrize(("lesson", "case"), CASES, ids=[f"{lesson}-{case.name}" for lesson, case in CASES])
def test_lesson_and_package_agree_to_the_last_bit(lesson: str, case: Case) -> None:
    assert equal(case.run(lesson_functions(lesson)), case.run(package_functions(lesson)))


@pytest.mark.parametrize(
    ("lesson", "case", "wrong"), MUTANTS, ids=[f"{lesson}-{case.name}-{wrong}" for lesson, case, wrong in MUTANTS]
)
def test_a_planted_mistake_is_noticed(lesson: str, case: Case, wrong: str) -> None:
    mutated = lesson_functions(lesson, {case.name: case.mutants[wrong]})
    expected = case.run(package_functions(lesson))
    try:
        found = case.run(mutated)
    except Exception:
        return  # a mistake that raises is noticed too
    assert not equal(found, expected), f"the case of {case.name} does not notice: {wrong}"


def test_every_graduated_name_has_a_case_and_every_case_a_mutant() -> None:
    with_case = {case.name for _, case in CASES}
    assert sorted(set(graduated_names()) - with_case) == []
    assert sorted(with_case - set(graduated_names())) == []
    assert [case.name for _, case in CASES if not case.mutants] == []


def public_names() -> dict[str, str]:
    """``module.name`` of every public function and class of the core -> its docstring."""
    found = {}
    for module in CORE:
        for node in ast.parse((PACKAGE / f"{module}.py").read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                found[f"{module}.{node.name}"] = ast.get_docstring(node) or ""
    return found


def test_every_public_name_of_the_core_is_graduated_or_infrastructure() -> None:
    known = set(graduated_names()) | set(INFRASTRUCTURE_NAMES)
    unknown = [name for name in public_names() if name not in known and name.split(".")[0] not in INFRASTRUCTURE]
    assert unknown == []


def test_docstrings_name_the_lesson_that_writes_a_function_out() -> None:
    graduated = graduated_names()
    wrong = []
    for name, docstring in public_names().items():
        promised = re.findall(r"Written out\s+in lesson (\d\d)", docstring)
        if name in graduated and promised != [graduated[name]]:
            wrong.append(f"{name} graduates in lesson {graduated[name]}, its docstring says {promised}")
        if name not in graduated and promised and find_lesson(promised[0]):
            wrong.append(f"{name} promises lesson {promised[0]}, which does not write it out")
    assert wrong == []


def test_no_later_lesson_defines_a_graduated_function_again() -> None:
    graduated = {name.split(".")[1]: lesson for name, lesson in graduated_names().items()}
    again = [
        f"{path.name[:2]} defines {name}, which lesson {graduated[name]} wrote out"
        for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
        for cell in code_cells(path)
        for name in defined_names(without_magic(cell.source))
        if graduated.get(name, "99") < path.name[:2] and not any(g.endswith(f".{name}") for g in graduates(cell))
    ]
    assert again == []


def test_a_lesson_does_not_import_what_it_writes_out() -> None:
    graduated = graduated_names()
    wrong = [
        f"{path.name[:2]} imports {name}"
        for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
        for cell in code_cells(path)
        for name in imported_names(without_magic(cell.source))
        if graduated.get(name) == path.name[:2]
    ]
    assert wrong == []


def without_magic(source: str) -> str:
    return "\n".join(line for line in source.splitlines() if not line.lstrip().startswith(("%", "!")))


def test_the_package_may_add_validation_but_no_parameter_before_the_lessons_own() -> None:
    wrong = []
    for lesson, case in CASES:
        written, packaged = (
            functions[case.function] for functions in (lesson_functions(lesson), package_functions(lesson))
        )
        mine, theirs = (list(inspect.signature(function).parameters) for function in (written, packaged))
        if theirs[: len(mine)] != mine:
            wrong.append(f"{case.name}: {mine} in the lesson, {theirs} in the package")
    assert wrong == []
