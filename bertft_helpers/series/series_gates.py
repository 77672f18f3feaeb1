"""Gates for the series as a whole: numbering, links from lesson to lesson, the set-up cell they share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from bertft_helpers.series.catalogue import FILE_NAME, SERIES
from bertft_helpers.series.notebook import numbered_code_cells, read_notebook, tags

SeriesFinding = tuple[str, int | None, str]  # file, cell, what is wrong
LAST_NUMBER = 30
_LINK = re.compile(r"\]\((?!https?:)([^)#]+\.ipynb)")


def find_all(folder: Path) -> Iterator[SeriesFinding]:
    """Every problem of the series in this folder."""
    yield from wrong_numbers(folder)
    yield from wrong_links(folder)
    yield from different_setup(folder)


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
        for number, cell in enumerate(read_notebook(folder / name).cells, start=1):
            for target in _LINK.findall(cell.source if cell.cell_type == "markdown" else ""):
                if target not in series:
                    yield name, number, f"links to {target}, which is no lesson of the series"
    for before, after in pairwise(series):
        if before in names and after not in _first_links(folder / before):
            yield before, 1, f"must link to the next lesson, {after}"
        if after in names and before not in _first_links(folder / after):
            yield after, 1, f"must link to the previous lesson, {before}"


def different_setup(folder: Path) -> Iterator[SeriesFinding]:
    """The set-up cell is the same everywhere: it is written once and copied."""
    sources = {name: _setup_source(folder / name) for name in _names(folder)}
    common, _ = Counter(sources.values()).most_common(1)[0] if sources else ("", 0)
    for name, source in sources.items():
        if source != common:
            yield name, None, "its setup cell differs from that of the other lessons"


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.ipynb"))


def _first_links(path: Path) -> list[str]:
    cells = read_notebook(path).cells
    return _LINK.findall(cells[0].source) if cells else []


def _setup_source(path: Path) -> str:
    cells = numbered_code_cells(read_notebook(path))
    return next((cell.source for _, cell in cells if "setup" in tags(cell)), "")
