"""Lesson 21: a made-up history through files and back."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from graduation import Case, Functions
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from bertft_helpers.history import Step

STEPS = [Step(25.6, 16, 0.9, 0.0), Step(1 / 3, 4, 1.5, 1e-4), Step(8.0, 16, 2.0, 5e-5)]
EPOCHS = [
    {"epoch": 1, "train_loss": 1.3, "validation_loss": 1.1, "validation_accuracy": 0.7},
    {"epoch": 2, "train_loss": 0.1 + 0.2, "validation_loss": 0.9, "validation_accuracy": 0.8},
    {"epoch": 3, "train_loss": 0.2, "validation_loss": 1.0, "validation_accuracy": 0.75},
]


def history(functions: Functions) -> Any:
    return functions["History"](list(STEPS), list(EPOCHS))


def run_history(functions: Functions) -> list[dict]:
    kept, empty = history(functions), functions["History"]()
    frames = [frame.reset_index().to_dict("list") for frame in (kept.frame, kept.step_frame)]
    return [*frames, {"steps": empty.steps, "epochs": empty.epochs}]


def run_csv(functions: Functions) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            functions["write_csv"](history(functions), Path(folder) / "new" / "run")
        except FileNotFoundError as error:  # what a mutant that makes no folders meets
            return {"raised": str(type(error))}
        return {path.name: path.read_text() for path in sorted(Path(folder).rglob("*.csv"))}


def run_written(functions: Functions) -> str:
    with tempfile.TemporaryDirectory() as folder:
        functions["write_json_lines"](history(functions), Path(folder) / "run.jsonl")
        return (Path(folder) / "run.jsonl").read_text()


def run_read(functions: Functions) -> list[list]:
    lines = ['{"kind": "epoch", "epoch": 1}', '{"kind": "step", "loss_sum": 2.5, "targets": 4, ']
    lines[1] += '"gradient_norm": 1.0, "learning_rate": 0.1}'
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.jsonl"
        path.write_text("\n".join(lines) + "\n")
        read = functions["read_json_lines"](path)
    return [read.steps, read.epochs]


def run_events(functions: Functions) -> dict[str, list[tuple[int, float]]]:
    with tempfile.TemporaryDirectory() as folder:
        functions["write_tensorboard"](history(functions), Path(folder))
        events = EventAccumulator(folder).Reload()
        tags = events.Tags()["scalars"]
        return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


def run_comparison(functions: Functions) -> list[dict]:
    runs = {"three": history(functions), "one": functions["History"]([], EPOCHS[:1])}
    tables = [functions["compare_runs"](runs), functions["compare_runs"](runs, "validation_accuracy")]
    return [table.reset_index().to_dict("list") for table in tables]


CASES = [
    Case(
        "history.History",
        run_history,
        mutants={
            "the loss of a step is a sum": ('steps["loss_sum"] / steps["targets"]', 'steps["loss_sum"]'),
            "steps are counted from 0": ("pd.RangeIndex(1, len(steps) + 1", "pd.RangeIndex(0, len(steps)"),
        },
    ),
    Case(
        "history.write_csv",
        run_csv,
        mutants={
            "epochs are written twice": ("history.step_frame.to_csv", "history.frame.to_csv"),
            "the folder must exist": ("parents=True, ", ""),
        },
    ),
    Case(
        "history.write_json_lines",
        run_written,
        mutants={
            "epochs are lost": ("steps + epochs", "steps"),
            "all on one line": ('json.dumps(record) + "\\n"', "json.dumps(record)"),
        },
    ),
    Case(
        "history.read_json_lines",
        run_read,
        mutants={
            "steps and epochs are mixed": ("history.epochs.append(record)", "history.steps.append(record)"),
            "a step stays a dictionary": ("Step(**record)", "record"),
        },
    ),
    Case(
        "history.write_tensorboard",
        run_events,
        mutants={
            "all at one step": ("value, number)", "value, 0)"),
            "kinds share a tag": ('f"{kind}/{name}"', "name"),
        },
    ),
    Case(
        "history.compare_runs",
        run_comparison,
        mutants={
            "the highest loss is best": ("values.idxmin() if", "values.idxmax() if"),
            "the first value for the last": ("values.iloc[-1]", "values.iloc[0]"),
        },
    ),
]
