"""Lesson 22: evaluation without traces, and intervals."""

from typing import Any

import numpy as np
import torch
from graduation import Case, Functions
from minimal import tiny_classifier, tiny_examples, tiny_loader

from bertft_helpers.batching import EncodedTexts, make_loader

VALUES = np.random.default_rng(0).normal(size=40)


def modes(functions: Functions) -> Any:
    found = []
    for training in (True, False):
        model = tiny_classifier().train(training)
        with functions["evaluation_mode"](model):
            found += [model.training, torch.is_grad_enabled(), torch.is_inference_mode_enabled()]
        found.append(model.training)
    return found


def evaluated(functions: Functions) -> Any:
    examples = tiny_examples(11)
    loader = make_loader(EncodedTexts(examples.input_ids, [*examples.labels[:9], -100, 1]), 4)
    model = tiny_classifier().train()
    return vars(functions["evaluate"](model, loader)), model.training


def predicted(functions: Functions) -> Any:
    found = functions["predict"](tiny_classifier().train(), tiny_loader(11, seed=5))
    return found.logits, found.labels


def intervals(functions: Functions) -> Any:
    interval = functions["bootstrap_interval"]
    return interval(VALUES), interval(VALUES, np.median, 500, 0.8, 3)


CASES = [
    Case(
        "evaluation.evaluation_mode",
        modes,
        {"left in evaluation mode": ("model.train(was_training)", "pass"), "dropout on": ("model.eval()", "pass")},
    ),
    Case(
        "evaluation.evaluate",
        evaluated,
        {
            "mean of batch means": ('reduction="sum"', 'reduction="mean"'),
            "ignored labels counted": ("(labels != -100).sum().item()", "len(labels)"),
        },
    ),
    Case(
        "evaluation.predict",
        predicted,
        {"in the order of the batches": ("torch.cat(logits)[order]", "torch.cat(logits)")},
    ),
    Case(
        "evaluation.bootstrap_interval",
        intervals,
        {
            "one tail": ("(1 - level) / 2", "1 - level"),
            "the seed forgotten": ("default_rng(seed)", "default_rng(0)"),
            "always the mean": ("statistic(samples, axis=1)", "np.mean(samples, axis=1)"),
        },
    ),
]
