"""A trial of seconds: in which number format and with which dropout does an encoder layer train quickest here?

Each way is a training step of one real layer, in turn with the others, so that a machine that is busy for a moment is
so for all of them. A way that cannot run here, or whose numbers are wrong, is left out and named. Attention is not
tried: with torch's dropout the plain and the fused kernel train within 5 % of each other at every length, bytes bring
their own, and predictions use the fused one, which is never slower in float32 (``benchmarks/RESULTS.md``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from transformers import BertConfig, BertModel

from bertft_helpers.config import PRECISIONS
from bertft_helpers.errors import first_line
from bertft_helpers.runtime import mixed_precision
from bertft_helpers.speed.dropout import restore_dropout, use_byte_dropout

__all__ = [
    "BUDGETS",
    "EXACT_WAY",
    "LENGTHS",
    "LOWEST",
    "PAYS",
    "ROUNDS",
    "SECONDS",
    "TEXTS",
    "TRUSTED",
    "Clock",
    "Way",
    "gain_of",
    "one_layer",
    "quickest",
    "quickest_budget",
    "quickest_threads",
    "seconds_of_steps",
    "trouble_with",
    "ways_for",
]

TEXTS, LENGTHS = 8, (16, 128)  # of the steps that are tried; tokens in each text
ROUNDS, SECONDS = 3, 0.8  # for each length; no round begins after so many seconds
PAYS = 1.05  # times as fast as the exact way: what another way must reach to be taken
TRUSTED = 0.05  # mean error of a layer in 16 bits, as a share of the spread; bfloat16 has 0.001 to 0.002
LOWEST = "encoder.layer.0.attention.self.value.weight"  # its gradient has come through all products of the layer
BUDGETS = {"cpu": (1024, 4096), "cuda": (4096, 16384, 65536), "mps": (1024, 4096)}  # tokens in a batch of predictions

Clock = Callable[[], float]


class Way(NamedTuple):
    """How a step is made: one of ``config.PRECISIONS``, and dropout drawn by ``torch`` or as ``bytes``."""

    precision: str
    dropout: str


EXACT_WAY = Way("float32", "torch")


def one_layer(device: torch.device) -> BertModel:
    """One layer of the bundled checkpoint's size with random weights; its vocabulary is small."""
    config = BertConfig(
        vocab_size=1000, hidden_size=384, num_hidden_layers=1, num_attention_heads=12, intermediate_size=1536
    )
    return BertModel(config, add_pooling_layer=False).to(device)  # type: ignore[arg-type]  # transformers hides that it is a method


def ways_for(device: torch.device) -> list[Way]:
    """What may be tried, the exact way first. Bytes are a CPU's remedy: a GPU draws random numbers fast enough."""
    precisions = [precision for precision in PRECISIONS if device.type != "cpu" or precision != "float16"]
    dropouts = ["torch", "bytes"] if device.type == "cpu" else ["torch"]
    return [Way(precision, dropout) for precision in precisions for dropout in dropouts]


def trouble_with(layer: BertModel, precision: str) -> str:
    """Why a number format must not be used on this machine; empty when a layer in it gives what float32 gives."""
    layer.eval()
    exact = _outputs_and_gradient(layer, "float32")
    try:
        found = _outputs_and_gradient(layer, precision)
    except (RuntimeError, NotImplementedError, TypeError) as error:
        return f"a layer in it fails here ({first_line(error)})"
    off = max(((own - true).abs().mean() / true.std()).item() for own, true in zip(found, exact, strict=True))
    return "" if off < TRUSTED else f"a layer in it gives wrong numbers here (off by {off:.0%} of their spread)"


def _outputs_and_gradient(layer: BertModel, precision: str) -> tuple[torch.Tensor, torch.Tensor]:
    """What a layer computes, and the gradient of its lowest product, which has come through all the others."""
    ids = torch.arange(64, device=layer.device).view(2, 32)
    with mixed_precision(layer.device, getattr(torch, precision)):
        states = layer(ids).last_hidden_state.float()
    weighted = states * torch.linspace(-1, 1, states.shape[-1], device=layer.device)
    (gradient,) = torch.autograd.grad(weighted.sum(), layer.get_parameter(LOWEST))
    return states.detach(), gradient


