"""Several processes train the model that one would: same parameters, same history, same state on disk."""

from __future__ import annotations

import functools
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from minimal import parameters_of, tiny_batch, tiny_classifier, tiny_loader

from bertft_helpers.config import TrainConfig
from bertft_helpers.errors import RunError
from bertft_helpers.losses import IGNORE, classification_loss
from bertft_helpers.optim import build_optimizer
from bertft_helpers.resume.processes import (
    AgreedStopping,
    Processes,
    as_first,
    joined,
    require_equal,
    rows_of,
    share_gradients,
    shared_loss,
)
from bertft_helpers.resume.run import Run, fit_resumable
from bertft_helpers.training import EarlyStopping, steps_per_run

CONFIG = TrainConfig(epochs=3, accumulate=2)

TESTS = Path(__file__).parents[1]
IMPORTED = [str(folder) for folder in (TESTS.parent, TESTS, TESTS / "resume")]


def train(folder: Path, dropout: float, stop_at: int | None = None) -> None:
    """One process's part of a run on 17 texts in batches of 4; the last batch has a single text."""
    with joined("cpu") as processes:
        model = tiny_classifier(hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
        train_loader = tiny_loader(17, 4, seed=3)
        loss_fn, stopping = classification_loss, EarlyStopping(patience=3)
        if processes.count > 1:
            share_gradients(model)
            loss_fn, stopping = shared_loss(classification_loss, processes), AgreedStopping(patience=3)
        if stop_at is not None:
            loss_fn = dying(loss_fn, stop_at)
        optimizer, schedule = build_optimizer(model, 1e-3, steps_per_run(train_loader, CONFIG))
        validation_loader = tiny_loader(9, seed=None, offset=1)
        history = fit_resumable(
            Run(model, train_loader, validation_loader, optimizer, schedule, CONFIG, loss_fn, stopping),
            folder / "states",
            save_every=2,
            on_note=lambda note: None,
            writes=processes.is_first,
        )
        torch.save(parameters_of(model), folder / f"model-{processes.rank}.pt")
        steps = [[step.loss_sum, step.targets, step.gradient_norm] for step in history.steps]
        told = {"steps": steps, "epochs": history.epochs, "draw": int(torch.randint(2**31, ()))}
        (folder / f"told-{processes.rank}.json").write_text(json.dumps(told))


def dying(loss_fn, after: int):
    calls = iter(range(after))

    @functools.wraps(loss_fn)
    def loss(model, batch):
        if next(calls, None) is None:
            os._exit(9)  # as a kill: nothing is closed or written
        return loss_fn(model, batch)

    return loss


def agree(folder: Path) -> None:
    """One process's part of a comparison, and of work that only the first process does."""
    with joined("cpu") as processes:
        require_equal("texts", "the same", processes, "give all of them the same data")
        told = [as_first(lambda: f"made by {processes.rank}", processes)]
        for disagreeing in (
            lambda: require_equal("texts", processes.rank, processes, "give all of them the same data"),
            lambda: as_first(lambda: 1 / 0, processes),
        ):
            try:
                disagreeing()
            except (RunError, ZeroDivisionError) as error:
                told.append(f"{type(error).__name__}: {error}")
        (folder / f"told-{processes.rank}.json").write_text(json.dumps(told))


def launch_training(count: int, folder: Path, dropout: float, stop_at: int | None = None) -> list[int]:
    """Run ``train`` in ``count`` processes; returns their exit codes."""
    return launch(count, folder, f"train(Path({str(folder)!r}), {dropout}, {stop_at})")


def launch(count: int, folder: Path, call: str) -> list[int]:
    """Run a function of this module in ``count`` processes as a launcher would; returns their exit codes."""
    folder.mkdir(exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    code = f"from pathlib import Path; from test_processes import agree, train; {call}"
    environment = {**os.environ, "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(IMPORTED)}
    running = [
        subprocess.Popen([sys.executable, "-c", code], env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(count)
    ]
    return [process.wait(timeout=240) for process in running]


def model_of(folder: Path, rank: int = 0) -> dict[str, torch.Tensor]:
    return torch.load(folder / f"model-{rank}.pt")


def told_by(folder: Path, rank: int = 0) -> dict:
    return json.loads((folder / f"told-{rank}.json").read_text())


def largest_difference(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> float:
    return max(float((first[name] - second[name]).abs().max()) for name in first)


@pytest.mark.slow
def test_two_processes_end_with_the_parameters_and_the_history_of_one(tmp_path: Path) -> None:
    for count in (1, 2):
        assert launch_training(count, tmp_path / str(count), dropout=0.0) == [0] * count
    alone, together = model_of(tmp_path / "1"), model_of(tmp_path / "2")
    assert largest_difference(alone, together) <= 1e-5
    assert largest_difference(alone, parameters_of(tiny_classifier())) > 1e-3  # the run moved them
    assert largest_difference(together, model_of(tmp_path / "2", rank=1)) == 0.0
    for mine, theirs in zip(told_by(tmp_path / "1")["steps"], told_by(tmp_path / "2")["steps"], strict=True):
        assert mine == pytest.approx(theirs, rel=1e-4)
    targets = [step[1] for step in told_by(tmp_path / "2")["steps"]]
    assert [sum(targets[epoch : epoch + 3]) for epoch in (0, 3, 6)] == [17, 17, 17]  # three steps an epoch


@pytest.mark.slow
def test_two_killed_processes_resume_to_the_last_bit_with_dropout(tmp_path: Path) -> None:
    assert launch_training(2, tmp_path / "whole", dropout=0.1) == [0, 0]
    assert launch_training(2, tmp_path / "killed", dropout=0.1, stop_at=8) == [9, 9]
    assert list((tmp_path / "killed" / "states").glob("state-*"))
    assert launch_training(2, tmp_path / "killed", dropout=0.1) == [0, 0]
    assert largest_difference(model_of(tmp_path / "whole"), model_of(tmp_path / "killed")) == 0.0
    assert largest_difference(model_of(tmp_path / "killed"), model_of(tmp_path / "killed", rank=1)) == 0.0
    assert told_by(tmp_path / "whole") == told_by(tmp_path / "killed")
    assert told_by(tmp_path / "whole")["draw"] == told_by(tmp_path / "whole", rank=1)["draw"]  # generators stay equal


@pytest.mark.slow
def test_processes_that_differ_are_named_and_the_firsts_failure_is_everyones(tmp_path: Path) -> None:
    assert launch(3, tmp_path, f"agree(Path({str(tmp_path)!r}))") == [0, 0, 0]
    refused = "RunError: process 1, 2 sees other texts than process 0: give all of them the same data"
    assert told_by(tmp_path) == ["made by 0", refused, "ZeroDivisionError: division by zero"]
    for rank in (1, 2):
        assert told_by(tmp_path, rank) == ["made by 0", refused, "RunError: division by zero"]


def test_agreed_stopping_from_another_run_starts_anew(tmp_path: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    try:
        stopping, lengths = AgreedStopping(patience=1, min_change=100.0), []
        for name in ("first", "second"):
            model, loaders = tiny_classifier(), (tiny_loader(5, 4, seed=3), tiny_loader(5, seed=None))
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            run = Run(model, *loaders, optimizer, None, TrainConfig(epochs=4), stopping=stopping)
            lengths.append(len(fit_resumable(run, tmp_path / name, on_note=lambda note: None).epochs))
        assert lengths == [2, 2]
    finally:
        dist.destroy_process_group()


def test_each_row_of_a_global_batch_goes_to_one_process() -> None:
    batch = tiny_batch(5)
    rows = [rows_of(batch, Processes(rank, 3))["rows"].tolist() for rank in range(3)]
    assert rows == [[0, 3], [1, 4], [2]]


def test_a_process_without_a_row_gets_one_that_does_not_count() -> None:
    own = rows_of(tiny_batch(1), Processes(rank=1, count=2))
    assert own["labels"].tolist() == [IGNORE]
    loss, targets = classification_loss(tiny_classifier(), own)
    assert (loss.item(), targets.item()) == (0.0, 0)


def test_a_single_process_joins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined("cpu") as processes:
        assert (processes.rank, processes.count, processes.is_first) == (0, 1, True)
        assert not torch.distributed.is_initialized()
