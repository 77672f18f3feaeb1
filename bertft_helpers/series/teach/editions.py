"""The two editions of a lesson for a workshop: the learners' without solutions, the instructors' with notes."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from bertft_helpers.series.catalogue import NUMBER, Lesson, find_lessons
from bertft_helpers.series.notebook import read_notebook, tags, unfold, write_notebook
from bertft_helpers.series.site.links import rewrite_links
from bertft_helpers.series.stamp import with_local_links

__all__ = [
    "STUB",
    "instructors_copy",
    "learners_copy",
    "learners_pages",
    "linked_from",
    "stumbling_blocks",
    "write_editions",
]

STUB = "...  # your answer"
_VERDICT = re.compile(r"^Exercise \w+: ", flags=re.MULTILINE)
_STUMBLING = re.compile(rf"^\| ({NUMBER}) \| (.+?) \|$", flags=re.MULTILINE)


def write_editions(folder: Path, out: Path, notes: Mapping[str, str]) -> None:
    """Write ``learners/`` and ``instructors/`` with a copy of every lesson and what the lessons link to.

    ``notes`` are Markdown by lesson number; a lesson without one gets no note.
    """
    for edition in ("learners", "instructors"):
        (out / edition).mkdir(parents=True, exist_ok=True)
        for page in folder.glob("*.md"):
            (out / edition / page.name).write_text(page.read_text(encoding="utf-8"), encoding="utf-8")
    for lesson in find_lessons(folder):
        notebook = with_local_links(read_notebook(lesson.path), lesson.path.name)
        copies = {
            "learners": learners_copy(notebook),
            "instructors": instructors_copy(notebook, notes.get(lesson.number, "")),
        }
        for edition, edited in copies.items():
            target = out / edition / lesson.place
            target.parent.mkdir(parents=True, exist_ok=True)
            write_notebook(edited, target)


def learners_pages(folder: Path) -> dict[str, str]:
    """Where the learners' edition has each lesson and page of ``folder``, by its path in the project."""
    pages = {f"notebooks/{path.name}": f"learners/{path.name}" for path in folder.glob("*.md")}
    return pages | {lesson.origin: f"learners/{lesson.place}" for lesson in find_lessons(folder)}


def linked_from(page: str, lesson: Lesson, pages: Mapping[str, str]) -> NotebookNode:
    """The lesson with links that lead from ``page`` of the workshop to the learners' edition, also when stamped."""
    notebook = with_local_links(read_notebook(lesson.path), lesson.path.name)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = rewrite_links(cell.source, lesson.origin, page, pages, None)
    return notebook


def learners_copy(notebook: NotebookNode) -> NotebookNode:
    """The lesson with an empty answer in each exercise, and without the verdicts on the answers that were there.

    nbgrader removes the solutions. All other outputs stay: they are what a learner compares with.
    """
    from nbgrader.preprocessors import ClearSolutions
    from traitlets.config import Config

    config = Config({"ClearSolutions": {"code_stub": {"python": STUB}, "enforce_metadata": False}})
    learners, _ = ClearSolutions(config=config).preprocess(copy.deepcopy(notebook), {})
    for cell in learners.cells:
        if cell.cell_type == "code" and ("solution" in tags(cell) or _holds_verdict(cell)):
            cell.outputs, cell.execution_count = [], None
            unfold(cell)
    learners.metadata.pop("bertft", None)  # digests of code that is no longer all there
    return learners


def _holds_verdict(cell: NotebookNode) -> bool:
    return any(_VERDICT.search(output.get("text", "")) for output in cell.outputs)


def instructors_copy(notebook: NotebookNode, note: str) -> NotebookNode:
    """The lesson with its solutions open, and below its first cell the teacher's note (Markdown, none if empty)."""
    instructors = copy.deepcopy(notebook)
    instructors.metadata.pop("bertft", None)
    for cell in instructors.cells:
        unfold(cell)
    if note:
        quoted = "\n".join(f"> {line}" for line in note.splitlines())
        instructors.cells.insert(1, nbformat.v4.new_markdown_cell(quoted, id="instructors-note"))
    return instructors


def stumbling_blocks(workshop_page: str) -> dict[str, str]:
    """What people get stuck on, by lesson number: the rows ``| 19 | text |`` of WORKSHOP.md."""
    return {number: text.strip() for number, text in _STUMBLING.findall(workshop_page)}
