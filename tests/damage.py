"""Ways to damage a stored lesson. Each takes the path of any lesson, changes one thing and returns the cell's position.

Positions count all cells from 1, as every message about a cell does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat import NotebookNode

Damage = Callable[[NotebookNode], int | None]


def apply(damage: Damage, path: Path) -> int | None:
    """Damage the notebook in place; the position of the damaged cell, None for the notebook as a whole."""
    notebook = nbformat.read(path, as_version=4)
    position = damage(notebook)
    nbformat.write(notebook, path)
    return position


def first_cell(notebook: NotebookNode, fits: Callable[[NotebookNode], bool]) -> tuple[int, NotebookNode]:
    return next((n, c) for n, c in enumerate(notebook.cells, start=1) if c.cell_type == "code" and fits(c))


def change_digit(notebook: NotebookNode) -> int:
    number, cell = first_cell(notebook, lambda c: _is_exact(c) and _printed(c, r"\d"))
    _substitute(cell, r"\d", lambda digit: str((int(digit) + 1) % 10))
    return number


def shift_decimal(by: float) -> Damage:
    def shift(notebook: NotebookNode) -> int:
        number, cell = first_cell(notebook, lambda c: _is_tolerant(c) and _printed(c, r"\d\.\d+"))
        _substitute(cell, r"\d+\.\d+", lambda decimal: f"{float(decimal) + by:.{len(decimal.split('.')[1])}f}")
        return number

    return shift


def change_whole_number_in_tolerant_cell(notebook: NotebookNode) -> int:
    number, cell = first_cell(notebook, lambda c: _is_tolerant(c) and _printed(c, r"(?<![\d.])\d+(?![\d.])"))
    _substitute(cell, r"(?<![\d.])\d+(?![\d.])", lambda whole: str(int(whole) + 1))
    return number


def strip_output(notebook: NotebookNode) -> int:
    number, cell = first_cell(notebook, lambda c: "print(" in c.source and c.outputs)
    cell.outputs = []
    return number


def strip_output_and_count(notebook: NotebookNode) -> int:
    number, cell = first_cell(notebook, lambda c: bool(c.outputs))
    cell.outputs, cell.execution_count = [], None
    return number


def swap_cells(notebook: NotebookNode) -> int:
    first, second = [n for n, c in enumerate(notebook.cells) if c.cell_type == "code"][-2:]
    notebook.cells[first], notebook.cells[second] = notebook.cells[second], notebook.cells[first]
    return first + 1


def edit_source(notebook: NotebookNode) -> int:
    number, cell = first_cell(notebook, lambda c: bool(c.outputs))
    cell.source += "\npass"
    return number


def remove_last_code_cell(notebook: NotebookNode) -> None:
    last = [n for n, c in enumerate(notebook.cells) if c.cell_type == "code"][-1]
    del notebook.cells[last]


def remove_alt_text(notebook: NotebookNode) -> int:
    number, cell = first_cell(notebook, _has_figure)
    for output in cell.outputs:
        output.metadata = {}
    return number


def remove_figure(notebook: NotebookNode) -> int:
    number, cell = first_cell(notebook, _has_figure)
    for output in cell.outputs:
        output.get("data", {}).pop("image/png", None)
    return number


def ignore_figure(notebook: NotebookNode) -> int:
    number, cell = first_cell(notebook, _has_figure)
    cell.source = "# not compared: it differs\n" + cell.source
    cell.metadata.setdefault("tags", []).append("nbval-ignore-output")
    return number


def ignore_without_reason(notebook: NotebookNode) -> int:
    number, cell = first_cell(notebook, lambda c: "print(" in c.source)
    cell.metadata.setdefault("tags", []).append("nbval-ignore-output")
    return number


def print_text(text: str, stream: str = "stdout") -> Damage:
    def add(notebook: NotebookNode) -> int:
        number, cell = first_cell(notebook, lambda c: bool(c.outputs))
        cell.outputs.append(nbformat.v4.new_output("stream", name=stream, text=text))
        return number

    return add


def print_every_digit(notebook: NotebookNode) -> int:
    number, cell = first_cell(notebook, lambda c: _is_exact(c) and c.outputs)
    cell.outputs.append(nbformat.v4.new_output("stream", name="stdout", text="a number: -0.019220571964979172"))
    return number


def add_error_output(notebook: NotebookNode) -> int:
    number, cell = first_cell(notebook, lambda c: bool(c.outputs))
    cell.outputs.append(nbformat.v4.new_output("error", ename="ValueError", evalue="planted", traceback=[]))
    return number


def add_widget_view(notebook: NotebookNode) -> int:
    number, cell = first_cell(notebook, lambda c: bool(c.outputs))
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}}
    cell.outputs.append(nbformat.v4.new_output("display_data", data=view))
    return number


def add_widget_state(notebook: NotebookNode) -> None:
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}


def add_run_metadata(notebook: NotebookNode) -> int:
    number, cell = first_cell(notebook, lambda c: True)
    cell.metadata["execution"] = {"iopub.execute_input": "2026-01-01T00:00:00Z"}
    return number


def _printed(cell: NotebookNode, pattern: str) -> bool:
    return any(re.search(pattern, output.get("text", "")) for output in cell.outputs)


def _substitute(cell: NotebookNode, pattern: str, change: Callable[[str], str]) -> None:
    for output in cell.outputs:
        if "text" in output and re.search(pattern, output.text):
            output.text = re.sub(pattern, lambda match: change(match.group()), output.text, count=1)
            return


def _has_figure(cell: NotebookNode) -> bool:
    return any("image/png" in output.get("data", {}) for output in cell.outputs)


def _is_tolerant(cell: NotebookNode) -> bool:
    return any(tag.startswith("nbval-atol") for tag in cell.metadata.get("tags", []))


def _is_exact(cell: NotebookNode) -> bool:
    return not _is_tolerant(cell) and "nbval-ignore-output" not in cell.metadata.get("tags", [])
