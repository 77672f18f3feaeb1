"""A top layer that computes [CLS] alone is the same classifier, in prediction and in training."""

from __future__ import annotations

import pytest
import torch
from minimal import tiny_batch, tiny_classifier, tiny_loader
from transformers import BertForSequenceClassification

from bertft_helpers.config import TrainConfig
from bertft_helpers.first_token import first_token_only, use_all_tokens, use_first_token
from bertft_helpers.losses import classification_loss, forward_logits
from bertft_helpers.optim import build_optimizer
from bertft_helpers.speed.dropout import use_byte_dropout
from bertft_helpers.training import train_epoch

CONFIG = TrainConfig()


def classifier(first_token: bool, **changes: object) -> BertForSequenceClassification:
    model = tiny_classifier(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **changes)
    if first_token:
        use_first_token(model)
    return model.train()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_gradients_are_those_of_the_whole_layer(attention: str) -> None:
    gradients = []
    for first_token in (False, True):
        model = classifier(first_token, attn_implementation=attention)
        classification_loss(model, tiny_batch())[0].backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=0, atol=1e-5)


@pytest.mark.parametrize("byte_dropout", [False, True])
def test_losses_and_weights_after_two_epochs_are_the_same(byte_dropout: bool) -> None:
    runs = []
    for first_token in (False, True):
        model, loader = classifier(first_token), tiny_loader()
        if byte_dropout and first_token:
            use_byte_dropout(model, seed=0)
        optimizer, schedule = build_optimizer(model, 5e-3, 2 * len(loader), weight_decay=0.1)
        steps = [step for _ in range(2) for step in train_epoch(model, loader, optimizer, schedule, CONFIG)]
        runs.append(([step.loss_sum for step in steps], model.state_dict()))
    (expected_losses, expected), (losses, found) = runs
    assert losses == pytest.approx(expected_losses, abs=1e-5)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-5)


def test_the_top_layer_computes_one_token_until_it_is_undone() -> None:
    model, batch = classifier(first_token=True).eval(), tiny_batch()
    shortened = forward_logits(model, batch)
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    assert model.bert(**inputs).last_hidden_state.shape[1] == 1
    use_all_tokens(model)
    assert model.bert(**inputs).last_hidden_state.shape[1] == batch["input_ids"].shape[1]
    torch.testing.assert_close(forward_logits(model, batch), shortened, rtol=0, atol=1e-6)


def test_inside_one_token_is_computed_and_afterwards_all_even_after_an_error() -> None:
    model, batch = classifier(first_token=False).eval(), tiny_batch()
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    with first_token_only(model):
        assert model.bert(**inputs).last_hidden_state.shape[1] == 1
    with pytest.raises(KeyError), first_token_only(model):
        raise KeyError
    assert model.bert(**inputs).last_hidden_state.shape[1] == batch["input_ids"].shape[1]


def test_a_model_that_was_set_up_so_stays_so() -> None:
    model = classifier(first_token=True).eval()
    with first_token_only(model):
        pass
    assert model.bert(torch.tensor([[2, 5, 3]])).last_hidden_state.shape[1] == 1


@pytest.mark.parametrize("model", [torch.nn.Linear(2, 2), tiny_classifier(is_decoder=True)], ids=["no BERT", "decoder"])
def test_a_model_that_reads_more_than_the_first_token_is_left_alone(model: torch.nn.Module) -> None:
    with first_token_only(model):
        assert not any("forward" in vars(module) for module in model.modules())
