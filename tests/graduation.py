"""Graduation: a lesson's written-out function and the package's version of it agree to the last bit.

A lesson marks the cell that writes out ``training.fit`` with the tag ``graduates:training.fit``. To add the case of a
lesson NN, write ``tests/graduation_cases/case_NN.py`` with a list ``CASES``:

    from graduation import Case

    def run(functions):                      # the lesson's definitions, or the package's, by name
        return functions["encode"](["Shares fall"], TOKENIZER)

    CASES = [Case("batching.encode", run, mutants={"cut already": ("truncation=False", "truncation=True")})]

``run`` returns anything made of tensors, arrays, numbers, texts, lists and dictionaries; include parameters and the
random state where they matter. Each mutant replaces a piece of the lesson's source (which must occur) by a wrong one,
and the comparison must then fail. A mutant that raises is a broken test: where raising is the planted mistake, ``run``
catches that kind of error and returns it.
"""

from __future__ import annotations

import ast
import functools
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import torch

from bertft_helpers.series.catalogue import find_lessons

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
TAG = "graduates:"
NEEDED = {"imports", "parameters", "used-by-graduates"}  # tags of cells that graduating cells build on
Functions = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """How to compare one graduated name: ``run`` gets all definitions by name and returns what must be equal."""

    name: str  # module.function
    run: Callable[[Functions], Any]
    mutants: dict[str, tuple[str, str]] = field(default_factory=dict)  # what is wrong -> (old source, new source)

    @property
    def function(self) -> str:
        """The name without its module."""
        return self.name.split(".")[-1]


def find_lesson(number: str) -> Path | None:
    """The notebook of a lesson, or None when it is not written yet."""
    return next((lesson.path for lesson in find_lessons(NOTEBOOKS) if lesson.number == number), None)


def graduated_names() -> dict[str, str]:
    """Every name that a lesson's tags say it writes out -> the lesson's number."""
    found: dict[str, str] = {}
    for lesson in find_lessons(NOTEBOOKS):
        for cell in code_cells(lesson.path):
            for name in graduates(cell):
                assert name not in found, f"{name} graduates in {found[name]} and again in {lesson.number}"
                found[name] = lesson.number
    return found


@functools.cache  # the same notebooks are asked for in every comparison
def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    """The code cells of a notebook; not to be changed."""
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def graduates(cell: nbformat.NotebookNode) -> list[str]:
    """The names that a cell's tags say it writes out."""
    return [tag.removeprefix(TAG) for tag in cell.metadata.get("tags", []) if tag.startswith(TAG)]


def lesson_functions(number: str, replace: Mapping[str, tuple[str, str]] | None = None) -> dict[str, Any]:
    """What graduating cells and those they build on define; ``replace`` maps a name to a change of its cell.

    Raises AssertionError when the piece of source to be replaced does not occur.
    """
    path = find_lesson(number)
    assert path is not None, f"lesson {number} does not exist"
    namespace: dict[str, Any] = {"__name__": f"lesson_{number}"}
    for cell in code_cells(path):
        tags, names, source = cell.metadata.get("tags", []), graduates(cell), cell.source
        for name in names:
            if name in (replace or {}):
                old, new = replace[name]
                assert old in source, f"{name}: the lesson's source does not contain {old!r}"
                source = source.replace(old, new)
        if names or NEEDED & {*tags}:
            exec(compile(source, path.name, "exec", dont_inherit=True), namespace)
    return namespace


def package_functions(number: str) -> dict[str, Any]:
    """The lesson's namespace with every graduated definition replaced by the package's."""
    namespace = lesson_functions(number)
    for name, lesson in graduated_names().items():
        if lesson == number:
            module, function = name.split(".")
            namespace[function] = getattr(importlib.import_module(f"bertft_helpers.{module}"), function)
    return namespace


def equal(left: Any, right: Any) -> bool:
    """Equal to the last bit, through lists, dictionaries and objects with fields."""
    if isinstance(left, torch.Tensor):
        return isinstance(right, torch.Tensor) and left.dtype == right.dtype and torch.equal(left, right)
    if isinstance(left, np.ndarray):
        return isinstance(right, np.ndarray) and left.dtype == right.dtype and np.array_equal(left, right)
    if isinstance(left, dict):
        return isinstance(right, dict) and left.keys() == right.keys() and all(equal(left[k], right[k]) for k in left)
    if isinstance(left, list | tuple):
        return isinstance(right, list | tuple) and len(left) == len(right) and all(map(equal, left, right))
    return bool(left == right) or (left != left and right != right)


def defined_names(source: str) -> set[str]:
    """Functions and classes that a piece of source defines at its top level."""
    return {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def imported_names(source: str) -> set[str]:
    """``module.name`` for everything that a piece of source imports from the package."""
    prefix = "bertft_helpers."
    return {
        f"{node.module.removeprefix(prefix)}.{alias.name}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(prefix)
        for alias in node.names
    }
