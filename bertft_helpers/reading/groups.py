"""Rows that belong together, such as the mails of one thread: a number for each value of a column."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from bertft_helpers.errors import UserError

__all__ = ["number_groups"]


def number_groups(values: Sequence[Any], where: str, on_note: Callable[[str], None]) -> list[int]:
    """The number of each row's group, ``[rows]``: rows with the same value, white space around it apart, have the same.

    A row without a value is a group of its own; ``on_note`` hears how many are. Raises UserError where all are.
    """
    names = [_name(value) for value in values]
    if not any(names):
        raise UserError(f"{where} is empty in every row: name the column that says which rows belong together")
    numbers = {name: number for number, name in enumerate(dict.fromkeys(filter(None, names)))}
    if alone := sum(not name for name in names):
        on_note(f"{where} is empty in {alone} rows: each of these counts as a group of its own")
    fresh = iter(range(len(numbers), len(numbers) + alone))
    return [numbers[name] if name else next(fresh) for name in names]


def _name(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value).strip()
