"""pytest plug-in for nbval: decimals within a tolerance, figures counted, patience on slow machines.

Loaded with ``-p bertft_helpers.series.nbval_tolerance``. In a cell tagged ``nbval-atol=0.03`` the text and the whole
numbers must be equal and each decimal may differ by at most 0.03; everything else is compared exactly.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

__all__ = [
    "OUTPUT_TIMEOUT",
    "TAG",
    "LessonCell",
    "LessonFile",
    "count_figures",
    "pytest_collect_file",
    "snap",
    "snap_outputs",
    "tolerance_of",
]

TAG = "nbval-atol="
OUTPUT_TIMEOUT = 60  # seconds between two messages of a kernel; nbval allows five, too few on a busy machine
# 0.86, -1e-05, 2.5e+03: a number counts as a decimal when it has a point or an exponent
_DECIMAL = re.compile(r"(?<![\w.])[+-]?(?:\d+\.\d*(?:e[+-]?\d+)?|\d+e[+-]?\d+)(?![\w.]*\w)", re.IGNORECASE)
_SLACK = 1e-9  # 0.83 - 0.80 is 0.029999… or 0.030000… in binary


class LessonCell(IPyNbCell):
    """A code cell whose outputs are compared within its tolerance."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_timeout = OUTPUT_TIMEOUT

    def compare_outputs(self, test: list, ref: list, skip_compare: Any = None) -> bool:
        """Whether the new outputs are the stored ones; otherwise ``comparison_traceback`` says what differs."""
        if "setup" in self.cell.metadata.get("tags", []):
            return True  # it speaks of the machine and its versions, on which the lesson's outputs must not depend
        if (now := count_figures(test)) != (stored := count_figures(ref)):
            self.comparison_traceback = [f"figures stored: {dict(stored)}, figures shown now: {dict(now)}"]
            return False
        tolerance = tolerance_of(self.cell)
        snapped = snap_outputs(test, ref, tolerance) if tolerance else test
        return super().compare_outputs(snapped, ref, skip_compare)


class LessonFile(IPyNbFile):
    """A notebook whose cells are called by their position among all cells, as in every other message about them."""

    def collect(self) -> Iterator[LessonCell]:
        """The code cells."""
        for item in super().collect():
            position = next(n for n, cell in enumerate(self.nb.cells, start=1) if cell is item.cell)
            name = f"cell {position}"
            yield LessonCell.from_parent(self, name=name, cell_num=position, cell=item.cell, options=item.options)


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path, parent: Any) -> Generator[None, list, list]:
    """Let nbval decide which files are notebooks, and collect those as lessons."""
    found = yield
    return [LessonFile.from_parent(parent, path=file_path) if isinstance(node, IPyNbFile) else node for node in found]


def tolerance_of(cell: Any) -> float:
    """The tolerance in a cell's tags; 0.0 when it has none."""
    found = [tag for tag in cell.metadata.get("tags", []) if tag.startswith(TAG)]
    return float(found[0].removeprefix(TAG)) if found else 0.0


def count_figures(outputs: Iterable[Any]) -> Counter[str]:
    """How many images of each kind; nbval itself never looks at them."""
    return Counter(kind for out in outputs for kind in out.get("data", {}) if kind.startswith("image/"))


def snap_outputs(test: list, ref: list, tolerance: float) -> list:
    """The new outputs, in which texts equal to the stored ones but for decimals in tolerance are set to the stored."""
    for new, stored in zip(test, ref, strict=False):
        if "text" in new and "text" in stored:
            new["text"] = snap(new["text"], stored["text"], tolerance)
        for kind in new.get("data", {}).keys() & stored.get("data", {}).keys():
            if isinstance(new["data"][kind], str) and not kind.startswith("image/"):
                new["data"][kind] = snap(new["data"][kind], stored["data"][kind], tolerance)
    return test


def snap(new: str, stored: str, tolerance: float) -> str:
    """``new`` with each decimal that lies within the tolerance replaced by the stored one; the rest stays as it is."""
    decimals = _DECIMAL.findall(stored)
    if len(decimals) != len(_DECIMAL.findall(new)):
        return new
    queue = iter(decimals)
    return _DECIMAL.sub(lambda match: _closest(match.group(), next(queue), tolerance), new)


def _closest(new: str, stored: str, tolerance: float) -> str:
    return stored if abs(float(new) - float(stored)) <= tolerance + _SLACK else new
