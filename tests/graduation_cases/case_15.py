"""Lesson 15: freezing, and what a frozen encoder computes once."""

from typing import Any

import torch
from graduation import Case, Functions
from minimal import tiny_classifier, tiny_encoder, tiny_examples

from bertft_helpers.models import PooledClassifier, pool_cls


def frozen(functions: Functions) -> Any:
    found = []
    for layers in (None, 0, 1, 2):
        model = tiny_classifier()
        functions["freeze"](model, layers)
        found.append({name: parameter.requires_grad for name, parameter in model.named_parameters()})
    return found


def encoders(functions: Functions) -> Any:
    models = (tiny_classifier(), PooledClassifier(tiny_encoder(), 3))
    return [sorted(functions["encoder_of"](model).state_dict()) for model in models]


def encoded(functions: Functions) -> Any:
    encoder = tiny_encoder().train()
    once = functions["encode_once"]
    return once(encoder, tiny_examples()), once(encoder, tiny_examples(5), pool_cls, 2), encoder.training


def run(functions: Functions) -> Any:
    encoder = tiny_encoder().eval()
    hidden = torch.randn(2, 4, 16, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    return functions["run_layers"](encoder.encoder.layer, hidden, mask).detach()


def cached(functions: Functions) -> Any:
    encoder = tiny_encoder().train()
    return functions["cache_boundary"](encoder, tiny_examples(9), 1, 4), encoder.training


CASES = [
    Case(
        "models.freeze",
        frozen,
        {
            "embeddings forgotten": ("encoder.embeddings, ", ""),
            "thawed": ("requires_grad_(False)", "requires_grad_(True)"),
        },
    ),
    Case("models.encoder_of", encoders, {"the whole model": ("return model.bert", "return model")}),
    Case(
        "features.encode_once",
        encoded,
        {
            "dropout on": ("encoder.eval()", "encoder.train()"),
            "out of order": ('features[batch["rows"].cpu()]', "features[: len(hidden)]"),
        },
    ),
    Case("features.run_layers", run, {"padding seen": ("* blocked", "* 0.0")}),
    Case(
        "features.cache_boundary",
        cached,
        {
            "one layer too many": ("layer[:layers]", "layer[: layers + 1]"),
            "padding kept": ("state[: len(states[row])]", "state[: len(states[row])].flip(0)"),
        },
    ),
]
