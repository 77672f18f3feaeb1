"""Lesson 14: poolings and classifiers."""

from typing import Any

import torch
from graduation import Case, Functions
from minimal import parameters_of, tiny_batch, tiny_encoder

HIDDEN = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0))
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]])


def classified(functions: Functions) -> Any:
    encoder, batch = tiny_encoder(), tiny_batch()
    torch.manual_seed(3)
    model = functions["PooledClassifier"](encoder, 3).train()
    logits = model(batch["input_ids"], batch["attention_mask"]).logits
    return logits.detach(), parameters_of(model), torch.get_rng_state()


def built(functions: Functions) -> Any:
    model = functions["build_classifier"]("bundled", ["a", "b", "c"], seed=4)
    return parameters_of(model), model.config.id2label, model.config.label2id, model.training


CASES = [
    Case(
        "models.pool_cls", lambda f: f["pool_cls"](HIDDEN, MASK), {"the last token": ("hidden[:, 0]", "hidden[:, -1]")}
    ),
    Case(
        "models.pool_mean",
        lambda f: f["pool_mean"](HIDDEN, MASK),
        {"padding counted": ("/ weights.sum(dim=1)", "/ weights.shape[1]")},
    ),
    Case(
        "models.PooledClassifier",
        classified,
        {
            "no dropout": ("self.dropout(pooled)", "pooled"),
            "another spread": ("std=encoder.config.initializer_range", "std=1.0"),
            "another pooling": ("pooling=pool_mean", "pooling=pool_cls"),
        },
    ),
    Case(
        "models.build_classifier",
        built,
        {
            "the seed forgotten": ("set_seeds(seed)", "set_seeds(0)"),
            "names lost": ("id2label=dict(enumerate(label_names)),", ""),
        },
    ),
]
