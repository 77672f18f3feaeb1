"""A frozen encoder's outputs: in the examples' order, free of dropout and padding, and fit to be trained on."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel

from bertft_helpers.batching import EncodedTexts
from bertft_helpers.features import cache_boundary, encode_once, run_layers
from bertft_helpers.models import pool_cls, pool_mean

TINY = BertConfig(
    vocab_size=50, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32, num_labels=3
)
TEXTS = EncodedTexts([[2, 7, 9, 8, 3], [2, 8, 3], [2, 9, 10, 11, 12, 13, 3], [2, 3]], [0, 1, 2, 0])


@pytest.fixture
def encoder() -> BertModel:
    torch.manual_seed(0)
    return BertModel(TINY).eval()


def alone(encoder: BertModel, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return encoder(input_ids=torch.tensor([ids])).last_hidden_state


@pytest.mark.parametrize("pooling", [pool_mean, pool_cls])
def test_features_are_those_of_each_text_alone_in_the_examples_order(encoder, pooling) -> None:
    expected = torch.cat([pooling(alone(encoder, ids), torch.ones(1, len(ids))) for ids in TEXTS.input_ids])
    torch.testing.assert_close(encode_once(encoder, TEXTS, pooling, batch_size=3), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_dropout_is_off_while_encoding_and_the_mode_comes_back(encoder, training) -> None:
    expected = encode_once(encoder, TEXTS)
    encoder.train(training)
    assert torch.equal(encode_once(encoder, TEXTS), expected)
    assert encoder.training is training


def test_the_mode_comes_back_after_an_error_too(encoder) -> None:
    encoder.train()
    with pytest.raises(IndexError):
        encode_once(encoder, EncodedTexts([[2, 50, 3]], [0]))  # 50 is beyond the vocabulary
    assert encoder.training


def test_a_head_can_be_trained_on_the_features(encoder) -> None:
    head = nn.Linear(16, 3)
    head(encode_once(encoder, TEXTS)).sum().backward()
    assert head.weight.grad is not None
    assert all(parameter.grad is None for parameter in encoder.parameters())


def test_an_encoder_in_half_precision_gives_features_in_float32(encoder) -> None:
    expected = encode_once(encoder, TEXTS)
    half = encoder.bfloat16()
    assert encode_once(half, TEXTS).dtype == cache_boundary(half, TEXTS, 1)[0].dtype == torch.float32
    torch.testing.assert_close(encode_once(half, TEXTS), expected, rtol=0, atol=0.05)


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_the_upper_layers_continue_from_the_boundary(encoder, layers) -> None:
    states = cache_boundary(encoder, TEXTS, layers, batch_size=2)
    assert [len(state) for state in states] == TEXTS.lengths
    for ids, state in zip(TEXTS.input_ids, states, strict=True):
        with torch.no_grad():
            top = run_layers(encoder.encoder.layer[layers:], state[None], torch.ones(1, len(ids)))
        torch.testing.assert_close(top, alone(encoder, ids), rtol=0, atol=1e-6)


def test_padding_changes_nothing_above_the_boundary(encoder) -> None:
    short = cache_boundary(encoder, TEXTS, 1)[1]  # 3 tokens
    padded = torch.cat([short, torch.full((4, 16), 9.0)])[None]
    mask = torch.tensor([[1, 1, 1, 0, 0, 0, 0]])
    with torch.no_grad():
        top = run_layers(encoder.encoder.layer[1:], padded, mask)
    torch.testing.assert_close(top[:, :3], alone(encoder, TEXTS.input_ids[1]), rtol=0, atol=1e-6)


def test_the_upper_layers_can_be_trained_from_the_boundary(encoder) -> None:
    states = cache_boundary(encoder, TEXTS, 2)
    run_layers(encoder.encoder.layer[2:], states[0][None], torch.ones(1, 5)).sum().backward()
    moved = {name.split(".")[2] for name, p in encoder.named_parameters() if p.grad is not None}
    assert moved == {"2"}


@pytest.mark.parametrize("layers", [-1, 4])
def test_a_boundary_outside_the_encoder_is_refused(encoder, layers) -> None:
    with pytest.raises(ValueError, match=f"layers is {layers}; this encoder has 3, so the boundary lies at 0 to 3"):
        cache_boundary(encoder, TEXTS, layers)
