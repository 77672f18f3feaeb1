"""The loop's promises: every target weighs the same, however the examples are cut into batches."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from minimal import CONFIG, parameters_of, tiny_batch, tiny_classifier, tiny_loader
from torch import nn

from bertft_helpers.batching import Batch, EncodedTexts, make_loader
from bertft_helpers.config import TrainConfig
from bertft_helpers.failures import DivergedError
from bertft_helpers.losses import classification_loss
from bertft_helpers.optim import build_optimizer, linear_warmup, parameter_groups
from bertft_helpers.training import (
    EarlyStopping,
    divide_and_clip,
    fit,
    groups_of,
    make_scaler,
    steps_per_run,
    train_epoch,
    train_step,
)


class Run:
    """A tiny model and the parts of a loop: plain descent at rate 1, so a step moves weights by their gradients."""

    def __init__(self, config: TrainConfig = CONFIG, **changes: float) -> None:
        self.config, self.model = config, tiny_classifier(**changes)
        self.optimizer = torch.optim.SGD(parameter_groups(self.model, 1.0, weight_decay=0.0))
        self.schedule = linear_warmup(self.optimizer, 20, warmup_share=0.0)  # a first step at rate 0 would show nothing

    def step(self, batches: list[Batch], **more: object):
        return train_step(self.model, batches, self.optimizer, self.schedule, self.config, **more)


# Without dropout, and with weights large enough for gradients that a comparison can tell apart.
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "initializer_range": 0.2}


def assert_moved_alike(run: Run, expected: Run) -> None:
    start, mine, theirs = (parameters_of(model) for model in (tiny_classifier(**NO_DROPOUT), run.model, expected.model))
    assert max((theirs[name] - start[name]).abs().max() for name in start) > 0.01
    for name in mine:
        torch.testing.assert_close(mine[name], theirs[name], atol=1e-6, rtol=0, msg=name)


def pieces(batch: Batch, sizes: list[int]) -> list[Batch]:
    columns = {name: tensor.split(sizes) for name, tensor in batch.items()}
    return [{name: parts[number] for name, parts in columns.items()} for number in range(len(sizes))]


@pytest.mark.parametrize("clip_norm", [0.01, 0.5, 1e6, None])
def test_dividing_and_clipping_in_one_pass_equals_torch_after_a_division(clip_norm: float | None) -> None:
    model = tiny_classifier()
    model(**{k: v for k, v in tiny_batch().items() if k != "rows"}).loss.backward()
    reference = copy.deepcopy(model)
    for mine, theirs in zip(model.parameters(), reference.parameters(), strict=True):
        theirs.grad = None if mine.grad is None else mine.grad / 6
    expected = nn.utils.clip_grad_norm_(reference.parameters(), clip_norm or 1e9)
    norm = divide_and_clip(model.parameters(), torch.tensor(6), clip_norm)
    torch.testing.assert_close(norm, expected)
    for mine, theirs in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, atol=1e-6, rtol=1e-5)


def test_uneven_batches_accumulated_equal_one_big_batch() -> None:
    whole, parts = Run(**NO_DROPOUT), Run(**NO_DROPOUT)
    expected = whole.step([tiny_batch(9)])
    step = parts.step(pieces(tiny_batch(9), [5, 1, 3]))
    assert step.targets == expected.targets == 9
    assert step.loss_sum == pytest.approx(expected.loss_sum, rel=1e-6)
    assert step.gradient_norm == pytest.approx(expected.gradient_norm, rel=1e-6)
    assert_moved_alike(parts, whole)


def test_a_step_on_one_text_moves_by_its_own_gradient() -> None:
    run, by_hand = Run(TrainConfig(clip_norm=None), **NO_DROPOUT), tiny_classifier(**NO_DROPOUT)
    batch = tiny_batch(1)
    by_hand(**{name: tensor for name, tensor in batch.items() if name != "rows"}).loss.backward()
    assert run.step([batch]).targets == 1
    weight, bias = by_hand.classifier.weight, by_hand.classifier.bias
    torch.testing.assert_close(run.model.classifier.weight, weight - weight.grad, atol=1e-6, rtol=0)
    torch.testing.assert_close(run.model.classifier.bias, bias - bias.grad, atol=1e-6, rtol=0)


def test_ignored_labels_do_not_weigh_in_an_accumulated_step() -> None:
    labels = [0, 2, -100, -100, 1, 0]
    whole, parts = Run(**NO_DROPOUT), Run(**NO_DROPOUT)
    assert whole.step([tiny_batch(6, labels)]).targets == 4
    assert parts.step(pieces(tiny_batch(6, labels), [3, 3])).targets == 4
    assert_moved_alike(parts, whole)


def test_the_last_group_of_an_epoch_may_be_short() -> None:
    run = Run()
    steps = train_epoch(run.model, tiny_loader(18, 4), run.optimizer, run.schedule, run.config)
    assert sorted(step.targets for step in steps) in ([2, 8, 8], [4, 6, 8])  # five batches, one of two texts, in pairs
    assert [len(group) for group in groups_of(range(5), 2)] == [2, 2, 1]
    assert steps_per_run(tiny_loader(18, 4), run.config) == 2 * 3


def test_an_epochs_training_loss_is_weighted_by_targets() -> None:
    run = Run()
    history = fit(run.model, tiny_loader(), tiny_loader(7, seed=None), run.optimizer, run.schedule, run.config)
    first = history.steps[:3]
    by_hand = (first[0].loss_sum + first[1].loss_sum + first[2].loss_sum) / 18
    assert history.epochs[0]["train_loss"] == pytest.approx(by_hand)
    assert [row["epoch"] for row in history.epochs] == [1, 2]


def test_fit_learns_a_rule_that_a_tiny_model_can_learn() -> None:
    config = TrainConfig(epochs=15)
    run = Run(config, **NO_DROPOUT)
    rule = EncodedTexts([[2, 10 + row % 3, 20 + row, 3] for row in range(30)], [row % 3 for row in range(30)])
    train_loader, validation_loader = make_loader(rule, 4, seed=0), make_loader(rule, 8)
    run.optimizer, run.schedule = build_optimizer(run.model, 1e-2, steps_per_run(train_loader, config))
    history = fit(run.model, train_loader, validation_loader, run.optimizer, run.schedule, config)
    assert history.epochs[-1]["validation_accuracy"] == 1.0 > history.epochs[0]["validation_accuracy"]


def test_the_same_seed_trains_the_same_model() -> None:
    def trained() -> dict[str, torch.Tensor]:
        run = Run()
        torch.manual_seed(7)
        fit(run.model, tiny_loader(), tiny_loader(7, seed=None), run.optimizer, run.schedule, run.config)
        return parameters_of(run.model)

    first, second = trained(), trained()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("losses", "patience", "min_change", "stops_at", "best"),
    [
        ([3.0, 2.0, 2.5, 2.6, 1.0], 2, 0.0, 4, 2),
        ([3.0, 2.0, 2.5, 1.9, 1.0], 2, 0.0, None, 5),
        ([3.0, 2.95, 2.92, 2.0], 2, 0.1, 3, 1),
        ([3.0, 2.5, 2.5, 0.0], 2, 0.5, 3, 1),  # 2.5 gains 0.5, which is not more than 0.5
        ([float("nan"), float("nan")], 2, 0.0, 2, 0),
    ],
)
def test_early_stopping_counts_epochs_without_improvement(
    losses: list[float], patience: int, min_change: float, stops_at: int | None, best: int
) -> None:
    stopping, model = EarlyStopping(patience, min_change=min_change), nn.Linear(1, 1)
    stopped = None
    for epoch, loss in enumerate(losses, 1):
        if stopping.update({"epoch": epoch, "validation_loss": loss}, model):
            stopped = epoch
            break
    assert (stopped, stopping.best_epoch) == (stops_at, best)


def test_early_stopping_gives_the_best_epochs_weights_back() -> None:
    stopping, model = EarlyStopping(patience=5, monitor="validation_accuracy"), nn.Linear(1, 1, bias=False)
    for epoch, (weight, accuracy) in enumerate([(1.0, 0.5), (2.0, 0.9), (3.0, 0.7)], 1):
        nn.init.constant_(model.weight, weight)
        stopping.update({"epoch": epoch, "validation_accuracy": accuracy}, model)
    stopping.restore(model)
    assert model.weight.item() == 2.0


def test_a_run_stops_early_and_ends_with_the_best_epochs_weights() -> None:
    run, seen = Run(TrainConfig(**{**vars(CONFIG), "epochs": 6})), []

    def remember(row: dict[str, float]) -> None:
        seen.append((row, parameters_of(run.model)))

    stopping = EarlyStopping(patience=2, min_change=100.0)  # nothing gains that much: the first epoch stays the best
    loaders = tiny_loader(), tiny_loader(7, seed=None)
    history = fit(run.model, *loaders, run.optimizer, run.schedule, run.config, on_epoch=remember, stopping=stopping)
    assert [row for row, _ in seen] == history.epochs
    assert [row["epoch"] for row in history.epochs] == [1, 2, 3]
    (_, first), _, (_, last) = seen
    end = parameters_of(run.model)
    assert all(torch.equal(end[name], first[name]) for name in end)
    assert not all(torch.equal(end[name], last[name]) for name in end)


def test_early_stopping_from_another_run_starts_anew() -> None:
    stopping, lengths = EarlyStopping(patience=2, min_change=100.0), []
    for seed in (0, 1):
        run = Run(TrainConfig(epochs=6), seed=seed)
        loaders = tiny_loader(), tiny_loader(7, seed=None)
        history = fit(run.model, *loaders, run.optimizer, run.schedule, run.config, stopping=stopping)
        lengths.append(len(history.epochs))
        assert stopping.best_value == history.epochs[0]["validation_loss"]
    assert lengths == [3, 3]


def test_each_epoch_trains_with_dropout_and_in_an_order_of_its_own() -> None:
    run, orders, modes = Run(), [], []

    def spy(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        orders.append(batch["rows"].tolist())
        modes.append(model.training)
        return classification_loss(model, batch)

    loader = tiny_loader()
    fit(run.model.eval(), loader, tiny_loader(7, seed=None), run.optimizer, run.schedule, run.config, loss_fn=spy)
    assert all(modes)
    first, second = orders[: len(loader)], orders[len(loader) :]
    assert first != second
    assert sorted(sum(first, [])) == sorted(sum(second, [])) == list(range(18))  # noqa: RUF017


def test_gradients_left_over_from_elsewhere_do_not_count() -> None:
    clean, left_over = Run(**NO_DROPOUT), Run(**NO_DROPOUT)
    classification_loss(left_over.model, tiny_batch(3))[0].backward()
    assert left_over.step([tiny_batch()]) == clean.step([tiny_batch()])


def test_float16_scales_the_loss_and_unscales_before_clipping() -> None:
    """The scaler's arithmetic runs on a CPU; half-precision kernels of a GPU cannot be exercised here."""
    config = TrainConfig(**{**vars(CONFIG), "precision": "float16"})
    plain, scaled = Run(**NO_DROPOUT), Run(**NO_DROPOUT)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    expected = plain.step([tiny_batch()])
    step = scaled.step([tiny_batch()], scaler=scaler)
    assert step.gradient_norm == pytest.approx(expected.gradient_norm, rel=1e-5)
    assert_moved_alike(scaled, plain)
    assert isinstance(make_scaler(plain.model, config), torch.amp.GradScaler)
    assert make_scaler(plain.model, CONFIG) is None


