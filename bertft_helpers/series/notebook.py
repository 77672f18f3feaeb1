"""One lesson as a file: reading, writing, its cells, its parameters and the digest of its code."""

from __future__ import annotations

import ast
import hashlib
import json
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from bertft_helpers.errors import UserError
from bertft_helpers.files import new_file, sweep

__all__ = [
    "cell_digests",
    "declared_parameters",
    "fold",
    "is_folded",
    "numbered_code_cells",
    "parse_cell",
    "read_notebook",
    "source_digest",
    "source_head",
    "tags",
    "unfold",
    "write_notebook",
]


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook as format 4.

    Raises ``ValueError`` naming the file when it is not a notebook.
    """
    try:
        return nbformat.read(path, as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, UnicodeDecodeError) as error:
        raise UserError(f"{path.name} is not a readable notebook: {str(error)[:200]}") from error


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook so that a reader finds either the old file or the complete new one."""
    sweep(path.parent)
    with new_file(path) as draft:
        nbformat.write(notebook, draft)


def tags(cell: NotebookNode) -> list[str]:
    """The tags of a cell, empty when it has none."""
    return list(cell.metadata.get("tags", []))


def is_folded(cell: NotebookNode) -> bool:
    """Whether JupyterLab hides the source of a cell until it is clicked."""
    return bool(cell.metadata.get("jupyter", {}).get("source_hidden"))


def fold(cell: NotebookNode) -> None:
    """Hide the source of a cell until it is clicked, in JupyterLab and on Colab (which shows its ``# @title``)."""
    cell.metadata["jupyter"] = {**cell.metadata.get("jupyter", {}), "source_hidden": True}
    cell.metadata["cellView"] = "form"


def unfold(cell: NotebookNode) -> None:
    """Show the source of a cell at once."""
    cell.metadata.get("jupyter", {}).pop("source_hidden", None)


def numbered_code_cells(notebook: NotebookNode) -> list[tuple[int, NotebookNode]]:
    """Non-empty code cells with their position among all cells, counted from 1."""
    return [(n, c) for n, c in enumerate(notebook.cells, start=1) if c.cell_type == "code" and c.source.strip()]


def source_digest(notebook: NotebookNode) -> str:
    """sha256 over the sources of all code cells, in order; text cells, outputs and the set-up cell do not count."""
    sources = [cell.source for cell in _lesson_cells(notebook)]
    return hashlib.sha256(json.dumps(sources, ensure_ascii=False).encode()).hexdigest()


def cell_digests(notebook: NotebookNode) -> dict[str, str]:
    """The first 16 digits of each code cell's sha256, by cell id: enough to name the cell that changed."""
    return {cell.id: hashlib.sha256(cell.source.encode()).hexdigest()[:16] for cell in _lesson_cells(notebook)}


def _lesson_cells(notebook: NotebookNode) -> list[NotebookNode]:
    # the set-up cell changes no result, and a gate of its own holds it to one text
    return [cell for _, cell in numbered_code_cells(notebook) if "setup" not in tags(cell)]


def parse_cell(source: str) -> ast.Module:
    """Parse a code cell; lines of IPython magic (``%``, ``!``) count as ``pass``. Raises ``SyntaxError``."""
    if source.lstrip().startswith("%%"):
        return ast.parse("")
    return ast.parse("\n".join(_without_magic(line) for line in source.splitlines()))


def _without_magic(line: str) -> str:
    body = line.lstrip()
    return line[: len(line) - len(body)] + "pass" if body.startswith(("%", "!")) else line


def declared_parameters(notebook: NotebookNode) -> dict[str, Any]:
    """Names and literal values assigned in the cell tagged ``parameters``.

    Raises ``ValueError`` when a value is not a plain literal, because an override could then not be checked.
    """
    declared: dict[str, Any] = {}
    for number, cell in numbered_code_cells(notebook):
        if "parameters" in tags(cell):
            for statement in parse_cell(cell.source).body:
                declared.update(_assigned_literal(statement, number))
    return declared


def _assigned_literal(statement: ast.stmt, number: int) -> dict[str, Any]:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            pass
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            pass
        case _:
            raise UserError(f"cell {number}: line {statement.lineno} is not NAME = literal; parameters are literals")
    try:
        return {name: ast.literal_eval(value)}
    except ValueError:
        raise UserError(f"cell {number}: {name} is not a plain literal: {ast.unparse(value)}") from None


def source_head(source: str) -> str:
    """The first line that is not a comment, shortened: enough to recognise a cell by."""
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    head = next((line for line in lines if not line.startswith("#")), lines[0] if lines else "")
    return head if len(head) <= 60 else head[:59] + "…"
