"""pytest plug-in for nbval: decimals within a tolerance, figures counted, patience on slow machines.

Loaded with ``-p bertft_helpers.series.nbval_tolerance``. In a cell tagged ``nbval-atol=0.03`` the text and the whole
numbers must be equal and each decimal may differ by at most 0.03; everything else is compared exactly.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

TAG = "nbval-atol="
OUTPUT_TIMEOUT = 60  # seconds between two messages of a kernel; nbval allows five, too few on a busy machine
# 0.86, -1e-05, 2.5e+03: a number counts as a decimal when it has a point or an exponent
_DECIMAL = re.compile(r"(?<![\w.])[+-]?(?:\d+\.\d*(?:e[+-]?\d+)?|\d+e[+-]?\d+)(?![\w.]*\w)", re.IGNORECASE)
_SLACK = 1e-9  # 0.83 - 0.80 is 0.029999… or 0.030000… in binary


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Give every notebook cell patience, the count of figures and, where tagged, its tolerance."""
    for item in items:
        if hasattr(item, "cell") and hasattr(item, "compare_outputs"):
            item.output_timeout = OUTPUT_TIMEOUT
            item.compare_outputs = partial(_compare, item, item.compare_outputs, tolerance_of(item.cell))


def tolerance_of(cell: Any) -> float:
    """The tolerance in a cell's tags; 0.0 when it has none."""
    found = [tag for tag in cell.metadata.get("tags", []) if tag.startswith(TAG)]
    return float(found[0].removeprefix(TAG)) if found else 0.0


def _compare(item: Any, delegate: Callable[..., bool], tolerance: float, test: list, ref: list, *args: Any) -> bool:
    if (now := count_figures(test)) != (stored := count_figures(ref)):
        item.comparison_traceback = [f"figures stored: {dict(stored)}, figures shown now: {dict(now)}"]
        return False
    return delegate(snap_outputs(test, ref, tolerance) if tolerance else test, ref, *args)


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
