"""Gates for the series as a whole: numbering, links from lesson to lesson, set-up cell and stamp, the glossary."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from bertft_helpers.series.catalogue import FILE_NAME, SERIES
from bertft_helpers.series.notebook import read_notebook
from bertft_helpers.series.stamp import stamped_source, with_local_links, wrong_stamp

__all__ = [
    "GLOSSARY",
    "LAST_NUMBER",
    "SeriesFinding",
    "different_stamps",
    "find_all",
    "unsorted_glossary",
    "wrong_links",
    "wrong_numbers",
]

SeriesFinding = tuple[str, int | None, str]  # file, cell, what is wrong
LAST_NUMBER = 30
GLOSSARY = "GLOSSARY.md"
_ENTRY = re.compile(r"^- \*\*(.+?)\*\*", flags=re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:)([^)#]+\.ipynb)")


def find_all(folder: Path) -> Iterator[SeriesFinding]:
    """Every problem of the series in this folder."""
    yield from wrong_numbers(folder)
    yield from wrong_links(folder)
    yield from different_stamps(folder)
    yield from unsorted_glossary(folder)


def wrong_numbers(folder: Path) -> Iterator[SeriesFinding]:
    """Names follow the pattern and no number is used twice."""
    names = _names(folder)
    for name in names:
        if not FILE_NAME.fullmatch(name) or int(name[:2]) > LAST_NUMBER:
            yield name, None, f"is not named NN_verb_topic.ipynb with NN from 00 to {LAST_NUMBER}"
    for number, count in Counter(name[:2] for name in names).items():
        if count > 1:
            yield number, None, f"the number is used by {count} lessons"


def wrong_links(folder: Path) -> Iterator[SeriesFinding]:
    """Links lead to lessons of the series, and the first cell to the neighbours in it."""
    names = _names(folder)
    series = sorted({*names, *(f"{name}.ipynb" for name in SERIES)})
    for name in names:
        for number, cell in enumerate(with_local_links(read_notebook(folder / name)).cells, start=1):
            for target in _LINK.findall(cell.source if cell.cell_type == "markdown" else ""):
                if target not in series:
                    yield name, number, f"links to {target}, which is no lesson of the series"
    for before, after in pairwise(series):
        if before in names and after not in _first_links(folder / before):
            yield before, 1, f"must link to the next lesson, {after}"
        if after in names and before not in _first_links(folder / after):
            yield after, 1, f"must link to the previous lesson, {before}"


def different_stamps(folder: Path) -> Iterator[SeriesFinding]:
    """All lessons take their package from one source, and each one's links and set-up cell are what that gives."""
    notebooks = {name: read_notebook(folder / name) for name in _names(folder)}
    sources = {name: stamped_source(notebook) for name, notebook in notebooks.items()}
    common, _ = Counter(sources.values()).most_common(1)[0] if sources else (None, 0)
    for name, notebook in notebooks.items():
        if sources[name] != common:
            yield name, None, f"is stamped {sources[name]!r} where the others are stamped {common!r}: run bertft stamp"
        for text in wrong_stamp(notebook, name):
            yield name, None, text


def unsorted_glossary(folder: Path) -> Iterator[SeriesFinding]:
    """The glossary explains each word once, in alphabetical order."""
    page = folder / GLOSSARY
    words = _ENTRY.findall(page.read_text(encoding="utf-8")) if page.exists() else []
    for before, after in pairwise(words):
        if _sorted_as(before) >= _sorted_as(after):
            yield GLOSSARY, None, f"{after!r} stands after {before!r}: sort the words, each once"


def _sorted_as(word: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", word.lower()).strip()


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.ipynb"))


def _first_links(path: Path) -> list[str]:
    cells = with_local_links(read_notebook(path)).cells
    return _LINK.findall(cells[0].source) if cells else []
