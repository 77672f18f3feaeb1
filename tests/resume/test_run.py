"""A run that is interrupted anywhere ends exactly as one that is not."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from disks import Disk
from transformers import BertConfig, BertForSequenceClassification

from bertft_helpers.batching import EncodedTexts, make_loader
from bertft_helpers.config import TrainConfig
from bertft_helpers.losses import classification_loss
from bertft_helpers.optim import linear_warmup, parameter_groups
from bertft_helpers.resume import states
from bertft_helpers.resume.run import fit_resumable
from bertft_helpers.resume.states import DamagedStateError, read_state, states_in
from bertft_helpers.speed.dropout import use_byte_dropout
from bertft_helpers.speed.vocabulary import compact_vocabulary, restore_vocabulary
from bertft_helpers.training import EarlyStopping, History, fit, steps_per_run

CONFIG = TrainConfig(seed=3, epochs=2, batch_size=2, learning_rate=1e-2, accumulate=2, weight_decay=0.1)


class Stopped(Exception):
    """The interruption of a test."""


def quiet(note: str) -> None:
    """Notes that a test does not read."""


def examples(count: int, offset: int = 0) -> EncodedTexts:
    lengths = [3 + (number * 7 + offset) % 6 for number in range(count)]
    ids = [[2, *(5 + (number + place) % 40 for place in range(length)), 3] for number, length in enumerate(lengths)]
    return EncodedTexts(ids, [number % 3 for number in range(count)])


def parts(config: TrainConfig = CONFIG, data: EncodedTexts | None = None) -> dict[str, Any]:
    """A tiny BERT with dropout, bucketed batches, accumulation with a short last group, warm-up and decay."""
    torch.manual_seed(config.seed)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=50,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            num_labels=3,
        )
    )
    train_loader = make_loader(data or examples(9), config.batch_size, seed=config.seed)
    optimizer = torch.optim.AdamW(parameter_groups(model, config.learning_rate, config.weight_decay), fused=True)
    return {
        "model": model,
        "train_loader": train_loader,
        "validation_loader": make_loader(examples(5, offset=1), 4),
        "optimizer": optimizer,
        "schedule": linear_warmup(optimizer, steps_per_run(train_loader, config)),
        "config": config,
    }


def everything(run: dict[str, Any], history: History) -> dict[str, Any]:
    """All that must be equal, as exact values."""
    tensors = {**run["model"].state_dict(), **states.split_optimizer(run["optimizer"])[0]}
    return {
        "tensors": {name: tensor.tolist() for name, tensor in tensors.items()},
        "steps": [(step.loss_sum, step.targets, step.gradient_norm, step.learning_rate) for step in history.steps],
        "epochs": history.epochs,
        "random": torch.get_rng_state().tolist(),
    }


def stop_after(calls: int) -> Callable:
    """A loss function that raises at its ``calls``-th call from now."""
    left = [calls]

    def loss_fn(model: torch.nn.Module, batch: dict) -> tuple:
        left[0] -= 1
        if left[0] < 0:
            raise Stopped
        return classification_loss(model, batch)

    return loss_fn


def resumed(folder: Path, stops: list[int], **options: Any) -> dict[str, Any]:
    """The end of a run that is interrupted after each number of batches in ``stops`` and started again each time."""
    for batches in stops:
        with pytest.raises(Stopped):
            fit_resumable(**parts(), folder=folder, loss_fn=stop_after(batches), save_every=1, on_note=quiet, **options)
    run = parts()
    history = fit_resumable(**run, folder=folder, save_every=1, on_note=quiet, **options)
    return everything(run, history)


def test_without_interruption_it_is_fit(tmp_path: Path) -> None:
    plain = parts()
    expected = everything(plain, fit(**plain))
    saved = parts()
    assert everything(saved, fit_resumable(**saved, folder=tmp_path, on_note=quiet)) == expected


def test_an_interruption_at_any_batch_changes_no_bit(tmp_path: Path, report: Callable[[str, object], None]) -> None:
    run = parts()
    expected = everything(run, fit(**run))
    batches = CONFIG.epochs * len(run["train_loader"])
    for stop in range(batches):
        assert resumed(tmp_path / str(stop), [stop]) == expected, f"interrupted at batch {stop}"
    report("batches at which a run was interrupted and went on bit for bit", batches)


def test_many_interruptions_in_one_run_change_no_bit(tmp_path: Path) -> None:
    run = parts()
    expected = everything(run, fit(**run))
    assert resumed(tmp_path, [1, 3, 2, 3]) == expected


def test_early_stopping_resumes_with_its_count_and_its_best_weights(tmp_path: Path) -> None:
    def stopping() -> EarlyStopping:
        return EarlyStopping(patience=1, min_change=10.0)  # nothing improves that much: the second epoch is the last

    config = TrainConfig(**{**vars(CONFIG), "epochs": 4})
    plain = parts(config)
    expected = everything(plain, fit(**plain, stopping=stopping()))
    assert len(expected["epochs"]) == 2
    with pytest.raises(Stopped):
        fit_resumable(
            **parts(config), folder=tmp_path, loss_fn=stop_after(7), save_every=1, on_note=quiet, stopping=stopping()
        )
    run = parts(config)
    history = fit_resumable(**run, folder=tmp_path, save_every=1, on_note=quiet, stopping=stopping())
    assert everything(run, history)["tensors"] == expected["tensors"]
    assert history.epochs == expected["epochs"]


def test_a_compact_vocabulary_resumes_with_what_decay_has_left_of_the_other_rows(tmp_path: Path) -> None:
    def compacted() -> dict[str, Any]:
        run = parts()
        torch.manual_seed(CONFIG.seed)
        stand_in = compact_vocabulary(run["model"], run["train_loader"].dataset.input_ids)
        groups = parameter_groups(run["model"], CONFIG.learning_rate, CONFIG.weight_decay)
        run["optimizer"] = torch.optim.AdamW(groups, fused=True)
        stand_in.follow(run["optimizer"])
        run["schedule"] = linear_warmup(run["optimizer"], steps_per_run(run["train_loader"], CONFIG))
        return run

    plain = compacted()
    fit(**plain)
    restore_vocabulary(plain["model"])
    with pytest.raises(Stopped):
        fit_resumable(**compacted(), folder=tmp_path, loss_fn=stop_after(7), save_every=1, on_note=quiet)
    run = compacted()
    fit_resumable(**run, folder=tmp_path, save_every=1, on_note=quiet)
    restore_vocabulary(run["model"])
    expected, found = plain["model"].state_dict(), run["model"].state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_byte_drawn_dropout_resumes_where_its_generator_was(tmp_path: Path) -> None:
    def with_bytes() -> dict[str, Any]:
        run = parts()
        use_byte_dropout(run["model"], seed=5)
        return run

    plain = with_bytes()
    expected = everything(plain, fit(**plain))
    with pytest.raises(Stopped):
        fit_resumable(**with_bytes(), folder=tmp_path, loss_fn=stop_after(7), save_every=1, on_note=quiet)
    run = with_bytes()
    assert everything(run, fit_resumable(**run, folder=tmp_path, save_every=1, on_note=quiet)) == expected


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first = fit_resumable(**parts(), folder=tmp_path, on_note=quiet)
    again = fit_resumable(**parts(), folder=tmp_path, loss_fn=stop_after(0), on_note=quiet)
    assert again.epochs == first.epochs


def test_the_newest_states_and_the_best_epoch_are_kept(tmp_path: Path) -> None:
    history = fit_resumable(**parts(), folder=tmp_path, save_every=1, keep=1, on_note=quiet)
    best = min(history.epochs, key=lambda row: row["validation_loss"])["epoch"]
    assert {int(path.name[-8:]) for path in states_in(tmp_path)} == {len(history.steps), best * 3}


def interrupted(folder: Path) -> list[Path]:
    with pytest.raises(Stopped):
        fit_resumable(**parts(), folder=folder, loss_fn=stop_after(5), save_every=1, on_note=quiet)
    return states_in(folder)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated or altered": lambda path: os.truncate(path / "model.safetensors", 100),
    "facts.json is truncated or altered": lambda path: (path / "facts.json").write_text("{}"),
    "optimizer.safetensors is missing": lambda path: (path / "optimizer.safetensors").unlink(),
    "manifest.json is missing": lambda path: (path / "manifest.json").unlink(),
    "manifest.json is missing or not readable": lambda path: (path / "manifest.json").write_bytes(b"\x00\xff"),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_a_damaged_state_is_stepped_over_by_name(tmp_path: Path, message: str) -> None:
    plain = parts()
    expected = everything(plain, fit(**plain))
    newest = interrupted(tmp_path)[-1]
    DAMAGES[message](newest)
    notes: list[str] = []
    run = parts()
    history = fit_resumable(**run, folder=tmp_path, save_every=1, on_note=notes.append)
    assert any(f"stepped over {newest.name}" in note and message in note for note in notes), notes
    assert everything(run, history) == expected


def test_when_no_state_can_be_read_the_run_refuses_to_start_anew(tmp_path: Path) -> None:
    for path in interrupted(tmp_path):
        (path / "manifest.json").unlink()
    with pytest.raises(RuntimeError, match=r"none of the 2 states .* can be read; move them away"):
        fit_resumable(**parts(), folder=tmp_path, on_note=quiet)


@pytest.mark.parametrize(
    ("config", "data", "named"),
    [
        (TrainConfig(**{**vars(CONFIG), "batch_size": 3}), None, "batch_size (saved 2, now 3)"),
        (TrainConfig(**{**vars(CONFIG), "seed": 4}), None, "seed (saved 3, now 4)"),
        (TrainConfig(**{**vars(CONFIG), "learning_rate": 0.5}), None, "learning_rate (saved 0.01, now 0.5)"),
        (CONFIG, examples(9, offset=2), "training texts"),
        (CONFIG, EncodedTexts(examples(9).input_ids, [0] * 9), "training labels"),
    ],
)
def test_another_run_is_refused_and_the_difference_named(
    tmp_path: Path, config: TrainConfig, data: EncodedTexts | None, named: str
) -> None:
    interrupted(tmp_path)
    with pytest.raises(ValueError, match="belongs to another run") as refusal:
        fit_resumable(**parts(config, data), folder=tmp_path, on_note=quiet)
    assert named in str(refusal.value)


def test_a_run_with_another_dropout_is_refused(tmp_path: Path) -> None:
    interrupted(tmp_path)
    run = parts()
    use_byte_dropout(run["model"], seed=5)
    with pytest.raises(ValueError, match="dropout \\(saved 'plain', now 'drawn as bytes'\\)"):
        fit_resumable(**run, folder=tmp_path, on_note=quiet)


def test_a_full_disk_is_noted_and_earlier_states_stay(small_disk: Disk) -> None:
    plain = parts()
    expected = everything(plain, fit(**plain))
    disk, notes, run = small_disk(1 << 20), [], parts()
    calls = iter(range(100))

    def loss_fn(model: torch.nn.Module, batch: dict) -> tuple:
        if next(calls) == 4:  # the first batch of the third step
            disk.fill()
        return classification_loss(model, batch)

    history = fit_resumable(**run, folder=disk.path, loss_fn=loss_fn, save_every=1, on_note=notes.append)
    assert everything(run, history) == expected
    assert notes[0].startswith("the state of step 3 was not saved ([Errno 28] No space left on device")
    assert [path.name for path in states_in(disk.path)] == ["state-00000001", "state-00000002"]
    assert {path.name[:6] for path in disk.path.iterdir()} == {"state-", "filler"}
    for path in states_in(disk.path):
        read_state(path)


def test_a_state_holds_no_pickle(tmp_path: Path) -> None:
    newest = interrupted(tmp_path)[-1]
    assert {path.suffix for path in newest.iterdir()} == {".safetensors", ".json"}
    assert set(json.loads((newest / "manifest.json").read_text())) == {
        path.name for path in newest.iterdir() if path.name != "manifest.json"
    }
    with pytest.raises(DamagedStateError):
        read_state(tmp_path / "state-99999999")


@pytest.mark.slow
def test_fifty_kills_lose_nothing(tmp_path: Path, report: Callable[[str, object], None]) -> None:
    """kill -9 at random moments, saves included; after each, every finished state can be read."""
    plain = parts()
    expected = everything(plain, fit(**plain))
    moments, survived = random.Random(0), 0
    folder = tmp_path / "run"
    while survived < 50:
        child = os.fork()
        if child == 0:
            fit_resumable(**parts(), folder=folder, save_every=1, on_note=quiet)
            os._exit(0)
        time.sleep(moments.uniform(0.0, 0.25))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        for path in states_in(folder):
            read_state(path)
        survived += os.WIFSIGNALED(status)
        if len(states_in(folder)) and read_state(states_in(folder)[-1])[1]["epoch"] == CONFIG.epochs:
            run = parts()
            assert everything(run, fit_resumable(**run, folder=folder, on_note=quiet))["tensors"] == expected["tensors"]
            shutil.rmtree(folder)
    run = parts()
    history = fit_resumable(**run, folder=folder, save_every=1, on_note=quiet)
    assert everything(run, history) == expected
    report("runs killed (kill -9) at random moments without a lost state", survived)
