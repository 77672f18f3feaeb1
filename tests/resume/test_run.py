"""A run that is interrupted anywhere ends exactly as one that is not."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from disks import Disk
from torch.utils.data import DataLoader
from transformers import BertConfig, BertForSequenceClassification

from bertft_helpers.batching import EncodedTexts, make_loader, pad_batch
from bertft_helpers.config import TrainConfig
from bertft_helpers.errors import UserError
from bertft_helpers.losses import classification_loss, smoothed_loss, weighted_loss
from bertft_helpers.optim import build_optimizer
from bertft_helpers.resume import progress, states
from bertft_helpers.resume.identity import name_of_loss
from bertft_helpers.resume.progress import Progress
from bertft_helpers.resume.run import Run, fit_resumable
from bertft_helpers.resume.states import DamagedStateError, read_state, states_in
from bertft_helpers.speed.dropout import use_byte_dropout
from bertft_helpers.speed.vocabulary import compact_vocabulary, restore_vocabulary
from bertft_helpers.training import EarlyStopping, History, fit, steps_per_run

CONFIG = TrainConfig(epochs=2, accumulate=2)


class Stopped(Exception):
    """The interruption of a test."""


def quiet(note: str) -> None:
    """Notes that a test does not read."""


def examples(count: int, offset: int = 0) -> EncodedTexts:
    lengths = [3 + (number * 7 + offset) % 6 for number in range(count)]
    ids = [[2, *(5 + (number + place) % 40 for place in range(length)), 3] for number, length in enumerate(lengths)]
    return EncodedTexts(ids, [number % 3 for number in range(count)])


def parts(
    config: TrainConfig = CONFIG,
    data: EncodedTexts | None = None,
    batch_size: int = 2,
    seed: int = 3,
    learning_rate: float = 1e-2,
    warmup_share: float = 0.1,
) -> Run:
    """A tiny BERT with dropout, bucketed batches, accumulation with a short last group, warm-up and decay."""
    torch.manual_seed(seed)
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
    train_loader = make_loader(data or examples(9), batch_size, seed=seed)
    validation_loader = make_loader(examples(5, offset=1), 4)
    return optimized(model, train_loader, validation_loader, config, learning_rate, warmup_share)


def optimized(model, train_loader, validation_loader, config=CONFIG, learning_rate=1e-2, warmup_share=0.1) -> Run:
    steps = steps_per_run(train_loader, config)
    optimizer, schedule = build_optimizer(model, learning_rate, steps, 0.1, warmup_share)
    return Run(model, train_loader, validation_loader, optimizer, schedule, config)


def everything(run: Run, history: History) -> dict[str, Any]:
    """All that must be equal, as exact values."""
    tensors = {**run.model.state_dict(), **states.split_optimizer(run.optimizer)[0]}
    return {
        "tensors": {name: tensor.tolist() for name, tensor in tensors.items()},
        "steps": [(step.loss_sum, step.targets, step.gradient_norm, step.learning_rate) for step in history.steps],
        "epochs": history.epochs,
        "random": torch.get_rng_state().tolist(),
    }


def stop_after(calls: int) -> Callable:
    """A loss function that raises at its ``calls``-th call from now."""
    left = [calls]

    @functools.wraps(classification_loss)
    def loss_fn(model: torch.nn.Module, batch: dict) -> tuple:
        left[0] -= 1
        if left[0] < 0:
            raise Stopped
        return classification_loss(model, batch)

    return loss_fn


def stopped(run: Run, loss_fn: Callable) -> Run:
    return dataclasses.replace(run, loss_fn=loss_fn)


def resumed(folder: Path, stops: list[int], **options: Any) -> dict[str, Any]:
    """The end of a run that is interrupted after each number of batches in ``stops`` and started again each time."""
    for batches in stops:
        with pytest.raises(Stopped):
            fit_resumable(stopped(parts(), stop_after(batches)), folder, save_every=1, on_note=quiet, **options)
    run = parts()
    history = fit_resumable(run, folder, save_every=1, on_note=quiet, **options)
    return everything(run, history)


def test_without_interruption_it_is_fit(tmp_path: Path) -> None:
    plain = parts()
    expected = everything(plain, fit(**vars(plain)))
    saved = parts()
    assert everything(saved, fit_resumable(saved, tmp_path, on_note=quiet)) == expected


def test_an_interruption_at_any_batch_changes_no_bit(tmp_path: Path, report: Callable[[str, object], None]) -> None:
    run = parts()
    expected = everything(run, fit(**vars(run)))
    batches = CONFIG.epochs * len(run.train_loader)
    for stop in range(batches):
        assert resumed(tmp_path / str(stop), [stop]) == expected, f"interrupted at batch {stop}"
    report("batches at which a run was interrupted and went on bit for bit", batches)


def test_many_interruptions_in_one_run_change_no_bit(tmp_path: Path) -> None:
    run = parts()
    expected = everything(run, fit(**vars(run)))
    assert resumed(tmp_path, [1, 3, 2, 3]) == expected


def test_early_stopping_resumes_with_its_count_and_its_best_weights(tmp_path: Path) -> None:
    def stopping() -> EarlyStopping:
        return EarlyStopping(patience=1, min_change=10.0)  # nothing improves that much: the second epoch is the last

    def long_run() -> Run:
        return dataclasses.replace(parts(dataclasses.replace(CONFIG, epochs=4)), stopping=stopping())

    plain = long_run()
    expected = everything(plain, fit(**vars(plain)))
    assert len(expected["epochs"]) == 2
    with pytest.raises(Stopped):
        fit_resumable(stopped(long_run(), stop_after(7)), tmp_path, save_every=1, on_note=quiet)
    run = long_run()
    history = fit_resumable(run, tmp_path, save_every=1, on_note=quiet)
    assert everything(run, history)["tensors"] == expected["tensors"]
    assert history.epochs == expected["epochs"]


def test_a_compact_vocabulary_resumes_with_what_decay_has_left_of_the_other_rows(tmp_path: Path) -> None:
    def compacted() -> Run:
        run = parts()
        stand_in = compact_vocabulary(run.model, run.train_loader.dataset.input_ids)
        run = optimized(run.model, run.train_loader, run.validation_loader)
        stand_in.follow(run.optimizer)
        return run

    plain = compacted()
    fit(**vars(plain))
    restore_vocabulary(plain.model)
    with pytest.raises(Stopped):
        fit_resumable(stopped(compacted(), stop_after(7)), tmp_path, save_every=1, on_note=quiet)
    run = compacted()
    fit_resumable(run, tmp_path, save_every=1, on_note=quiet)
    restore_vocabulary(run.model)
    expected, found = plain.model.state_dict(), run.model.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_byte_drawn_dropout_resumes_where_its_generator_was(tmp_path: Path) -> None:
    def with_bytes() -> Run:
        run = parts()
        use_byte_dropout(run.model, seed=5)
        return run

    plain = with_bytes()
    expected = everything(plain, fit(**vars(plain)))
    with pytest.raises(Stopped):
        fit_resumable(stopped(with_bytes(), stop_after(7)), tmp_path, save_every=1, on_note=quiet)
    run = with_bytes()
    assert everything(run, fit_resumable(run, tmp_path, save_every=1, on_note=quiet)) == expected


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first = fit_resumable(parts(), tmp_path, on_note=quiet)
    again = fit_resumable(stopped(parts(), stop_after(0)), tmp_path, on_note=quiet)
    assert again.epochs == first.epochs


def test_the_newest_states_and_the_best_epoch_are_kept(tmp_path: Path) -> None:
    history = fit_resumable(parts(), tmp_path, save_every=1, keep=1, on_note=quiet)
    best = min(history.epochs, key=lambda row: row["validation_loss"])["epoch"]
    assert {int(path.name[-8:]) for path in states_in(tmp_path)} == {len(history.steps), best * 3}


def interrupted(folder: Path) -> list[Path]:
    with pytest.raises(Stopped):
        fit_resumable(stopped(parts(), stop_after(5)), folder, save_every=1, on_note=quiet)
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
    expected = everything(plain, fit(**vars(plain)))
    newest = interrupted(tmp_path)[-1]
    DAMAGES[message](newest)
    notes: list[str] = []
    run = parts()
    history = fit_resumable(run, tmp_path, save_every=1, on_note=notes.append)
    assert any(f"stepped over {newest.name}" in note and message in note for note in notes), notes
    assert everything(run, history) == expected


def test_when_no_state_can_be_read_the_run_refuses_to_start_anew(tmp_path: Path) -> None:
    for path in interrupted(tmp_path):
        (path / "manifest.json").unlink()
    with pytest.raises(RuntimeError, match=r"none of the 2 states .* can be read; move them away"):
        fit_resumable(parts(), tmp_path, on_note=quiet)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"config": dataclasses.replace(CONFIG, accumulate=1)}, "accumulate (saved 2, now 1)"),
        ({"batch_size": 3}, "order of the loader (saved 'seed 3, batches of 2', now 'seed 3, batches of 3')"),
        ({"seed": 4}, "order of the loader (saved 'seed 3, batches of 2', now 'seed 4, batches of 2')"),
        ({"learning_rate": 0.5}, "learning rates (saved [0.01, 0.01, 0.01, 0.01], now [0.5, 0.5, 0.5, 0.5])"),
        ({"warmup_share": 0.5}, "schedule (saved 'LambdaLR"),
        ({"data": examples(9, offset=2)}, "training texts"),
        ({"data": EncodedTexts(examples(9).input_ids, [0] * 9)}, "training labels"),
    ],
)
def test_another_run_is_refused_and_the_difference_named(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    interrupted(tmp_path)
    with pytest.raises(ValueError, match="belongs to another run") as refusal:
        fit_resumable(parts(**changes), tmp_path, on_note=quiet)
    assert named in str(refusal.value)


def test_a_run_with_another_dropout_is_refused(tmp_path: Path) -> None:
    interrupted(tmp_path)
    run = parts()
    use_byte_dropout(run.model, seed=5)
    with pytest.raises(ValueError, match="dropout \\(saved 'plain', now 'drawn as bytes'\\)"):
        fit_resumable(run, tmp_path, on_note=quiet)


@pytest.mark.parametrize(
    ("loss_fn", "named"),
    [
        (weighted_loss([1.0, 2.0, 3.0]), "now 'weighted_loss.<locals>.loss_fn(weights=[1.0, 2.0, 3.0])'"),
        (smoothed_loss(0.2), "now 'smoothed_loss.<locals>.loss_fn(smoothing=0.2)'"),
    ],
)
def test_a_run_with_another_loss_is_refused(tmp_path: Path, loss_fn: Callable, named: str) -> None:
    interrupted(tmp_path)
    with pytest.raises(UserError, match=r"loss \(saved 'classification_loss', ") as refusal:
        fit_resumable(dataclasses.replace(parts(), loss_fn=loss_fn), tmp_path, on_note=quiet)
    assert named in str(refusal.value)
    assert name_of_loss(smoothed_loss(0.2)) != name_of_loss(smoothed_loss(0.1))


def test_a_loader_whose_order_cannot_be_repeated_is_refused(tmp_path: Path) -> None:
    shuffled = DataLoader(examples(9), 2, shuffle=True, collate_fn=pad_batch)
    with pytest.raises(UserError, match="order follows from seed and epoch: make it with"):
        fit_resumable(dataclasses.replace(parts(), train_loader=shuffled), tmp_path, on_note=quiet)


def test_without_a_schedule_a_run_resumes_at_its_fixed_rate(tmp_path: Path) -> None:
    def at_fixed_rate() -> Run:
        run = parts()
        optimizer = torch.optim.SGD(run.model.parameters(), lr=0.3, momentum=0.9)
        return dataclasses.replace(run, optimizer=optimizer, schedule=None)

    plain = at_fixed_rate()
    expected = everything(plain, fit(**vars(plain)))
    assert {step[3] for step in expected["steps"]} == {0.3}
    with pytest.raises(Stopped):
        fit_resumable(stopped(at_fixed_rate(), stop_after(7)), tmp_path, save_every=1, on_note=quiet)
    run = at_fixed_rate()
    assert everything(run, fit_resumable(run, tmp_path, save_every=1, on_note=quiet)) == expected


def test_early_stopping_from_another_run_starts_anew(tmp_path: Path) -> None:
    used = EarlyStopping(patience=1, min_change=10.0)
    for name in ("first", "second"):
        run = dataclasses.replace(parts(dataclasses.replace(CONFIG, epochs=4)), stopping=used)
        assert len(fit_resumable(run, tmp_path / name, on_note=quiet).epochs) == 2


def test_the_best_state_is_that_of_what_early_stopping_monitors() -> None:
    rows = [
        {"epoch": 1, "validation_loss": 1.0, "validation_accuracy": 0.5},
        {"epoch": 2, "validation_loss": 2.0, "validation_accuracy": 0.9},
        {"epoch": 3, "validation_loss": 3.0, "validation_accuracy": 0.7},
    ]

    def best_step(stopping: EarlyStopping | None) -> int | None:
        so_far = Progress(dataclasses.replace(parts(), stopping=stopping))
        for row in rows:
            so_far.history.epochs.append(row)
            if stopping is not None:
                stopping.update(row, so_far.run.model)
        return so_far.best_step

    assert best_step(EarlyStopping(patience=3, monitor="validation_accuracy")) == 2 * 3  # three steps an epoch
    assert best_step(EarlyStopping(patience=3)) == best_step(None) == 1 * 3


@pytest.mark.parametrize("option", ["keep", "save_every"])
def test_keeping_or_saving_nothing_is_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(UserError, match=f"{option} is 0; it must be at least 1"):
        fit_resumable(parts(), tmp_path, on_note=quiet, **{option: 0})
    assert list(tmp_path.iterdir()) == []


def test_a_state_of_other_versions_is_resumed_and_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(progress, "version", {"torch": "2.0.1", "transformers": version("transformers")}.get)
        interrupted(tmp_path)
    notes: list[str] = []
    fit_resumable(parts(), tmp_path, on_note=notes.append)
    now = version("torch")
    assert f"was saved with torch 2.0.1 (now {now}): numbers may differ in their last digits" in notes[0]
    assert "transformers" not in notes[0]
    assert "resumed from state-" in notes[1]


def test_every_gpus_generator_is_saved_and_those_that_are_gone_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no GPU here: torch answers as on a machine with two, and as on Apple's."""
    drawn = torch.tensor([1, 2, 3], dtype=torch.uint8)
    with monkeypatch.context() as there:
        there.setattr(torch.cuda, "is_available", lambda: True)
        there.setattr(torch.cuda, "get_rng_state_all", lambda: [drawn, drawn + 1])
        there.setattr(torch.backends.mps, "is_available", lambda: True)
        there.setattr(torch.mps, "get_rng_state", lambda: drawn + 2)
        saved = states.random_state()
    assert {name: state.tolist() for name, state in saved.items() if name != "cpu"} == {
        "cuda:0": [1, 2, 3],
        "cuda:1": [2, 3, 4],
        "mps": [3, 4, 5],
    }
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    given: list[tuple[str, list[int]]] = []
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: given.append((device, state.tolist())))
    torch.manual_seed(1)
    assert states.set_random_state(saved) == ["cuda:1", "mps"]
    assert given == [("cuda:0", [1, 2, 3])]
    assert torch.equal(torch.get_rng_state(), saved["cpu"])


