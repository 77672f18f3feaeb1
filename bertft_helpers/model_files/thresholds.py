"""``thresholds.json``: from which probability on a model for several labels gives a text each of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from bertft_helpers.errors import DamagedFileError, UserError

THRESHOLDS = "thresholds.json"


def thresholds_file(thresholds: Mapping[str, float]) -> bytes:
    """The content of the file: label -> threshold, in the order of the logits."""
    return json.dumps(thresholds, indent=1).encode("ascii")


def read_thresholds(folder: Path) -> dict[str, float] | None:
    """What the file in a model's folder says; None where there is none. It may be edited by hand.

    Raises DamagedFileError for a file that is no table of thresholds, UserError for a threshold that is no probability.
    """
    path = folder / THRESHOLDS
    if not path.is_file():
        return None
    try:
        found = {str(label): float(value) for label, value in json.loads(path.read_text(encoding="utf-8")).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise DamagedFileError(f"{path} is damaged ({error}): copy the whole folder again") from error
    if wrong := [f"{value:g} for {label!r}" for label, value in found.items() if not 0 <= value <= 1]:
        raise UserError(f"{path} has the threshold {wrong[0]}; it must be a probability, from 0 to 1: mend the file")
    return found
