"""What only a GPU computes: float16 with a scaler, bfloat16, pinned memory, a second GPU, a state with its generators.

``make gpu`` runs these where there is one; elsewhere they are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from minimal import parameters_of, tiny_batch, tiny_classifier, tiny_examples, tiny_loader
from torch.utils.data import DataLoader

from bertft_helpers.batching import BucketBatchSampler, pad_batch
from bertft_helpers.config import TrainConfig
from bertft_helpers.evaluation import evaluate
from bertft_helpers.history import History
from bertft_helpers.optim import build_optimizer
from bertft_helpers.resume.run import Run, fit_resumable
from bertft_helpers.runtime import device_works, peak_memory_mb, pick_device, pick_precision
from bertft_helpers.training import fit, make_scaler, steps_per_run, train_step

pytestmark = pytest.mark.skipif(not device_works("cuda"), reason="no GPU that PyTorch can use through CUDA is here")
GPU = torch.device("cuda", 0)
EPOCHS = 8


class Stopped(Exception):
    """The interruption of a test."""


def quiet(note: str) -> None:
    """Notes that a test does not read."""


def trained(device: torch.device, precision: str, loader: DataLoader | None = None) -> tuple[torch.nn.Module, History]:
    """A tiny classifier after some epochs, on one device, without dropout, so that precisions can be compared."""
    model = tiny_classifier(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0).to(device)
    loader, config = loader or tiny_loader(), TrainConfig(epochs=EPOCHS, precision=precision)
    optimizer, schedule = build_optimizer(model, 5e-3, steps_per_run(loader, config))
    return model, fit(model, loader, tiny_loader(seed=None), optimizer, schedule, config)


@pytest.fixture(scope="module")
def reference() -> History:
    return trained(torch.device("cpu"), "float32")[1]


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_every_precision_learns_about_what_a_cpu_learns(precision: str, reference: History) -> None:
    model, history = trained(GPU, precision)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}  # only the forward pass is in 16 bits
    losses = [row["train_loss"] for row in history.epochs]
    expected = [row["train_loss"] for row in reference.epochs]
    assert losses[-1] < losses[0]
    assert losses == pytest.approx(expected, abs=1e-3 if precision == "float32" else 0.02)


def test_an_overflow_in_float16_skips_the_step_and_its_schedule_and_halves_the_scale() -> None:
    model, config = tiny_classifier().to(GPU), TrainConfig(precision="float16", clip_norm=None)
    optimizer, schedule = build_optimizer(model, 5e-3, 10)
    scaler = make_scaler(model, config)
    assert scaler is not None
    scaler.scale(torch.zeros((), device=GPU))  # makes the scale, which begins at 65,536
    scaler.update(new_scale=2.0**100)
    before, rate = parameters_of(model), schedule.get_last_lr()
    train_step(model, [tiny_batch()], optimizer, schedule, config, scaler=scaler)
    assert all(torch.equal(before[name], weight) for name, weight in parameters_of(model).items())
    assert schedule.get_last_lr() == rate
    assert scaler.get_scale() == 2.0**99


def test_batches_in_pinned_memory_give_the_same_numbers() -> None:
    sampler = BucketBatchSampler(tiny_examples().lengths, batch_size=4, seed=3)
    pinned = DataLoader(tiny_examples(), batch_sampler=sampler, collate_fn=pad_batch, pin_memory=True)
    assert next(iter(pinned))["input_ids"].is_pinned()
    plain = trained(GPU, "float32")[1]
    found = [row["train_loss"] for row in trained(GPU, "float32", pinned)[1].epochs]
    assert found == pytest.approx([row["train_loss"] for row in plain.epochs], abs=1e-3)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one GPU is here, and the second of two is wanted")
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_the_second_gpu_computes_what_the_first_does_and_leaves_it_alone(precision: str) -> None:
    second = torch.device("cuda", 1)
    first = trained(GPU, precision)[1]
    held = torch.cuda.memory_allocated(GPU)
    model, history = trained(second, precision)
    assert {weight.device for weight in model.parameters()} == {second}
    assert torch.cuda.memory_allocated(GPU) == held
    assert [row["train_loss"] for row in history.epochs] == pytest.approx(
        [row["train_loss"] for row in first.epochs], abs=0.02
    )
    assert pick_device("cuda:1") == second


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_run_interrupted_on_a_gpu_goes_on_with_its_dropout_and_scale(precision: str, tmp_path: Path) -> None:
    whole = resumable(precision)
    fit_resumable(whole, tmp_path / "whole", on_note=quiet)
    counted = iter(range(1, 100))

    def stop(*_: object) -> None:
        if next(counted) == 7:
            raise Stopped

    with pytest.raises(Stopped):
        fit_resumable(resumable(precision), tmp_path / "parts", save_every=1, on_note=quiet, on_step=stop)
    torch.cuda.manual_seed_all(99)  # another process begins with another generator
    resumed = resumable(precision)
    fit_resumable(resumed, tmp_path / "parts", save_every=1, on_note=quiet)
    expected = parameters_of(whole.model)
    for name, weight in parameters_of(resumed.model).items():  # other dropout would move them by far more
        torch.testing.assert_close(weight, expected[name], rtol=1e-4, atol=1e-5)


def resumable(precision: str) -> Run:
    model = tiny_classifier().to(GPU)
    loader, config = tiny_loader(), TrainConfig(epochs=2, precision=precision)
    optimizer, schedule = build_optimizer(model, 5e-3, steps_per_run(loader, config))
    return Run(model, loader, tiny_loader(seed=None), optimizer, schedule, config)


@pytest.fixture
def cleared() -> Iterator[None]:
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(GPU)
    yield
    torch.cuda.empty_cache()


@pytest.mark.usefixtures("cleared")
def test_the_memory_that_is_told_is_the_gpus() -> None:
    held = torch.zeros(25_000_000, device=GPU)  # 100 MB
    assert peak_memory_mb(GPU) >= held.nbytes / 1e6


def test_the_gpu_is_taken_with_a_16_bit_format_and_evaluates_in_it() -> None:
    assert pick_device().type == "cuda"
    assert pick_precision(GPU) in (torch.float16, torch.bfloat16)
    model = tiny_classifier().to(GPU)
    with torch.autocast("cuda", dtype=pick_precision(GPU)):
        half = evaluate(model, tiny_loader(seed=None))
    assert half.loss == pytest.approx(evaluate(model, tiny_loader(seed=None)).loss, abs=0.02)
