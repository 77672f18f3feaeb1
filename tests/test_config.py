"""The settings of a run are checked when they are made and survive a file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from bertft_helpers import failures, training
from bertft_helpers.config import TrainConfig


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("epochs", 0, "epochs is 0; it must be a whole number of at least 1"),
        ("epochs", 2.5, "epochs is 2.5; it must be a whole number of at least 1"),
        ("epochs", True, "epochs is True; it must be a whole number of at least 1"),
        ("accumulate", -1, "accumulate is -1; it must be a whole number of at least 1"),
        ("clip_norm", 0.0, "clip_norm is 0.0; it must be greater than 0, or None"),
        ("precision", "half", "precision is 'half'; it must be one of float32, bfloat16, float16"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        TrainConfig(**{field: value})
    assert str(caught.value) == message


def test_the_values_at_the_edge_are_allowed() -> None:
    edge = TrainConfig(epochs=1, accumulate=1, clip_norm=None)
    assert edge.clip_norm is None


def test_settings_cannot_change_after_they_are_made() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().epochs = 5


def test_settings_come_back_from_their_file(tmp_path: Path) -> None:
    config = TrainConfig(epochs=11, clip_norm=None, precision="bfloat16", halve_batches=True)
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


def test_fit_reads_every_setting() -> None:
    """A setting that the loop ignores would promise something that does not happen."""
    source = "".join(Path(module.__file__).read_text(encoding="utf-8") for module in (training, failures))
    ignored = [field.name for field in dataclasses.fields(TrainConfig) if f"config.{field.name}" not in source]
    assert ignored == []
