"""Lesson 18: parameter groups of a small BERT, and the rates of a schedule."""

from __future__ import annotations

from typing import Any

import torch
from graduation import Case, Functions
from minimal import parameters_of, tiny_classifier
from transformers import BertConfig, BertForSequenceClassification

SIZES = {"hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 50}
MODEL = BertForSequenceClassification(BertConfig(**SIZES, num_labels=3))
NAMES = {id(parameter): name for name, parameter in MODEL.named_parameters()}


def run_groups(functions: Functions) -> list[dict]:
    parameter_groups = functions["parameter_groups"]
    asked = [
        parameter_groups(MODEL, 1e-3),
        parameter_groups(MODEL, 1e-3, 0.1, 5e-3),
        parameter_groups(MODEL, 1e-3, head_learning_rate=2e-3, layer_decay=0.5),
    ]
    return [{**group, "params": [NAMES[id(p)] for p in group["params"]]} for groups in asked for group in groups]


def run_layers(functions: Functions) -> list[int | None]:
    return [functions["layer_of"](name) for name in NAMES.values()]


def run_parts(functions: Functions) -> list[tuple[str, float]]:
    return [functions["part_and_rate"](name, 2, 1e-3, 5e-3, decay) for name in NAMES.values() for decay in (1.0, 0.9)]


def run_rates(functions: Functions) -> list[list[float]]:
    rates = []
    for steps, share in [(20, 0.1), (7, 0.5), (5, 0.0), (1, 0.9)]:
        optimizer = torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": r} for r in (0.1, 0.3)])
        schedule = functions["linear_warmup"](optimizer, steps, share)
        for _ in range(steps + 2):
            rates.append([group["lr"] for group in optimizer.param_groups])
            optimizer.step()
            schedule.step()
    return rates


def run_built(functions: Functions) -> list[Any]:
    found = []
    for options in ({}, {"weight_decay": 0.1, "warmup_share": 0.5, "head_learning_rate": 5e-3, "layer_decay": 0.5}):
        torch.manual_seed(0)
        model = tiny_classifier()
        optimizer, schedule = functions["build_optimizer"](model, 1e-3, 4, **options)
        for _ in range(3):
            for number, parameter in enumerate(model.parameters()):
                parameter.grad = torch.full_like(parameter, 0.1 * (number + 1))
            optimizer.step()
            schedule.step()
        found.append([parameters_of(model), schedule.get_last_lr(), optimizer.defaults["fused"]])
    return found


CASES = [
    Case(
        "optim.build_optimizer",
        run_built,
        mutants={
            "the decay is lost": ("learning_rate, weight_decay, head", "learning_rate, 0.01, head"),
            "the warm-up is lost": ("linear_warmup(optimizer, steps, warmup_share)", "linear_warmup(optimizer, steps)"),
            "one rate for all layers": ("head_learning_rate, layer_decay)", "head_learning_rate)"),
            "another implementation": ("fused=True", "fused=False"),
        },
    ),
    Case(
        "optim.parameter_groups",
        run_groups,
        mutants={
            "biases and LayerNorm weights decay": ("parameter.ndim >= 2", "parameter.ndim >= 1"),
            "the head's own rate is lost": (
                "learning_rate if head_learning_rate is None else head_learning_rate",
                "learning_rate",
            ),
            "every parameter is a group": ("setdefault((part, kind), empty)", "setdefault((name, kind), empty)"),
        },
    ),
    Case(
        "optim.layer_of",
        run_layers,
        mutants={"counted from 1": ("int(found[1])", "int(found[1]) + 1"), "a text": ("int(found[1])", "found[1]")},
    ),
    Case(
        "optim.part_and_rate",
        run_parts,
        mutants={
            "the lowest layer learns fastest": ("(top - layer_of(name))", "layer_of(name)"),
            "embeddings learn like the lowest layer": ("(top + 1)", "top"),
        },
    ),
    Case(
        "optim.linear_warmup",
        run_rates,
        mutants={
            "the climb starts one step up": ("return step / warmup_steps", "return (step + 1) / warmup_steps"),
            "the fall ends early": ("(total_steps - step)", "(total_steps - step - 1)"),
            "no warm-up": ("int(warmup_share * total_steps)", "0"),
        },
    ),
]
