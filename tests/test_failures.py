"""A run that goes wrong stops at that step, keeps the last good weights and says what it saw."""

from __future__ import annotations

import pickle

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from bertft_helpers.batching import Batch, pad_batch
from bertft_helpers.config import TrainConfig
from bertft_helpers.failures import DivergedError, OutOfMemory, is_out_of_memory
from bertft_helpers.losses import classification_loss
from bertft_helpers.training import Step, train_step

ROWS = [4, 7, 1, 9, 2, 8]
EXAMPLES = [{"input_ids": [2, 5 + row, 6, *range(10, 10 + row), 3], "labels": row % 3, "rows": row} for row in ROWS]


class Run:
    """A tiny model without dropout and the parts of a step."""

    def __init__(self, learning_rate: float = 0.1) -> None:
        torch.manual_seed(0)
        sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        self.model = BertForSequenceClassification(BertConfig(vocab_size=50, num_labels=3, **sizes)).eval()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=learning_rate)
        self.schedule = torch.optim.lr_scheduler.ConstantLR(self.optimizer, factor=1.0)

    def step(self, batches: list[Batch], config: TrainConfig, loss_fn=classification_loss) -> Step:
        return train_step(self.model, batches, self.optimizer, self.schedule, config, loss_fn)

    @property
    def weights(self) -> torch.Tensor:
        return torch.cat([parameter.detach().flatten() for parameter in self.model.parameters()])


def no_number(model: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    loss, targets = classification_loss(model, batch)
    return loss * float("nan"), targets


def infinite_gradient(model: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    loss, targets = classification_loss(model, batch)
    return loss + (model.classifier.bias * 0).abs().sqrt().sum(), targets  # the root's slope at 0


def fits_at_most(limit: int, seen: list[int]):
    """A loss function of a device on which batches of more than ``limit`` texts run out of memory."""

    def loss_fn(model: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append(len(batch["labels"]))
        if len(batch["labels"]) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory (simulated: there is no GPU here)")
        return classification_loss(model, batch)

    return loss_fn


def test_a_loss_that_is_no_number_stops_before_the_step_and_names_the_rows() -> None:
    run, batch = Run(learning_rate=0.25), pad_batch(EXAMPLES)
    run.step([batch], TrainConfig())
    before = run.weights
    with pytest.raises(DivergedError) as stop:
        run.step([batch], TrainConfig(), no_number)
    message = str(stop.value)
    assert [
        p for p in ("step 2 diverged", "loss nan", "norm nan", "learning rate 0.25", f"rows {ROWS}") if p not in message
    ] == []
    assert torch.equal(run.weights, before)


def test_without_a_schedule_and_rows_the_step_has_no_number_and_no_list_of_rows() -> None:
    run, batch = Run(learning_rate=0.25), pad_batch([{k: v for k, v in row.items() if k != "rows"} for row in EXAMPLES])
    with pytest.raises(DivergedError, match=r"^a step diverged: .*, learning rate 0\.25\. The step"):
        train_step(run.model, [batch], run.optimizer, None, TrainConfig(), no_number)


def test_a_failure_reaches_another_process_whole() -> None:
    failed = pickle.loads(pickle.dumps(OutOfMemory("it does not fit", "Lower it")))
    assert str(failed) == "it does not fit. Lower it."


def test_a_gradient_that_is_no_number_stops_although_the_loss_is_finite() -> None:
    run = Run()
    with pytest.raises(DivergedError, match=r"loss \d+\.\d+, gradient norm nan"):
        run.step([pad_batch(EXAMPLES)], TrainConfig(), infinite_gradient)


def test_a_batch_too_large_for_memory_names_its_size_and_the_settings_to_change() -> None:
    with pytest.raises(OutOfMemory) as stop:
        Run().step([pad_batch(EXAMPLES)], TrainConfig(), fits_at_most(4, []))
    message = str(stop.value)
    expected = ("6 texts x 13 tokens", "batch_size", "accumulate", "max_length", "halve_batches")
    assert [part for part in expected if part not in message] == []


def test_when_asked_to_go_on_the_effective_batch_stays_the_same() -> None:
    whole, halved, seen = Run(), Run(), []
    batch = pad_batch(EXAMPLES)
    expected = whole.step([batch], TrainConfig())
    with pytest.warns(UserWarning, match="going on with halves"):
        step = halved.step([batch], TrainConfig(halve_batches=True), fits_at_most(2, seen))
    assert seen == [6, 3, 2, 1, 2, 1]
    assert step.targets == expected.targets
    torch.testing.assert_close(halved.weights, whole.weights, atol=1e-6, rtol=0)


def test_one_text_that_does_not_fit_cannot_be_halved() -> None:
    with (
        pytest.warns(UserWarning, match="halves"),
        pytest.raises(OutOfMemory, match=r"and one text cannot be halved\. Lower max_length"),
    ):
        Run().step([pad_batch(EXAMPLES)], TrainConfig(halve_batches=True), fits_at_most(0, []))
    with pytest.raises(OutOfMemory, match=r"a batch of 1 text x 8 tokens .* cannot be halved\. Lower max_length"):
        Run().step([pad_batch(EXAMPLES[:1])], TrainConfig(), fits_at_most(0, []))


def test_the_cpu_has_only_a_message_for_it() -> None:
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"))
    assert not is_out_of_memory(RuntimeError("shape mismatch"))


def test_another_error_of_the_model_passes_through() -> None:
    def broken(model: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        Run().step([pad_batch(EXAMPLES)], TrainConfig(halve_batches=True), broken)


def test_a_batch_of_ignored_labels_moves_nothing() -> None:
    run = Run()
    before = run.weights
    step = run.step([pad_batch([{**example, "labels": -100} for example in EXAMPLES])], TrainConfig())
    assert torch.equal(run.weights, before)
    assert (step.loss_sum, step.targets, step.gradient_norm) == (0.0, 0, 0.0)
