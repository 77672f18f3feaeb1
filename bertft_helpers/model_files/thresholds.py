"""``thresholds.json``: from which probability on a model for several labels gives a text each of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from bertft_helpers.errors import DamagedFileError

THRESHOLDS = "thresholds.json"


def thresholds_file(thresholds: Mapping[str, float]) -> bytes:
    """The content of the file: label -> threshold, in the order of the logits."""
    return json.dumps(thresholds, indent=1).encode("ascii")


def read_thresholds(folder: Path) -> dict[str, float] | None:
    """What the file in a model's folder says; None where there is none. Raises DamagedFileError."""
    path = folder / THRESHOLDS
    if not path.is_file():
        return None
    try:
        return {str(label): float(value) for label, value in json.loads(path.read_text(encoding="ascii")).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise DamagedFileError(f"{path} is damaged ({error}): copy the whole folder again") from error
