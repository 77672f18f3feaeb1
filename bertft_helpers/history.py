"""What a training run recorded: every step, one row per epoch; written to files, read back, compared."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from bertft_helpers.errors import UserError


@dataclasses.dataclass(frozen=True)
class Step:
    """One optimizer step: summed loss, number of targets, gradient norm before clipping, first group's rate."""

    loss_sum: float
    targets: int
    gradient_norm: float
    learning_rate: float


@dataclasses.dataclass
class History:
    """What a run recorded: every step, and one row per epoch. Written out in lesson 21."""

    steps: list[Step] = dataclasses.field(default_factory=list)
    epochs: list[dict[str, float]] = dataclasses.field(default_factory=list)

    @property
    def frame(self) -> pd.DataFrame:
        """One row per epoch: train loss, validation loss, validation accuracy."""
        return pd.DataFrame(self.epochs).set_index("epoch")

    @property
    def step_frame(self) -> pd.DataFrame:
        """One row per step, counted from 1: the fields of ``Step`` and ``loss``, its mean per target."""
        steps = pd.DataFrame([dataclasses.asdict(step) for step in self.steps])
        steps.insert(0, "loss", steps["loss_sum"] / steps["targets"])
        return steps.set_index(pd.RangeIndex(1, len(steps) + 1, name="step"))


def write_csv(history: History, folder: Path) -> None:
    """Write ``epochs.csv`` and ``steps.csv`` into ``folder``, which is made. Written out in lesson 21."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    history.frame.to_csv(folder / "epochs.csv")
    history.step_frame.to_csv(folder / "steps.csv")


def write_json_lines(history: History, path: Path) -> None:
    """Write one JSON object per line, every step and then every epoch, each with its ``kind``.

    Written out in lesson 21.
    """
    steps = [{"kind": "step", **dataclasses.asdict(step)} for step in history.steps]
    epochs = [{"kind": "epoch", **row} for row in history.epochs]
    lines = [json.dumps(record) + "\n" for record in steps + epochs]
    Path(path).write_text("".join(lines), encoding="utf-8")


def read_json_lines(path: Path) -> History:
    """The history that ``write_json_lines`` wrote, or a file to which such lines were appended.

    Raises ValueError naming the line that is not a complete record. Written out in lesson 21.
    """
    history = History()
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
        try:
            record = json.loads(line)
            kind = record.pop("kind")
            if kind == "step":
                history.steps.append(Step(**record))
            else:
                history.epochs.append(record)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"line {number} of {Path(path).name} is no complete record ({line[:40]!r}); "
                "a run that was killed may leave half a line: remove it"
            ) from error
    return history


def write_tensorboard(history: History, folder: Path) -> None:
    """Write event files for TensorBoard: ``step/...`` by step from 1, ``epoch/...`` by epoch; values are float32.

    Needs the package tensorboard. Written out in lesson 21.
    """
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for kind, frame in {"step": history.step_frame, "epoch": history.frame}.items():
            for name in frame.columns:
                for number, value in frame[name].items():
                    writer.add_scalar(f"{kind}/{name}", value, number)


def compare_runs(runs: Mapping[str, History], measure: str = "validation_loss") -> pd.DataFrame:
    """One row per run: its last and best value of ``measure``, the epoch of the best, and how many epochs it had.

    A measure whose name ends in ``loss`` is best when lowest, any other when highest. Written out in lesson 21.
    """
    rows = {}
    for name, history in runs.items():
        values = history.frame[measure]
        best = values.idxmin() if measure.endswith("loss") else values.idxmax()
        rows[name] = {"last": values.iloc[-1], "best": values[best], "best epoch": best, "epochs": len(values)}
    return pd.DataFrame.from_dict(rows, orient="index").astype({"best epoch": int, "epochs": int})
