"""The folder of a run: who may write there, what is lost and told, and whose files stay."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from own_data import finished_run, small_run

from bertft_helpers.errors import MissingError, RunError, UserError
from bertft_helpers.own_texts import costs
from bertft_helpers.own_texts.run import train_classifier
from bertft_helpers.own_texts.trained import label_file, open_trained

Train = Callable[..., dict[str, Any]]


class Stopped(Exception):
    """The end of a call that a test wants."""


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with texts, a checkpoint and a finished run in ``run``."""
    return finished_run(tmp_path_factory.mktemp("given"))


@pytest.fixture
def train(given: Path, tmp_path: Path) -> Train:
    """Train into ``tmp_path / "run"``, with the settings of the finished run unless changed."""
    return lambda **changes: train_classifier(**small_run(given, tmp_path / "run", **changes))


@pytest.fixture
def finished(given: Path, tmp_path: Path) -> Path:
    """A copy of the finished run."""
    return Path(shutil.copytree(given / "run", tmp_path / "run"))


def at_step(number: int, act: Callable[[], object]) -> Callable[[int, int, int], None]:
    """Do something after a step: two of them are an epoch."""

    def on_step(done: int, planned: int, texts: int) -> None:
        if done == number:
            act()

    return on_step


def stop() -> None:
    raise Stopped


def test_a_users_files_in_training_and_model_stay(train: Train, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        train(on_step=at_step(4, stop))
    (tmp_path / "run" / "training" / "notes.txt").write_text("mine")
    train()
    (tmp_path / "run" / "model" / "notes.txt").write_text("mine too")
    train()
    assert [path.name for path in (tmp_path / "run" / "training").iterdir()] == ["notes.txt"]
    assert (tmp_path / "run" / "model" / "notes.txt").read_text() == "mine too"


def test_a_model_folder_of_somebody_else_is_named_and_left_alone(train: Train, tmp_path: Path) -> None:
    def put() -> None:
        (tmp_path / "run" / "model").mkdir()
        (tmp_path / "run" / "model" / "notes.txt").write_text("mine")

    with pytest.raises(RunError, match=r"run/model lacks config\.json and model\.safetensors: move it away"):
        train(on_step=at_step(4, put))
    assert [path.name for path in (tmp_path / "run" / "model").iterdir()] == ["notes.txt"]


def test_a_model_that_is_gone_is_told_by_predict_and_made_anew_by_train(finished: Path, train: Train) -> None:
    expected = (finished / "model" / "model.safetensors").read_bytes()
    shutil.rmtree(finished / "model")
    with pytest.raises(MissingError, match="its model is gone; call bertft train with --out"):
        open_trained(finished)
    said: list[str] = []
    train(on_note=said.append)
    assert said[0].endswith("it is trained again")
    assert (finished / "model" / "model.safetensors").read_bytes() == expected


@pytest.mark.parametrize("moment", ["epoch 1 of", "the fine-tuned model is saved", "the model that stays"])
def test_a_second_call_is_refused_until_the_first_has_ended(train: Train, moment: str) -> None:
    refused: list[str] = []

    def call_again(line: str) -> None:
        if line.startswith(moment):
            with pytest.raises(RunError, match="another process writes to") as caught:
                train()
            refused.append(str(caught.value))

    train(on_note=call_again)
    assert len(refused) == 1


def test_what_a_run_costs_is_summed_over_its_calls(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "WRITTEN_EVERY", 0)
    with pytest.raises(Stopped):
        train(on_step=at_step(4, stop))
    sums = tmp_path / "run" / "training" / "costs.json"
    sums.write_text(json.dumps(json.loads(sums.read_text()) | {"training_seconds": 5000.0, "peak_memory_mb": 10**6}))
    run = train()["run"]
    assert run["calls"] == 2
    assert 5000 <= run["training_seconds"] < 5100  # this call adds seconds that may round to none
    assert run["peak_memory_mb"] == 10**6


@pytest.mark.parametrize("content", ["[]", "{}", "", '{"test": '])
@pytest.mark.parametrize(("name", "remedy"), [("run.json", "move the folder away"), ("results.json", "remove it and")])
def test_a_damaged_file_of_the_run_is_named_with_the_remedy(
    finished: Path, train: Train, name: str, remedy: str, content: str
) -> None:
    (finished / name).write_text(content)
    with pytest.raises(RunError, match=rf"{name} is damaged \(.+\); {remedy}"):
        train()


def test_what_cannot_be_trained_takes_no_folder(train: Train, given: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="seed"):
        train(seed=2**63)
    damaged = Path(shutil.copytree(given / "checkpoint", tmp_path / "damaged"))
    (damaged / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises((UserError, RunError), match=r"damaged"):
        train(checkpoint=str(damaged))
    assert not (tmp_path / "run").exists()


def test_a_run_whose_folder_is_removed_says_so_and_does_not_make_it_again(train: Train, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="run was removed or replaced while the run was at work"):
        train(on_step=at_step(2, lambda: shutil.rmtree(tmp_path / "run")))
    assert not (tmp_path / "run").exists()


def test_a_run_whose_states_are_removed_says_so_and_ends_well(train: Train, given: Path, tmp_path: Path) -> None:
    said: list[str] = []
    train(on_step=at_step(2, lambda: shutil.rmtree(tmp_path / "run" / "training")), on_note=said.append)
    assert sum("was not saved" in line and "training goes on" in line for line in said) == 2
    assert {path.name for path in (tmp_path / "run").iterdir()} == {path.name for path in (given / "run").iterdir()}


def test_a_run_on_a_disk_that_fills_says_so_and_goes_on_after_room_is_made(
    given: Path, small_disk: Callable[[int], Any]
) -> None:
    disk = small_disk(64 << 20)
    out = disk.path / "run"
    said: list[str] = []
    with pytest.raises(OSError, match=r"No space left on device: '.*run/model'"):
        train_classifier(**small_run(given, out, on_step=at_step(2, disk.fill), on_note=said.append))
    assert any("was not saved" in line for line in said)
    assert {path.name for path in out.iterdir()} == {"run.json", "speed.json", "training"}
    disk.free()
    train_classifier(**small_run(given, out))
    assert {path.name for path in out.iterdir()} == {path.name for path in (given / "run").iterdir()}
    disk.fill()
    with pytest.raises(OSError, match=r"No space left on device: '.*labels\.csv'"):
        label_file(out, given / "texts.csv", disk.path / "labels.csv", device="cpu")
    assert {path.name for path in disk.path.iterdir()} == {"run", "filler"}
