"""Parameter groups hold every trainable parameter once, at its rate and decay; the schedule is transformers' own."""

from __future__ import annotations

import pytest
import torch
from minimal import tiny_classifier, tiny_encoder
from torch import nn
from transformers import get_linear_schedule_with_warmup
from transformers.trainer_pt_utils import get_parameter_names

from bertft_helpers.errors import UserError
from bertft_helpers.models import PooledClassifier
from bertft_helpers.optim import build_optimizer, linear_warmup, parameter_groups


def rates_by_part(groups: list[dict]) -> dict[str, float]:
    return {group["name"].split(",")[0]: group["lr"] for group in groups}


def test_every_trainable_parameter_is_in_exactly_one_group() -> None:
    model = tiny_classifier()
    model.bert.embeddings.requires_grad_(False)
    grouped = [
        id(parameter) for group in parameter_groups(model, 1e-3, layer_decay=0.9) for parameter in group["params"]
    ]
    assert sorted(grouped) == sorted(id(parameter) for parameter in model.parameters() if parameter.requires_grad)


def test_the_same_parameters_decay_as_in_transformers() -> None:
    model = tiny_classifier()
    decayed = {id(p) for group in parameter_groups(model, 1e-3) if group["weight_decay"] for p in group["params"]}
    expected = get_parameter_names(model, [nn.LayerNorm], ["bias"])
    assert {name for name, parameter in model.named_parameters() if id(parameter) in decayed} == set(expected)


def test_one_rate_means_four_groups() -> None:
    names = [group["name"] for group in parameter_groups(tiny_classifier(), 1e-3)]
    assert sorted(names) == ["encoder, decay", "encoder, no decay", "head, decay", "head, no decay"]


def test_the_head_may_have_a_rate_of_its_own() -> None:
    assert rates_by_part(parameter_groups(tiny_classifier(), 1e-4, head_learning_rate=1e-2)) == {
        "encoder": 1e-4,
        "head": 1e-2,
    }


def test_each_layer_gets_its_share_of_the_layer_above() -> None:
    rates = rates_by_part(parameter_groups(tiny_classifier(num_hidden_layers=3), 1.0, layer_decay=0.5))
    assert rates == {"embeddings": 0.125, "layer 0": 0.25, "layer 1": 0.5, "layer 2": 1.0, "pooler": 1.0, "head": 1.0}


def test_each_parameter_gets_the_rate_of_its_own_part() -> None:
    model = tiny_classifier(num_hidden_layers=3)
    groups = parameter_groups(model, 1.0, head_learning_rate=3.0, layer_decay=0.5)
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    assert rates[id(model.bert.embeddings.word_embeddings.weight)] == 0.125
    assert rates[id(model.bert.embeddings.LayerNorm.bias)] == 0.125
    assert rates[id(model.bert.encoder.layer[0].output.dense.weight)] == 0.25
    assert rates[id(model.bert.encoder.layer[2].attention.self.query.bias)] == 1.0
    assert rates[id(model.bert.pooler.dense.weight)] == 1.0
    assert rates[id(model.classifier.bias)] == 3.0


def test_a_head_on_an_encoder_of_ones_own_is_a_head() -> None:
    model = PooledClassifier(tiny_encoder(), num_labels=3)
    rates = rates_by_part(parameter_groups(model, 1.0, head_learning_rate=3.0, layer_decay=0.5))
    assert rates["head"] == 3.0
    assert rates["layer 0"] == 0.5


@pytest.mark.parametrize("layer_decay", [0.0, -0.5, 1.1])
def test_an_impossible_layer_decay_is_refused(layer_decay: float) -> None:
    with pytest.raises(ValueError, match=r"it must be above 0 and at most 1"):
        parameter_groups(tiny_classifier(), 1e-3, layer_decay=layer_decay)


@pytest.mark.parametrize(("steps", "share"), [(1, 0.0), (7, 0.5), (100, 0.1), (10, 0.99)])
def test_the_schedule_is_that_of_transformers(steps: int, share: float) -> None:
    def rates(make_schedule) -> list[float]:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
        schedule = make_schedule(optimizer)
        found = []
        for _ in range(steps + 2):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        return found

    theirs = rates(lambda optimizer: get_linear_schedule_with_warmup(optimizer, int(share * steps), steps))
    assert rates(lambda optimizer: linear_warmup(optimizer, steps, share)) == theirs


@pytest.mark.parametrize(("steps", "share"), [(0, 0.1), (10, 1.0), (10, -0.1)])
def test_an_impossible_schedule_is_refused(steps: int, share: float) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    with pytest.raises(UserError, match=rf"the number of steps is {steps};|warmup_share is {share};"):
        linear_warmup(optimizer, steps, share)


def test_the_optimizer_and_schedule_are_those_put_together_by_hand() -> None:
    by_hand, built = tiny_classifier(), tiny_classifier()
    optimizer = torch.optim.AdamW(parameter_groups(by_hand, 1e-3, 0.1, 5e-3, 0.5), fused=True)
    pairs = [
        (by_hand, optimizer, linear_warmup(optimizer, 6, 0.5)),
        (built, *build_optimizer(built, 1e-3, 6, 0.1, 0.5, head_learning_rate=5e-3, layer_decay=0.5)),
    ]
    for model, stepping, schedule in pairs:
        for _ in range(5):
            for parameter in model.parameters():
                parameter.grad = torch.ones_like(parameter)
            stepping.step()
            schedule.step()
    assert all(torch.equal(one, other) for one, other in zip(by_hand.parameters(), built.parameters(), strict=True))
    assert not torch.equal(built.classifier.weight, tiny_classifier().classifier.weight)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"learning_rate": 0.0}, r"learning_rate is 0\.0; it must be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan; it must be above 0"),
        ({"head_learning_rate": 0.0}, r"head_learning_rate is 0\.0; it must be above 0"),
        ({"head_learning_rate": -1e-3}, r"head_learning_rate is -0\.001; it must be above 0"),
        ({"weight_decay": -0.1}, r"weight_decay is -0\.1; it must be at least 0"),
        ({"warmup_share": 1.0}, r"warmup_share is 1\.0; it must be in \[0, 1\)"),
        ({"layer_decay": 0.0}, r"layer_decay is 0\.0; it must be above 0"),
        ({"steps": 0}, "the number of steps is 0; it must be at least 1"),
    ],
)
def test_what_no_optimizer_can_have_is_refused_by_name(given: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_optimizer(tiny_classifier(), **{"learning_rate": 1e-3, "steps": 10, **given})


def test_a_model_that_is_frozen_throughout_has_nothing_to_optimize() -> None:
    with pytest.raises(UserError, match="every parameter of the model is frozen"):
        build_optimizer(tiny_classifier().requires_grad_(False), 1e-3, 10)


def test_weight_decay_and_warm_up_of_zero_are_zero_and_not_the_default() -> None:
    optimizer, schedule = build_optimizer(tiny_classifier(), 1e-3, 10, weight_decay=0.0, warmup_share=0.0)
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0}
    assert schedule.get_last_lr()[0] == 1e-3
