"""How near a training step comes to this machine's own matrix products of the same shapes and number format."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch

from benchmarks.finetune import EXACTLY, LONG, Size
from benchmarks.material import LEARNING_RATE, WEIGHT_DECAY, examples, fresh_model
from benchmarks.multiplications import LENGTH, TEXTS, multiplier, operations
from benchmarks.pairs import OURS, Goal, Row, Side, Stopwatch, Topic
from bertft_helpers.batching import make_loader
from bertft_helpers.config import TrainConfig
from bertft_helpers.optim import build_optimizer
from bertft_helpers.speed.choice import EXACT, Choice, find_choice, set_up, use_process
from bertft_helpers.speed.vocabulary import compact_vocabulary
from bertft_helpers.training import train_step

Way = Callable[[], Choice]


def quick_here() -> Choice:
    """What a trial finds to be quick on this machine."""
    return find_choice(torch.device("cpu"))


def exact() -> Choice:
    """float32 and torch's own dropout."""
    return EXACT


def steps(way: Way, size: Size, seed: int) -> Row:
    """Whole training steps: forward, backward, norm, clipping, AdamW."""
    choice, model = way(), fresh_model(seed)
    train = examples("story", "train", size["texts"], size["length"], seed)
    compact_vocabulary(model, train.input_ids)
    set_up(model, choice, seed)
    optimizer, schedule = build_optimizer(model, LEARNING_RATE, 1000, WEIGHT_DECAY)
    (batch,) = make_loader(train, size["texts"])
    model.train()
    config = TrainConfig(precision=choice.precision)
    return _timed(lambda: train_step(model, [batch], optimizer, schedule, config), choice, size)


def products_alone(way: Way, size: Size, seed: int) -> Row:
    """The products of such a step and nothing else."""
    choice = way()
    use_process(choice)
    config = fresh_model(seed).config
    multiply = multiplier(config, size["texts"], size["length"], choice.first_token, choice.precision)
    return _timed(multiply, choice, size)


def _timed(work: Callable[[], object], choice: Choice, size: Size) -> Row:
    work()
    watch = Stopwatch(size["clock"])
    for _ in range(size["steps"]):
        work()
    seconds = watch.seconds / size["steps"]
    done = operations(fresh_model(0).config, size["texts"], size["length"], choice.first_token)
    return {"seconds": seconds, "figures": {f"GFLOP/s in {choice.precision}": done / seconds / 1e9}}


SIDES: dict[str, Side] = {
    OURS: functools.partial(steps, quick_here),
    "its products alone": functools.partial(products_alone, quick_here),
    EXACTLY: functools.partial(steps, exact),
    "the products of the exact step alone": functools.partial(products_alone, exact),
}
TOPICS = [
    Topic(
        "products",
        f"a training step at {TEXTS} x {LENGTH} tokens, against its matrix products alone",
        {"texts": TEXTS, "length": LENGTH, "steps": 5},
        {"texts": 4, "length": 16, "steps": 1},
        SIDES,
        [Goal("its products alone", 0.85, amx=0.6)],
        f"{LONG}; what is left beside the products is GELU, LayerNorm, softmax, AdamW and the norm",
    )
]
