"""A run on texts of one's own trains as this machine is quickest, and goes on as it began."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from minimal import parameters_of
from own_data import labelled_rows, run, settings_for, tiny_checkpoint, write_csv

from bertft_helpers.errors import RunError, UserError
from bertft_helpers.own_texts import folder, trained
from bertft_helpers.own_texts.settings import TaskSettings
from bertft_helpers.speed import trial
from bertft_helpers.speed.choice import EXACT, Choice

CPU = torch.device("cpu")
QUICK = Choice("bfloat16", "bytes", True, gain=3.0)


class Killed(Exception):
    pass


def kill_in_the_second_epoch(done: int, planned: int, texts: int) -> None:
    if done == 5:
        raise Killed


@pytest.fixture
def settings(tmp_path: Path) -> TaskSettings:
    return settings_for(write_csv(tmp_path / "texts.csv", labelled_rows()), tiny_checkpoint(tmp_path / "checkpoint"))


def on_machine(monkeypatch: pytest.MonkeyPatch, choice: Choice) -> None:
    monkeypatch.setattr(folder, "find_choice", lambda device: choice)


def test_a_run_trains_as_the_machine_is_quickest_and_says_so(
    settings: TaskSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_machine(monkeypatch, QUICK)
    said: list[str] = []
    record = run(settings, tmp_path / "out", said=said)
    assert "training in bfloat16, dropout drawn as bytes, 3.0 times as fast as the exact way in a trial here" in said
    assert (record.results["run"]["precision"], record.results["run"]["dropout"]) == ("bfloat16", "bytes")
    saved = json.loads((tmp_path / "out" / "speed.json").read_text())
    assert saved == dataclasses.asdict(QUICK)
    assert {parameter.dtype for parameter in record.model.parameters()} == {torch.float32}
    assert not any("ByteDropout" in type(module).__name__ for module in record.model.modules())


def test_a_run_goes_on_as_it_began_also_on_another_machine(
    settings: TaskSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_machine(monkeypatch, QUICK)
    whole = run(settings, tmp_path / "whole")
    with pytest.raises(Killed):
        run(settings, tmp_path / "out", kill_in_the_second_epoch)
    on_machine(monkeypatch, Choice("float32", "bytes", True, gain=1.2))
    said: list[str] = []
    resumed = run(settings, tmp_path / "out", said=said)
    assert any("this run began with bfloat16, dropout drawn as bytes" in line for line in said)
    assert any("resumed from state-" in line for line in said)
    first, second = parameters_of(whole.model), parameters_of(resumed.model)
    assert all(torch.equal(first[name], second[name]) for name in first)
    np.testing.assert_array_equal(whole.predictions["test"].logits, resumed.predictions["test"].logits)


def test_a_run_takes_the_threads_of_the_machine_that_goes_on_with_it(
    settings: TaskSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_machine(monkeypatch, dataclasses.replace(QUICK, threads=64))
    folder.take_choice(tmp_path, settings, CPU, print)
    on_machine(monkeypatch, Choice("float32", "torch", True, threads=2))
    assert folder.take_choice(tmp_path, settings, CPU, print) == dataclasses.replace(QUICK, threads=2)


def test_a_run_does_not_go_on_where_its_numbers_would_be_wrong(
    settings: TaskSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_machine(monkeypatch, QUICK)
    folder.take_choice(tmp_path, settings, CPU, print)
    on_machine(monkeypatch, EXACT)
    monkeypatch.setattr(trial, "trouble_with", lambda layer, precision: "a layer in it fails here (no kernel)")
    with pytest.raises(RunError, match=r"began in bfloat16, but a layer in it fails here \(no kernel\): go on where"):
        folder.take_choice(tmp_path, settings, CPU, print)


def test_exact_means_float32_and_no_trial(
    settings: TaskSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "find_choice", lambda device: pytest.fail("a trial was made"))
    record = run(dataclasses.replace(settings, exact=True), tmp_path / "out")
    assert (record.results["run"]["precision"], record.results["run"]["dropout"]) == ("float32", "torch")
    assert json.loads((tmp_path / "out" / "speed.json").read_text()) == dataclasses.asdict(EXACT)


def test_a_precision_that_is_asked_for_is_taken(settings: TaskSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    on_machine(monkeypatch, QUICK)
    asked = folder.choice_for(dataclasses.replace(settings, precision="float32"), torch.device("cpu"))
    assert (asked.precision, asked.dropout, asked.gain) == ("float32", "bytes", 1.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"precision": "int8"}, "precision is 'int8'; it must be one of float32, bfloat16, float16"),
        ({"precision": "bfloat16", "exact": True}, "exact is set, which means float32; give one of them"),
    ],
)
def test_a_precision_that_cannot_be_is_refused(changes: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        TaskSettings("a.csv", **changes)


def test_a_precision_whose_numbers_are_wrong_here_is_refused(
    settings: TaskSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_machine(monkeypatch, EXACT)
    monkeypatch.setattr(trial, "trouble_with", lambda layer, precision: "a layer in it gives wrong numbers here")
    before = torch.get_rng_state()
    with pytest.raises(RunError, match="bfloat16 was asked for and cannot be used: a layer in it gives wrong numbers"):
        folder.choice_for(dataclasses.replace(settings, precision="bfloat16"), torch.device("cpu"))
    assert torch.equal(torch.get_rng_state(), before)


def test_predictions_have_the_batches_that_are_quick_here(
    settings: TaskSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_machine(monkeypatch, EXACT)
    run(settings, tmp_path / "out")
    monkeypatch.setattr(trained, "find_choice", lambda device: Choice(token_budget=4096))
    assert trained.open_trained(tmp_path / "out").classifier.token_budget == 4096


@pytest.mark.parametrize("content", ["", "[]", '{"speed": 3}'])
def test_a_damaged_choice_is_named_with_a_remedy(
    content: str, settings: TaskSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_machine(monkeypatch, QUICK)
    (tmp_path / "speed.json").write_text(content)
    with pytest.raises(RunError, match=r"speed\.json is damaged .*call bertft train again"):
        folder.take_choice(tmp_path, settings, torch.device("cpu"), print)
