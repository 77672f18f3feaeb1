"""Byte-drawn dropout: plain training when off; the right rate, independent draws and one seed when on."""

from __future__ import annotations

import math

import pytest
import torch
from minimal import tiny_batch, tiny_classifier, tiny_loader
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from bertft_helpers.config import TrainConfig
from bertft_helpers.losses import classification_loss
from bertft_helpers.optim import build_optimizer
from bertft_helpers.speed import dropout
from bertft_helpers.speed.dropout import ByteDropout, draw_bytes, quantized_rate, restore_dropout, use_byte_dropout
from bertft_helpers.training import train_epoch

NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
CONFIG = TrainConfig()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def dropped(count: int, rate: float = 0.1, seed: int = 0) -> torch.Tensor:
    """Which of ``count`` ones were dropped."""
    return ByteDropout(rate, generator(seed)).train()(torch.ones(count)) == 0


def trained(model: nn.Module) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Losses and weights after two epochs on texts of several lengths."""
    loader = tiny_loader()
    optimizer, schedule = build_optimizer(model, 5e-3, 2 * len(loader), weight_decay=0.1)
    losses = [step.loss_sum for _ in range(2) for step in train_epoch(model, loader, optimizer, schedule, CONFIG)]
    return losses, model.state_dict()


@pytest.mark.parametrize("chunk", [1, 1 << 20], ids=["one text at a time", "all at once"])
def test_without_dropout_training_is_plain_training(chunk, monkeypatch) -> None:
    monkeypatch.setattr(dropout, "CHUNK", chunk)
    plain, bytes_ = tiny_classifier(**NO_DROPOUT), tiny_classifier(**NO_DROPOUT)
    use_byte_dropout(bytes_, seed=0)
    expected_losses, expected = trained(plain)
    losses, found = trained(bytes_)
    assert losses == pytest.approx(expected_losses, abs=1e-5)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-5)


def test_without_dropout_gradients_are_plain_gradients() -> None:
    gradients = []
    for switch in (lambda model: None, lambda model: use_byte_dropout(model, 0)):
        model = tiny_classifier(**NO_DROPOUT).train()
        switch(model)
        classification_loss(model, tiny_batch())[0].backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=0, atol=1e-5)


def test_attention_with_dropout_has_the_gradient_of_the_function_it_computes() -> None:
    tensors = [torch.randn(3, 2, 5, 4, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    bias = torch.zeros(3, 1, 1, 5, dtype=torch.float64)
    bias[1, ..., 3:] = torch.finfo(torch.float64).min

    def attend(*tensors: torch.Tensor) -> torch.Tensor:
        return dropout._Attend.apply(*tensors, bias, 0.5, 0.25, generator())

    assert torch.autograd.gradcheck(attend, tensors)


def test_the_attention_without_dropout_is_torchs() -> None:
    query, key, value = (torch.randn(2, 3, 7, 4) for _ in range(3))
    expected = scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(dropout._Attend.apply(query, key, value, None, 0.5, 0.0, None), expected)


@pytest.mark.parametrize(("rate", "quantized"), [(0.0, 0.0), (0.1, 26 / 256), (0.5, 0.5), (0.999, 255 / 256)])
def test_the_rate_is_quantised_to_the_nearest_of_256(rate, quantized) -> None:
    assert quantized_rate(rate) == quantized


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_a_rate_that_is_no_share_is_refused(rate) -> None:
    with pytest.raises(ValueError, match=rf"rate of {rate} was given; it must be in \[0, 1\)"):
        quantized_rate(rate)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_the_share_of_dropped_values_is_the_rate(rate) -> None:
    count, expected = 1_000_003, quantized_rate(rate)
    spread = math.sqrt(expected * (1 - expected) / count)
    assert abs(dropped(count, rate).double().mean() - expected) < 4 * spread


def test_the_expectation_is_the_value_itself() -> None:
    values = ByteDropout(0.1, generator()).train()(torch.full((1_000_000,), 3.0))
    assert values.unique().tolist() == [0.0, pytest.approx(3 / (1 - 26 / 256))]
    assert values.double().mean() == pytest.approx(3.0, abs=0.005)


def test_every_byte_is_equally_frequent() -> None:
    count = 2_560_000
    found = torch.bincount(draw_bytes(torch.empty(count), generator()).int(), minlength=256).double()
    chi_square = ((found - count / 256) ** 2 / (count / 256)).sum().item()
    assert 255 - 4 * math.sqrt(2 * 255) < chi_square < 255 + 4 * math.sqrt(2 * 255)


@pytest.mark.parametrize("distance", [*range(1, 9), 16, 64, 384])
def test_draws_do_not_depend_on_each_other(distance) -> None:
    """Neighbours come from one 64-bit word, those eight apart from the same byte of the next."""
    centred = dropped(1_000_000).double() - 26 / 256
    correlation = (centred[distance:] * centred[:-distance]).mean() / centred.var()
    assert abs(correlation) < 4 / math.sqrt(len(centred))


def test_two_calls_draw_independent_masks() -> None:
    layer = ByteDropout(0.1, generator()).train()
    first, second = ((layer(torch.ones(500_000)) == 0).double() for _ in range(2))
    both = (first * second).mean().item()
    assert both == pytest.approx((26 / 256) ** 2, abs=4 * 0.1 / math.sqrt(500_000))


def test_the_gradient_passes_where_the_value_did() -> None:
    values = torch.ones(1000, requires_grad=True)
    output = ByteDropout(0.3, generator()).train()(values)
    output.sum().backward()
    assert torch.equal(values.grad, output.detach())


def test_masks_follow_from_the_seed_and_leave_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    assert torch.equal(dropped(1000, seed=1), dropped(1000, seed=1))
    assert not torch.equal(dropped(1000, seed=1), dropped(1000, seed=2))
    assert torch.equal(torch.get_rng_state(), before)


def test_in_evaluation_mode_nothing_changes_and_nothing_is_drawn() -> None:
    model = tiny_classifier().eval()
    batch = {name: tensor for name, tensor in tiny_batch().items() if name in ("input_ids", "attention_mask")}
    expected = model(**batch).logits
    drawn = use_byte_dropout(model, seed=0)
    before = drawn.get_state()
    assert torch.equal(model(**batch).logits, expected)
    assert torch.equal(drawn.get_state(), before)


def test_in_evaluation_in_16_bits_answers_are_those_of_16_bits_and_nothing_is_drawn() -> None:
    model = tiny_classifier().eval()
    batch = {name: tensor for name, tensor in tiny_batch().items() if name in ("input_ids", "attention_mask")}
    drawn = use_byte_dropout(model, seed=0)
    before = drawn.get_state()
    with torch.inference_mode():
        exact = model(**batch).logits
        with torch.autocast("cpu", torch.bfloat16):
            found = model(**batch).logits.float()
    torch.testing.assert_close(found, exact, rtol=0, atol=5e-3)
    assert torch.equal(drawn.get_state(), before)


def test_every_dropout_of_the_model_is_replaced_and_comes_back() -> None:
    def kinds(model: nn.Module) -> list[type]:
        return [type(module) for module in model.modules() if "Dropout" in type(module).__name__]

    model = tiny_classifier()
    before = kinds(model)
    use_byte_dropout(model, seed=0)
    assert kinds(model) == [ByteDropout] * len(before)
    assert model.config._attn_implementation == dropout.NAME
    restore_dropout(model)
    assert kinds(model) == before
    assert model.config._attn_implementation == "sdpa"
    assert "attn" not in model.config.to_json_string()
