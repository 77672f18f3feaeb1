"""The settings of one training run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from bertft_helpers.errors import UserError

PRECISIONS = ("float32", "bfloat16", "float16")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """What a training run was asked to do; validated when made, saved beside the model.

    ``learning_rate`` is the peak rate; ``warmup_share`` the share of all steps spent climbing to it; ``clip_norm`` the
    largest global gradient norm (None: no clipping); ``accumulate`` how many batches make one step; ``halve_batches``
    goes on with halves when a batch does not fit into memory. Raises ValueError naming the field, its value and what
    is allowed.
    """

    seed: int = 0
    epochs: int = 3
    batch_size: int = 16
    learning_rate: float = 1e-4
    head_learning_rate: float | None = None
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    clip_norm: float | None = 1.0
    accumulate: int = 1
    precision: str = "float32"
    halve_batches: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate"):
            self._require(name, _is_whole(getattr(self, name), 1), "a whole number of at least 1")
        self._require("seed", _is_whole(self.seed, 0), "a whole number of at least 0")
        self._require("learning_rate", self.learning_rate > 0, "greater than 0")
        self._require("head_learning_rate", self.head_learning_rate is None or self.head_learning_rate > 0, "above 0")
        self._require("weight_decay", self.weight_decay >= 0, "at least 0")
        self._require("warmup_share", 0 <= self.warmup_share < 1, "in [0, 1)")
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