def seconds_of_steps(layer: BertModel, ways: Sequence[Way], length: int, clock: Clock) -> dict[Way, float]:
    """The shortest time of a training step of ``TEXTS`` texts in each way, in turn; the first round warms up."""
    ids = torch.arange(TEXTS * length, device=layer.device).remainder(1000).view(TEXTS, length)
    found = {way: float("inf") for way in ways}
    begun = clock()
    for round_ in range(1 + ROUNDS):
        if round_ > 1 and clock() - begun > SECONDS:
            break
        for way in ways:
            seconds = _step_seconds(layer, way, ids, clock)
            if round_ > 0:
                found[way] = min(found[way], seconds)
    return found


def _step_seconds(layer: BertModel, way: Way, ids: torch.Tensor, clock: Clock) -> float:
    layer.train().zero_grad()
    if way.dropout == "bytes":
        use_byte_dropout(layer, seed=0)
    begun = clock()
    with mixed_precision(layer.device, getattr(torch, way.precision)):
        states = layer(ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    states.float().sum().backward()
    _wait(layer.device)
    seconds = clock() - begun
    if way.dropout == "bytes":
        restore_dropout(layer)
    return seconds


def quickest(seconds: Mapping[Way, Sequence[float]]) -> Way:
    """The way whose steps are quickest on average over the lengths; the exact one unless another gains 5 %."""
    gains = {way: gain_of(seconds, way) for way in seconds}
    best = max(gains, key=lambda way: gains[way])
    return best if gains[best] >= PAYS else EXACT_WAY


def gain_of(seconds: Mapping[Way, Sequence[float]], way: Way) -> float:
    """How many times as fast as the exact way, as the geometric mean over the lengths."""
    ratios = torch.tensor(seconds[EXACT_WAY], dtype=torch.float64) / torch.tensor(seconds[way], dtype=torch.float64)
    return float(ratios.log().mean().exp())


def quickest_threads(layer: BertModel, way: Way, clock: Clock) -> int:
    """How many threads: those that torch has, or half as many where that gains 5 %, as on some processors with two
    threads to a core. Not tried where somebody set OMP_NUM_THREADS, or where there are fewer than four.
    """
    given = torch.get_num_threads()
    if layer.device.type != "cpu" or given < 4 or "OMP_NUM_THREADS" in os.environ:
        return given
    seconds = {}
    try:
        for count in (given, given // 2):
            torch.set_num_threads(count)
            seconds[count] = seconds_of_steps(layer, [way], LENGTHS[-1], clock)[way]
    finally:
        torch.set_num_threads(given)
    return given if seconds[given] < PAYS * seconds[given // 2] else given // 2


@torch.inference_mode()
def quickest_budget(layer: BertModel, clock: Clock, length: int = 64) -> int:
    """How many tokens a batch of predictions should hold: the one of ``BUDGETS`` with most tokens a second,
    but a larger one only where it gains 5 %: small batches leave memory to others.
    """
    layer.eval()
    smallest, *larger = BUDGETS[layer.device.type]
    best, best_rate = smallest, PAYS * _tokens_a_second(layer, smallest, length, clock)
    for budget in larger:
        rate = _tokens_a_second(layer, budget, length, clock)
        if rate > best_rate:
            best, best_rate = budget, rate
    return best


def _tokens_a_second(layer: BertModel, budget: int, length: int, clock: Clock) -> float:
    ids = torch.arange(budget, device=layer.device).remainder(1000).view(-1, length)
    seconds = []
    for _ in range(ROUNDS):
        begun = clock()
        layer(ids)
        _wait(layer.device)
        seconds.append(clock() - begun)
    return budget / min(seconds)


def _wait(device: torch.device) -> None:
    """Until the device has done what it was asked: a GPU works on while the program goes on."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
