"""A history goes through files unchanged, says what is damaged, and is compared by the right end of a measure."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest
from minimal import CONFIG, RATE, tiny_classifier, tiny_loader
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from bertft_helpers.history import (
    History,
    Step,
    compare_runs,
    read_json_lines,
    write_csv,
    write_json_lines,
    write_tensorboard,
)
from bertft_helpers.optim import build_optimizer
from bertft_helpers.training import fit, steps_per_run


def made_up(*validation_losses: float) -> History:
    rows = [{"epoch": n, "train_loss": 1 / n, "validation_loss": v} for n, v in enumerate(validation_losses, start=1)]
    return History([Step(24.0, 16, 1.5, 0.0), Step(2.0, 4, math.pi, 1e-4)], rows)


@pytest.fixture(scope="module")
def recorded() -> History:
    model, loader = tiny_classifier(), tiny_loader()
    optimizer, schedule = build_optimizer(model, RATE, steps_per_run(loader, CONFIG))
    return fit(model, loader, tiny_loader(12, 8, None), optimizer, schedule, CONFIG)


def test_the_loss_of_a_step_is_its_sum_over_its_targets() -> None:
    frame = made_up(1.0).step_frame
    assert list(frame["loss"]) == [1.5, 0.5]
    assert list(frame.index) == [1, 2]


def test_an_epochs_loss_can_be_computed_from_its_steps(recorded: History) -> None:
    per_epoch = len(recorded.steps) // CONFIG.epochs
    first = recorded.step_frame.iloc[:per_epoch]
    assert first["loss_sum"].sum() / first["targets"].sum() == recorded.epochs[0]["train_loss"]
    assert first["loss"].mean() != pytest.approx(recorded.epochs[0]["train_loss"], abs=1e-6)  # 8, 8 and 2 targets


def test_json_lines_bring_a_run_back_to_the_last_bit(recorded: History, tmp_path: Path) -> None:
    write_json_lines(recorded, tmp_path / "run.jsonl")
    assert read_json_lines(tmp_path / "run.jsonl") == recorded


def test_lines_appended_during_a_run_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    write_json_lines(made_up(0.9), path)
    with path.open("a") as file:
        file.write(json.dumps({"kind": "epoch", "epoch": 2, "train_loss": 0.5, "validation_loss": 0.8}) + "\n")
    assert read_json_lines(path) == made_up(0.9, 0.8)


@pytest.mark.parametrize(
    "damaged",
    ['{"kind": "epoch", "epo', '{"epoch": 1}', '{"kind": "step", "targets": 4}', "[1, 2]", ""],
    ids=["half a line", "no kind", "half a step", "no object", "an empty line"],
)
def test_a_damaged_line_is_named(tmp_path: Path, damaged: str) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(f'{{"kind": "epoch", "epoch": 1}}\n{damaged}\n')
    with pytest.raises(ValueError, match=r"line 2 of run\.jsonl is no complete record .* remove it"):
        read_json_lines(path)


def test_csv_holds_both_tables(recorded: History, tmp_path: Path) -> None:
    write_csv(recorded, tmp_path / "runs" / "first")
    steps = pd.read_csv(tmp_path / "runs" / "first" / "steps.csv", index_col="step")
    epochs = pd.read_csv(tmp_path / "runs" / "first" / "epochs.csv", index_col="epoch")
    pd.testing.assert_frame_equal(steps, recorded.step_frame, rtol=1e-14)
    pd.testing.assert_frame_equal(epochs, recorded.frame, rtol=1e-14)


def test_event_files_are_read_back_by_tensorboard(recorded: History, tmp_path: Path) -> None:
    write_tensorboard(recorded, tmp_path)
    events = EventAccumulator(str(tmp_path)).Reload()
    norms = events.Scalars("step/gradient_norm")
    assert [event.step for event in norms] == list(range(1, len(recorded.steps) + 1))
    assert [event.value for event in norms] == pytest.approx([step.gradient_norm for step in recorded.steps], rel=1e-6)
    accuracies = events.Scalars("epoch/validation_accuracy")
    assert [event.value for event in accuracies] == pytest.approx(
        [row["validation_accuracy"] for row in recorded.epochs], rel=1e-6
    )


def test_the_best_loss_is_the_lowest_and_the_best_accuracy_the_highest() -> None:
    history = History(
        [], [{"epoch": n, "validation_loss": v, "accuracy": v} for n, v in [(1, 0.9), (2, 0.5), (3, 0.7)]]
    )
    by_loss, by_accuracy = compare_runs({"a": history}), compare_runs({"a": history}, "accuracy")
    assert by_loss.loc["a"].to_dict() == {"last": 0.7, "best": 0.5, "best epoch": 2, "epochs": 3}
    assert by_accuracy.loc["a"].to_dict() == {"last": 0.7, "best": 0.9, "best epoch": 1, "epochs": 3}


def test_runs_of_different_length_stand_in_one_table() -> None:
    table = compare_runs({"long": made_up(1.0, 0.8, 0.9), "short": made_up(0.7)})
    assert list(table.index) == ["long", "short"]
    assert list(table["epochs"]) == [3, 1]
