"""Gates for the series as a whole: numbering, links from lesson to lesson, set-up cell and stamp, the glossary."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from bertft_helpers.series.catalogue import APPLICATIONS, FILE_NAME, SERIES, number_of, place_of
from bertft_helpers.series.notebook import read_notebook
from bertft_helpers.series.stamp import stamped_source, with_local_links, wrong_stamp

__all__ = [
    "GLOSSARY",
    "SeriesFinding",
    "different_stamps",
    "find_all",
    "unsorted_glossary",
    "wrong_links",
    "wrong_numbers",
]

SeriesFinding = tuple[str, int | None, str]  # file, cell, what is wrong
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
    """Names follow the pattern, each lesson lies in its folder, and no number is used twice."""
    places = _places(folder)
    for place in places:
        name = posixpath.basename(place)
        if not FILE_NAME.fullmatch(name) or place != place_of(name):
            allowed = f"NN_verb_topic.ipynb with NN from 00 to 30, or {APPLICATIONS}/AN_verb_topic.ipynb"
            yield place, None, f"is not named {allowed}"
    for number, count in Counter(number_of(posixpath.basename(place)) for place in places).items():
        if count > 1:
            yield number, None, f"the number is used by {count} lessons"


def wrong_links(folder: Path) -> Iterator[SeriesFinding]:
    """Links lead to lessons of the series, and the first cell to the neighbours in it."""
    places = _places(folder)
    links = {place: list(_links(folder, place)) for place in places}
    opening = {place: next(iter(links[place]), []) for place in places}  # the links of the first cell
    series = sorted({*places, *(f"{name}.ipynb" for name in SERIES)})
    for place in places:
        for number, targets in enumerate(links[place], start=1):
            for target in targets:
                if target not in series:
                    yield place, number, f"links to {target}, which is no lesson of the series"
    for before, after in pairwise(series):
        if posixpath.dirname(before) != posixpath.dirname(after):
            continue  # an application follows no lesson: it can be read after any
        if before in places and after not in opening[before]:
            yield before, 1, f"must link to the next lesson, {after}"
        if after in places and before not in opening[after]:
            yield after, 1, f"must link to the previous lesson, {before}"


def different_stamps(folder: Path) -> Iterator[SeriesFinding]:
    """All lessons take their package from one source, and each one's links and set-up cell are what that gives."""
    notebooks = {place: read_notebook(folder / place) for place in _places(folder)}
    sources = {place: stamped_source(notebook) for place, notebook in notebooks.items()}
    common, _ = Counter(sources.values()).most_common(1)[0] if sources else (None, 0)
    for place, notebook in notebooks.items():
        if sources[place] != common:
            yield (
                place,
                None,
                f"is stamped {sources[place]!r} where the others are stamped {common!r}: run bertft stamp",
            )
        for text in wrong_stamp(notebook, posixpath.basename(place)):
            yield place, None, text


def unsorted_glossary(folder: Path) -> Iterator[SeriesFinding]:
    """The glossary explains each word once, in alphabetical order."""
    page = folder / GLOSSARY
    words = _ENTRY.findall(page.read_text(encoding="utf-8")) if page.exists() else []
    for before, after in pairwise(words):
        if _sorted_as(before) >= _sorted_as(after):
            yield GLOSSARY, None, f"{after!r} stands after {before!r}: sort the words, each once"


def _sorted_as(word: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", word.lower()).strip()


def _places(folder: Path) -> list[str]:
    """Every notebook, named by its place below the folder, also where it should not be."""
    found = [*folder.glob("*.ipynb"), *(folder / APPLICATIONS).glob("*.ipynb")]
    return sorted(path.relative_to(folder).as_posix() for path in found)


def _links(folder: Path, place: str) -> Iterator[list[str]]:
    """The places of the notebooks that each cell links to."""
    for cell in with_local_links(read_notebook(folder / place), posixpath.basename(place)).cells:
        found = _LINK.findall(cell.source) if cell.cell_type == "markdown" else []
        yield [posixpath.normpath(posixpath.join(posixpath.dirname(place), target)) for target in found]