def test_a_full_disk_is_noted_and_earlier_states_stay(small_disk: Disk) -> None:
    plain = parts()
    expected = everything(plain, fit(**vars(plain)))
    disk, notes, run = small_disk(1 << 20), [], parts()
    history = fit_resumable(
        dataclasses.replace(run, loss_fn=filling(disk, after=5)), disk.path, save_every=1, on_note=notes.append
    )
    assert everything(run, history) == expected
    assert notes[0].startswith("the state of step 3 was not saved ([Errno 28] No space left on device")
    assert all(note.endswith("; training goes on") for note in notes)
    assert [path.name for path in states_in(disk.path)] == ["state-00000001", "state-00000002"]
    assert {path.name[:6] for path in disk.path.iterdir()} == {"state-", "filler"}
    for path in states_in(disk.path):
        read_state(path)


def filling(disk: Disk, after: int) -> Callable:
    """A loss that takes what is left of the disk at its ``after``-th batch."""
    batches = iter(range(1, 1000))

    @functools.wraps(classification_loss)
    def loss_fn(model: torch.nn.Module, batch: dict) -> tuple:
        if next(batches) == after:
            disk.fill()
        return classification_loss(model, batch)

    return loss_fn


def test_a_limit_on_the_size_of_files_is_noted_and_training_goes_on(tmp_path: Path) -> None:
    code = """
        import resource, sys
        from pathlib import Path
        from test_run import parts
        from bertft_helpers.resume.run import fit_resumable
        run, folder = parts(), Path(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))
        history = fit_resumable(run, folder, save_every=1)
        print(len(history.steps), [path.name for path in folder.iterdir() if "state" in path.name])
    """
    tests = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (tests.parent, tests, tests / "resume")))}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), tmp_path], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    *notes, last = done.stdout.splitlines()
    assert len(notes) == 6
    assert all("was not saved (" in note and "ile too large" in note for note in notes), notes
    assert last == "6 []"


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
    """kill -9 at random moments after the first state, some while one is written or removed; all can be read."""
    plain = parts()
    expected = everything(plain, fit(**vars(plain)))
    moments, kills, hits = random.Random(0), 0, 0
    folder = tmp_path / "run"
    while kills < 50:
        child = os.fork()
        if child == 0:
            fit_resumable(slowed(parts()), folder, save_every=1, on_note=quiet)
            os._exit(0)
        hit = kill_after_a_state(child, folder, moments.uniform(0.0, 0.15))
        if hit is not None:
            kills, hits = kills + 1, hits + hit
        for path in states_in(folder):
            read_state(path)
        if read_state(states_in(folder)[-1])[1]["epoch"] == CONFIG.epochs:
            run = parts()
            assert everything(run, fit_resumable(run, folder, on_note=quiet))["tensors"] == expected["tensors"]
            shutil.rmtree(folder)
    run = parts()
    assert everything(run, fit_resumable(run, folder, save_every=1, on_note=quiet)) == expected
    assert hits >= 1  # how many is chance, about one in five
    report("runs killed (kill -9) after their first state, at random moments, without a lost state", kills)


def slowed(run: Run) -> Run:
    """Batches take a moment, so that the kill is as likely to find the run between two states as within one."""

    @functools.wraps(classification_loss)
    def loss_fn(model: torch.nn.Module, batch: dict) -> tuple:
        time.sleep(0.001)
        return classification_loss(model, batch)

    return stopped(run, loss_fn)


def kill_after_a_state(child: int, folder: Path, delay: float) -> bool | None:
    """Kill a run some time after it has a state; whether that left a draft of its own, or None when it had ended."""
    while not states_in(folder) and os.waitpid(child, os.WNOHANG) == (0, 0):
        time.sleep(0.001)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        return None
    return any(folder.glob(f".state-*-{child}-*.draft"))  # an earlier kill's may lie there too
