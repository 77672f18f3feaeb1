"""How many operations the matrix products of a training step take, and how many of them this machine makes a second.

Counted from the shapes: a product of ``[rows, inner]`` and ``[inner, columns]`` takes ``2 * rows * inner * columns``
operations, and its backward pass two products of the same size. What is left of a step beside its products (GELU,
LayerNorm, softmax, dropout, AdamW, the norm of the gradient) counts as time and not as work.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from transformers import BertConfig

from benchmarks.pairs import Stopwatch

TEXTS, LENGTH = 16, 256  # of the step whose products tell the machine's speed


class Product(NamedTuple):
    """``batch`` products of ``[rows, inner]`` and ``[inner, columns]``."""

    batch: int
    rows: int
    inner: int
    columns: int


def products(config: BertConfig, texts: int, length: int, first_token: bool) -> Iterator[Product]:
    """The products of a forward pass; with ``first_token`` the top layer computes [CLS] alone."""
    for layer in range(config.num_hidden_layers):
        top = first_token and layer == config.num_hidden_layers - 1
        yield from _of_layer(config, texts, length, 1 if top else length)


def _of_layer(config: BertConfig, texts: int, length: int, computed: int) -> Iterator[Product]:
    """``computed`` tokens of each text ask, all ``length`` of them are asked."""
    width, inner, heads = config.hidden_size, config.intermediate_size, config.num_attention_heads
    for rows, ins, outs in [
        *[(texts * computed, width, width)] * 2,  # query, and what attention gives out
        *[(texts * length, width, width)] * 2,  # key, value
        (texts * computed, width, inner),
        (texts * computed, inner, width),
    ]:
        yield Product(1, rows, ins, outs)
    yield Product(texts * heads, computed, width // heads, length)
    yield Product(texts * heads, computed, length, width // heads)


def operations(config: BertConfig, texts: int, length: int, first_token: bool = False) -> float:
    """Floating-point operations of all products of a training step."""
    return 3.0 * sum(2 * math.prod(one) for one in products(config, texts, length, first_token))


def multiplier(config: BertConfig, texts: int, length: int, first_token: bool, precision: str) -> Callable[[], None]:
    """A function that makes the products of a training step, forward and backward, and nothing else."""
    dtype = getattr(torch, precision)
    sides = [
        tuple(torch.randn(shape, dtype=dtype).squeeze(0) for shape in _shapes(one))
        for one in products(config, texts, length, first_token)
    ]

    def multiply() -> None:
        for left, right, gradient in sides:
            left @ right.mT, gradient @ right, gradient.mT @ left

    return multiply


def _shapes(one: Product) -> list[tuple[int, int, int]]:
    """Inputs, weights as a linear layer keeps them, and the gradient of the outputs."""
    batch, rows, inner, columns = one
    return [(batch, rows, inner), (batch, columns, inner), (batch, rows, columns)]


@functools.cache
def speed(precision: str, clock: str, rounds: int = 5) -> float:
    """Operations a second, the best of some rounds: the machine's own, at the shapes of the bundled checkpoint."""
    config = BertConfig(hidden_size=384, num_hidden_layers=1, num_attention_heads=12, intermediate_size=1536)
    multiply = multiplier(config, TEXTS, LENGTH, False, precision)
    multiply()
    seconds = []
    for _ in range(rounds):
        watch = Stopwatch(clock)
        multiply()
        seconds.append(watch.seconds)
    return operations(config, TEXTS, LENGTH) / min(seconds)


def share_of_speed(done: float, seconds: float, precision: str, clock: str) -> dict[str, float]:
    """The figure of a row that made ``done`` operations in ``seconds``, as a share of the machine's own speed."""
    share = 100 * done / seconds / speed(precision, clock)
    return {f"percent of the speed of this machine's products in {precision}": share}
