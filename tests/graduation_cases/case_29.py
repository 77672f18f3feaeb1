"""Lesson 29: when a run ends, and with which weights."""

from __future__ import annotations

from typing import Any

import torch
from graduation import Case, Functions
from torch import nn

NAN = float("nan")
RUNS = [  # settings, and what was watched after each epoch
    ({"patience": 2}, [3.0, 2.0, 2.5, 2.6, 1.0]),
    ({"patience": 2}, [3.0, 2.0, 2.5, 1.9, 1.0]),
    ({"patience": 3}, [0.1 + 0.2, 0.3, 0.3, 0.3]),  # a gain in the last bit is a gain, an equal value is none
    ({"patience": 3, "min_change": 0.5}, [3.0, 2.5, 2.3, 1.9, 1.5, 1.4]),  # small gains add up
    ({"patience": 2, "monitor": "accuracy"}, [0.5, 0.7, 0.7, 0.6, 0.9]),
    ({"patience": 1, "monitor": "accuracy", "min_change": 0.1}, [0.5, 0.55, 0.9]),
    ({"patience": 3}, [NAN, 2.0, NAN, 1.0, NAN]),
    ({"patience": 2}, [NAN, NAN, 1.0]),
]


def followed(functions: Functions, settings: dict[str, Any], values: list[float]) -> list[Any]:
    """Everything the object says and holds after each epoch, and the weights that it restores."""
    stopping, model, seen = functions["EarlyStopping"](**settings), nn.Linear(1, 1), []
    for epoch, value in enumerate(values, 1):
        for parameter in model.parameters():
            nn.init.constant_(parameter, float(epoch))
        ended = stopping.update({"epoch": epoch, stopping.monitor: value}, model)
        seen.append([ended, {**vars(stopping), "best_weights": dict(stopping.best_weights or {})}])
        if ended:
            break
    stopping.restore(model)
    return [seen, {name: tensor.clone() for name, tensor in model.state_dict().items()}, repr(stopping)]


def run(functions: Functions) -> Any:
    torch.manual_seed(0)
    return [followed(functions, settings, values) for settings, values in RUNS], torch.get_rng_state()


CASES = [
    Case(
        "training.EarlyStopping",
        run,
        {
            "one epoch too patient": ("self.waited >= self.patience", "self.waited > self.patience"),
            "the count is never reset": ('int(row["epoch"]), 0', 'int(row["epoch"]), self.waited'),
            "an equal value is an improvement": ("gain > self.min_change", "gain >= self.min_change"),
            "a loss improves upwards": ("gain = -gain", "pass"),
            "a reference instead of a copy": ("tensor.detach().clone()", "tensor"),
            "the minimum change is ignored": ("gain > self.min_change", "gain > 0.0"),
            "nothing is restored": ("model.load_state_dict(self.best_weights)", "pass"),
            "a loss of NaN is the one to beat": ("not math.isnan(value)", "True"),
        },
    )
]
