"""Checks that read stored lessons and run nothing: what a comparison of outputs is blind to.

A stripped, reordered or edited notebook still passes nbval, so each rule about a file is a gate here: a small function
from a page to the problems it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from nbformat import NotebookNode

from bertft_helpers.series.gates import anatomy, outputs, told
from bertft_helpers.series.gates.folder import find_all
from bertft_helpers.series.notebook import read_notebook

__all__ = ["PAGE_GATES", "Finding", "Gate", "Problem", "check_folder", "check_lesson"]

Finding = tuple[int | None, str]  # position of the cell among all cells, counted from 1, and what is wrong with it
Gate = Callable[[NotebookNode], Iterable[Finding]]

PAGE_GATES: tuple[Gate, ...] = (*outputs.GATES, *anatomy.GATES)


@dataclass(frozen=True)
class Problem:
    """Something wrong with a stored lesson."""

    lesson: str
    cell: int | None
    text: str

    def __str__(self) -> str:
        place = f" cell {self.cell}" if self.cell else ""
        return f"{self.lesson}{place}: {self.text}"

    def as_dict(self) -> dict[str, object]:
        """For programs."""
        return asdict(self)


def check_lesson(path: Path, gates: Sequence[Gate] = PAGE_GATES) -> list[Problem]:
    """All problems of one stored lesson, in the order of the gates."""
    try:
        notebook = read_notebook(path)
    except ValueError as error:
        return [Problem(path.name, None, str(error))]
    found = [finding for gate in gates for finding in _apply(gate, notebook)]
    for gate in (*anatomy.NAMED_GATES, told.unprinted_number):
        found += gate(path.stem, notebook)
    return [Problem(path.name, cell, text) for cell, text in found]


def check_folder(folder: Path) -> list[Problem]:
    """Problems of the series as a whole: numbering, links between lessons, the shared set-up cell."""
    return [Problem(name, cell, text) for name, cell, text in find_all(folder)]


def _apply(gate: Gate, notebook: NotebookNode) -> Iterator[Finding]:
    try:
        yield from gate(notebook)
    except SyntaxError as error:
        yield None, f"a code cell is not valid Python: {error.msg}: {(error.text or '').strip()}"
    except ValueError as error:
        yield None, str(error)