def test_an_overflow_skips_the_step_halves_the_scale_and_the_schedule_waits() -> None:
    run, scaler = Run(**NO_DROPOUT), torch.amp.GradScaler("cpu", init_scale=1e38)
    before, position = parameters_of(run.model), run.schedule.last_epoch
    run.step(
        [tiny_batch()], scaler=scaler, loss_fn=lambda *given: (1000 * classification_loss(*given)[0], torch.tensor(6))
    )
    assert all(torch.equal(before[name], tensor) for name, tensor in parameters_of(run.model).items())
    assert scaler.get_scale() == pytest.approx(5e37)
    assert run.schedule.last_epoch == position
    run.step([tiny_batch()], scaler=torch.amp.GradScaler("cpu", init_scale=1.0))
    assert run.schedule.last_epoch == position + 1


def test_a_loss_that_is_no_number_is_refused_under_a_scaler_too() -> None:
    run, scaler = Run(**NO_DROPOUT), torch.amp.GradScaler("cpu", init_scale=2.0)
    with pytest.raises(DivergedError, match="loss nan"):
        run.step(
            [tiny_batch()],
            scaler=scaler,
            loss_fn=lambda *given: (classification_loss(*given)[0] * math.nan, torch.tensor(6)),
        )


def test_bfloat16_keeps_weights_and_gradients_in_float32() -> None:
    run = Run(TrainConfig(**{**vars(CONFIG), "precision": "bfloat16"}), **NO_DROPOUT)
    plain = Run(**NO_DROPOUT)
    loss, reference = run.step([tiny_batch()]).loss_sum, plain.step([tiny_batch()]).loss_sum
    assert loss == pytest.approx(reference, rel=0.05)
    assert loss != reference
    assert {parameter.dtype for parameter in run.model.parameters()} == {torch.float32}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_validation_is_computed_in_the_precision_of_training(precision: str) -> None:
    run, found = Run(TrainConfig(epochs=1, precision=precision)), set()
    run.model.classifier.register_forward_hook(
        lambda module, _, logits: found.add(logits.dtype) if not module.training else None
    )
    fit(run.model, tiny_loader(), tiny_loader(offset=1), run.optimizer, run.schedule, run.config)
    assert found == {getattr(torch, precision)}
