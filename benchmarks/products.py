"""How near a training step comes to this machine's own matrix products of the same shapes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from transformers import BertConfig

from benchmarks.finetune import LONG, Size
from benchmarks.material import LEARNING_RATE, WEIGHT_DECAY, examples, fresh_model
from benchmarks.pairs import OURS, Goal, Row, Stopwatch, Topic
from bertft_helpers.batching import make_loader
from bertft_helpers.config import TrainConfig
from bertft_helpers.optim import build_optimizer
from bertft_helpers.speed.dropout import use_byte_dropout
from bertft_helpers.speed.throughput import keep_freed_memory, quick_products
from bertft_helpers.speed.vocabulary import compact_vocabulary
from bertft_helpers.training import train_step


def core(size: Size, seed: int) -> Row:
    """Training steps with byte-drawn dropout and oneDNN's products."""
    with quick_products():
        return _steps(size, seed, byte_dropout=True)


def core_plain(size: Size, seed: int) -> Row:
    """Training steps without an option."""
    return _steps(size, seed, byte_dropout=False)


def _steps(size: Size, seed: int, byte_dropout: bool) -> Row:
    keep_freed_memory()
    model, train = fresh_model(seed), examples("story", "train", size["texts"], size["length"], seed)
    compact_vocabulary(model, train.input_ids)
    if byte_dropout:
        use_byte_dropout(model, seed)
    optimizer, schedule = build_optimizer(model, LEARNING_RATE, 1000, WEIGHT_DECAY)
    (batch,) = make_loader(train, size["texts"])
    model.train()
    return _timed(lambda: train_step(model, [batch], optimizer, schedule, TrainConfig()), model.config, size)


def products_alone(size: Size, seed: int) -> Row:
    """The products of a step and nothing else: each linear layer's three, attention's six."""
    keep_freed_memory()
    config, tokens = fresh_model(seed).config, size["texts"] * size["length"]
    layers = [
        [(torch.randn(tokens, ins), torch.randn(outs, ins), torch.randn(tokens, outs)) for ins, outs in _shapes(config)]
        for _ in range(config.num_hidden_layers)
    ]
    heads = config.num_attention_heads
    states = torch.randn(size["texts"], heads, size["length"], config.hidden_size // heads)
    scores = torch.randn(size["texts"], heads, size["length"], size["length"])

    def multiply() -> None:
        for layer in layers:
            for inputs, weight, gradient in layer:
                inputs @ weight.t(), gradient @ weight, gradient.t() @ inputs
            for _ in range(2):
                states @ states.transpose(-1, -2), scores @ states, scores.transpose(-1, -2) @ states

    with quick_products():
        return _timed(multiply, config, size)


def _shapes(config: BertConfig) -> list[tuple[int, int]]:
    width, inner = config.hidden_size, config.intermediate_size
    return [*[(width, width)] * 4, (width, inner), (inner, width)]


def _operations(config: BertConfig, size: Size) -> float:
    """Floating-point operations of a step's products."""
    tokens = size["texts"] * size["length"]
    linear = 6 * tokens * sum(ins * outs for ins, outs in _shapes(config))
    attention = 6 * 2 * tokens * size["length"] * config.hidden_size
    return config.num_hidden_layers * (linear + attention)


def _timed(work: Callable[[], object], config: BertConfig, size: Size) -> Row:
    work()
    watch = Stopwatch(size["clock"])
    for _ in range(size["steps"]):
        work()
    seconds = watch.seconds / size["steps"]
    return {"seconds": seconds, "figures": {"GFLOP/s": _operations(config, size) / seconds / 1e9}}


TOPICS = [
    Topic(
        "products",
        "a training step at 16 x 64 tokens, against its matrix products alone",
        {"texts": 16, "length": 64, "steps": 5},
        {"texts": 4, "length": 16, "steps": 1},
        {OURS: core, f"{OURS}, no option": core_plain, "the products alone": products_alone},
        [Goal("the products alone", 0.85)],
        f"{LONG}; what is left beside the products is GELU, LayerNorm, softmax, AdamW and the norm",
    )
]
