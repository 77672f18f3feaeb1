"""The settings of a run are checked when they are made and survive a file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from bertft_helpers.config import TrainConfig


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("epochs", 0, "epochs is 0; it must be a whole number of at least 1"),
        ("epochs", 2.5, "epochs is 2.5; it must be a whole number of at least 1"),
        ("batch_size", True, "batch_size is True; it must be a whole number of at least 1"),
        ("accumulate", -1, "accumulate is -1; it must be a whole number of at least 1"),
        ("seed", -3, "seed is -3; it must be a whole number of at least 0"),
        ("learning_rate", 0.0, "learning_rate is 0.0; it must be greater than 0"),
        ("learning_rate", float("nan"), "learning_rate is nan; it must be greater than 0"),
        ("head_learning_rate", -1e-3, "head_learning_rate is -0.001; it must be above 0"),
        ("weight_decay", -0.1, "weight_decay is -0.1; it must be at least 0"),
        ("warmup_share", 1.0, "warmup_share is 1.0; it must be in [0, 1)"),
        ("clip_norm", 0.0, "clip_norm is 0.0; it must be greater than 0, or None"),
        ("precision", "half", "precision is 'half'; it must be one of float32, bfloat16, float16"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        TrainConfig(**{field: value})
    assert str(caught.value) == message


def test_the_values_at_the_edge_are_allowed() -> None:
    edge = TrainConfig(seed=0, epochs=1, batch_size=1, accumulate=1, weight_decay=0.0, warmup_share=0.0, clip_norm=None)
    assert edge.clip_norm is None


def test_settings_cannot_change_after_they_are_made() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().epochs = 5


def test_settings_come_back_from_their_file(tmp_path: Path) -> None:
    config = TrainConfig(seed=11, learning_rate=3.3e-5, head_learning_rate=1e-3, clip_norm=None, precision="bfloat16")
    config.save(tmp_path / "config.json")
    assert TrainConfig.load(tmp_path / "config.json") == config


def test_a_file_with_unknown_settings_is_refused_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"epochs": 2, "warm_up": 0.1, "beam": 4}))
    with pytest.raises(ValueError, match="holds settings that this version does not know: beam, warm_up"):
        TrainConfig.load(path)


def test_a_file_with_a_wrong_value_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"epochs": 0}))
    with pytest.raises(ValueError, match="epochs is 0"):
        TrainConfig.load(path)
