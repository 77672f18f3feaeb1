"""Writes into all lessons where their helper package comes from, and the links that open them on Colab and Kaggle."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode

from bertft_helpers.errors import UserError
from bertft_helpers.series.catalogue import find_lessons
from bertft_helpers.series.notebook import (
    SOURCE_LINE,
    UNSTAMPED,
    numbered_code_cells,
    read_notebook,
    tags,
    write_notebook,
)

NOT_PUBLISHED = "Colab: not published yet"
_UPLOAD = "Colab: upload this file, it installs its package itself"
_GITHUB = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)@(?P<tag>[\w.+/-]+)")
_GIT_URL = re.compile(r"(?:git\+)?(?P<url>(?:https|ssh|file)://[^\s\"'\\@]+)@(?P<tag>[\w.+/-]+)")
_BADGE = re.compile(
    rf"^(?:{re.escape(NOT_PUBLISHED)}|{re.escape(_UPLOAD)}|\[Open in Colab\]\(\S+\) · \[Open in Kaggle\]\(\S+\))",
    flags=re.MULTILINE,
)
_LESSON_LINE = re.compile(r'^LESSON = "(\d\d)"$', flags=re.MULTILINE)


def source_of(origin: str) -> str:
    """What pip installs the package from, for ``OWNER/REPO@TAG`` or a git address with a tag.

    Raises ValueError for anything else: without a tag, lesson and package would drift apart, and a user name or a
    password in an address would be published.
    """
    if match := _GITHUB.fullmatch(origin):
        return f"git+https://github.com/{match['repository']}@{match['tag']}"
    if match := _GIT_URL.fullmatch(origin):
        return f"git+{match['url']}@{match['tag']}"
    raise UserError(
        f"{origin!r} is no source of the package: give OWNER/REPO@TAG, or a git address without a user name and with "
        "a tag at its end, like https://example.org/project.git@v1.0"
    )


def stamp_lessons(folder: Path, source: str) -> int:
    """Write ``source`` and the links that follow from it into all lessons; the number of lessons that changed.

    ``UNSTAMPED`` as source takes an earlier stamp back. Stored outputs stay valid: the stamped line is not part of
    what was executed. Raises ValueError, before anything is written, when a lesson has no place for the stamp.
    """
    lessons = [(lesson.path, read_notebook(lesson.path)) for lesson in find_lessons(folder)]
    changed = [(path, notebook) for path, notebook in lessons if stamp_notebook(notebook, path.name, source)]
    for path, notebook in changed:
        write_notebook(notebook, path)
    return len(changed)


def stamp_notebook(notebook: NotebookNode, name: str, source: str) -> bool:
    """Stamp one lesson in memory; whether that changed it. Raises ValueError when it has no place for the stamp."""
    first, setup = notebook.cells[0], setup_cell(notebook)
    if setup is None or not SOURCE_LINE.search(setup.source) or not _BADGE.search(first.source):
        raise UserError(f"{name} has no set-up cell with a line SOURCE, or no link to Colab in its first cell")
    before = first.source, setup.source
    first.source = _BADGE.sub(lambda _: badge(source, name), first.source, count=1)
    setup.source = SOURCE_LINE.sub(lambda match: f'{match[1]}"{source}"{match[3]}', setup.source, count=1)
    return (first.source, setup.source) != before


def badge(source: str, name: str) -> str:
    """The start of a lesson's line of links, for the lesson's file name."""
    if source == UNSTAMPED:
        return NOT_PUBLISHED
    match = re.fullmatch(r"git\+https://github\.com/(?P<repository>[^@]+?)(?:\.git)?@(?P<tag>.+)", source)
    if match is None:
        return _UPLOAD
    page = f"github/{match['repository']}/blob/{match['tag']}/notebooks/{name}"
    kaggle = f"https://kaggle.com/kernels/welcome?src=https://github.com/{page.removeprefix('github/')}"
    return f"[Open in Colab](https://colab.research.google.com/{page}) · [Open in Kaggle]({kaggle})"


def setup_cell(notebook: NotebookNode) -> NotebookNode | None:
    """The cell tagged ``setup``."""
    return next((cell for _, cell in numbered_code_cells(notebook) if "setup" in tags(cell)), None)


def stamped_source(notebook: NotebookNode) -> str | None:
    """The source that a lesson names, None when it has no place for one."""
    cell = setup_cell(notebook)
    match = SOURCE_LINE.search(cell.source) if cell else None
    return match[2] if match else None


def wrong_stamp(notebook: NotebookNode, name: str) -> Iterator[str]:
    """What does not fit within one lesson: links that belong to another source, the number of another lesson."""
    source, cell = stamped_source(notebook), setup_cell(notebook)
    if source is None or cell is None:
        return
    found = _BADGE.search(notebook.cells[0].source) if notebook.cells else None
    if found is None or found.group() != badge(source, name):
        yield f"its links to Colab do not belong to the stamped source {source!r}: run bertft stamp"
    if _LESSON_LINE.findall(cell.source) != [name[:2]]:
        yield f'its setup cell must have the line LESSON = "{name[:2]}"'
