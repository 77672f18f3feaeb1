"""Lesson 19: the training loop."""

from typing import Any

import torch
from graduation import Case, Functions
from minimal import CONFIG, RATE, parameters_of, tiny_batch, tiny_classifier, tiny_loader

from bertft_helpers.optim import build_optimizer


class Run:
    """A model with dropout on, and the parts of a loop."""

    def __init__(self) -> None:
        self.model = tiny_classifier()
        self.optimizer, self.schedule = build_optimizer(self.model, RATE, 12, weight_decay=0.1)
        torch.manual_seed(5)

    def end(self, result: Any) -> Any:
        rates = [group["lr"] for group in self.optimizer.param_groups]
        return result, parameters_of(self.model), rates, torch.get_rng_state()


def clipped(functions: Functions) -> Any:
    found = []
    for clip_norm in (0.01, 1e6, None):
        layer = torch.nn.Linear(3, 2)
        for number, parameter in enumerate(layer.parameters()):
            parameter.grad = torch.arange(parameter.numel(), dtype=torch.float32).view_as(parameter) + number
        norm = functions["divide_and_clip"](layer.parameters(), torch.tensor(4), clip_norm)
        found.append((norm, [parameter.grad for parameter in layer.parameters()]))
    return found


def stepped(functions: Functions) -> Any:
    run, batches = Run(), [tiny_batch(6), tiny_batch(2)]
    run.model.train()
    steps = [functions["train_step"](run.model, batches, run.optimizer, run.schedule, CONFIG) for _ in range(3)]
    return run.end([vars(step) for step in steps])


def grouped(functions: Functions) -> Any:
    return [list(functions["groups_of"](range(count), 4)) for count in (0, 3, 4, 9)]


def epoch(functions: Functions) -> Any:
    run = Run()
    run.model.eval()
    steps = functions["train_epoch"](run.model, tiny_loader(), run.optimizer, run.schedule, CONFIG)
    return run.end([vars(step) for step in steps])


def fitted(functions: Functions) -> Any:
    run, rows = Run(), []
    loaders = tiny_loader(), tiny_loader(7, seed=None, offset=1)
    history = functions["fit"](run.model, *loaders, run.optimizer, run.schedule, CONFIG, on_epoch=rows.append)
    return run.end([[vars(step) for step in history.steps], history.epochs, rows])


CASES = [
    Case(
        "training.divide_and_clip",
        clipped,
        {
            "missing clip": (".clamp(max=1.0)", ".clamp(min=1.0)"),
            "not divided": ("factor / targets", "factor"),
            "norm of the sum": ("get_total_norm(gradients) / targets", "get_total_norm(gradients)"),
        },
    ),
    Case(
        "training.train_step",
        stepped,
        {
            "missing zero_grad": ("optimizer.zero_grad()", "pass"),
            "mean of means": ("batch_loss.backward()", "(batch_loss / batch_targets).backward()"),
            "the schedule forgotten": ("schedule.step()", "pass"),
            "last batch only": ("targets = targets + batch_targets", "targets = batch_targets"),
        },
    ),
    Case(
        "training.groups_of",
        grouped,
        {"one too many": ("itertools.islice(batches, size)", "itertools.islice(batches, size + 1)")},
    ),
    Case(
        "training.train_epoch",
        epoch,
        {
            "missing train mode": ("model.train()", "pass"),
            "wrong last group": (
                "groups_of(loader, config.accumulate)",
                "list(groups_of(loader, config.accumulate))[:-1]",
            ),
        },
    ),
    Case(
        "training.fit",
        fitted,
        {
            "the same order each epoch": ("set_epoch(epoch)", "set_epoch(0)"),
            "mean of means": (
                "sum(step.loss_sum for step in steps) / sum(step.targets for step in steps)",
                "sum(step.loss_sum / step.targets for step in steps) / len(steps)",
            ),
            "one epoch less": ("range(config.epochs)", "range(config.epochs - 1)"),
        },
    ),
]
