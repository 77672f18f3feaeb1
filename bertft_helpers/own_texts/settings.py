"""What a run on your own texts was asked to do, what follows from that, and the folder that belongs to it."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import torch

from bertft_helpers.config import TrainConfig
from bertft_helpers.errors import UserError
from bertft_helpers.files import write_json
from bertft_helpers.reading import FOUND_OUT, Format
from bertft_helpers.runtime import pick_precision

RATES = {"bundled": 2e-4}  # on the plateau of the study learning_rates, a little below its best, 3e-4
USUAL_RATE = 3e-5  # Devlin et al. 2019: 5e-5, 3e-5 or 2e-5
FEWEST_EPOCHS, MOST_EPOCHS, PLANNED_STEPS = 3, 15, 3000
PATIENCE_EPOCHS, PATIENCE_STEPS = 2, 40


@dataclasses.dataclass(frozen=True)
class TaskSettings:
    """What a run was asked to do. None for ``epochs`` and ``learning_rate`` takes the values of ``plan``.

    Batch 16, a warm-up of a tenth of the steps and the rate of 2e-4 for the bundled checkpoint are those with which the
    study ``small_data`` learned from 5 to 80 texts per class without a failed run. Texts beyond ``max_length`` tokens
    are cut by ``policy``; head and tail did best in Sun et al. 2019.
    """

    source: str
    text_column: str = "text"
    label_column: str = "label"
    checkpoint: str = "bundled"
    max_length: int = 256
    policy: str = "head+tail"
    class_weights: bool = False
    seed: int = 0
    epochs: int | None = None
    learning_rate: float | None = None
    batch_size: int = 16
    validation: float = 0.2
    test: float = 0.2
    how: Format = FOUND_OUT  # what is known of the file beforehand


def plan(settings: TaskSettings, train_count: int, device: torch.device) -> tuple[TrainConfig, int]:
    """The settings of the training loop, and the patience of early stopping in epochs.

    15 epochs at most, and fewer (never under 3) where they would make more than 3,000 steps; in the study
    ``early_stopping`` a patience of 2 epochs, there 38 steps, came within 0.003 of never stopping for a third of the
    epochs. Counted in steps it also holds for small data, whose epochs are short: with 5 texts per class 15 epochs did
    far better than 5 in the study ``small_data``.
    """
    steps = math.ceil(train_count / settings.batch_size)
    epochs = settings.epochs or min(MOST_EPOCHS, max(FEWEST_EPOCHS, PLANNED_STEPS // steps))
    config = TrainConfig(
        seed=settings.seed,
        epochs=epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate or RATES.get(settings.checkpoint, USUAL_RATE),
        precision=str(pick_precision(device)).removeprefix("torch."),
    )
    return config, max(PATIENCE_EPOCHS, math.ceil(PATIENCE_STEPS / steps))


def claim(out: Path, settings: TaskSettings, digest: str, writes: bool) -> None:
    """Make ``out`` this run's folder. Raises ValueError when it holds something else, naming the differences."""
    path = out / "run.json"
    wanted = {**dataclasses.asdict(settings), "texts": digest}
    if path.is_file():
        saved = json.loads(path.read_text(encoding="utf-8"))
        different = [
            f"{name} (there {saved.get(name)!r}, now {value!r})"
            for name, value in wanted.items()
            if name != "source" and saved.get(name) != value
        ]
        if different:
            raise UserError(
                f"{out} holds another run; different are {'; '.join(different)}. Give the same settings and texts "
                "to go on with it, or another --out."
            )
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists and holds no run of this command; choose another --out")
    elif writes:
        out.mkdir(parents=True, exist_ok=True)
        write_json(path, wanted)


def finished_results(out: Path) -> dict[str, Any] | None:
    """The results of the run in ``out``, or None while it is not finished."""
    path = out / "results.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
