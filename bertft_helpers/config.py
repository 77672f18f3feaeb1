"""The settings of the training loop."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from bertft_helpers.errors import UserError

__all__ = ["PRECISIONS", "TrainConfig"]

PRECISIONS = ("float32", "bfloat16", "float16")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """What ``training.fit`` reads; validated when made. Rates and decay belong to the optimizer (``optim``).

    ``clip_norm`` is the largest global gradient norm (None: no clipping); ``accumulate`` how many batches make one
    step; ``precision`` the number format of the forward pass; ``halve_batches`` goes on with halves when a batch does
    not fit into memory. Raises UserError naming the field, its value and what is allowed.
    """

    epochs: int = 3
    clip_norm: float | None = 1.0
    accumulate: int = 1
    precision: str = "float32"
    halve_batches: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "accumulate"):
            self._require(name, _is_whole(getattr(self, name), 1), "a whole number of at least 1")
        self._require("clip_norm", self.clip_norm is None or self.clip_norm > 0, "greater than 0, or None")
        self._require("precision", self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}")

    def _require(self, name: str, holds: bool, allowed: str) -> None:
        if not holds:
            raise UserError(f"{name} is {getattr(self, name)!r}; it must be {allowed}")

    def save(self, path: Path) -> None:
        """Write the settings as JSON."""
        Path(path).write_text(json.dumps(dataclasses.asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> TrainConfig:
        """Read settings written by ``save``; an unknown name raises ValueError."""
        stored = json.loads(Path(path).read_text(encoding="utf-8"))
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(stored) - known)
        if unknown:
            raise UserError(f"{path} holds settings that this version does not know: {', '.join(unknown)}")
        return cls(**stored)


def _is_whole(value: object, lowest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= lowest
