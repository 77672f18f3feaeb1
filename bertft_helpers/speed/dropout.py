"""Dropout whose masks are drawn as bytes: the same expectation, a ninth of the random numbers' cost on a CPU.

An option, off unless asked for: the rate becomes a multiple of 1/256 (0.1 becomes 26/256 = 0.1016), and the masks come
from a generator of their own, so that a run differs from the plain one as it would with another seed.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from bertft_helpers.errors import UserError

__all__ = [
    "CHUNK",
    "LOWEST_WORD",
    "NAME",
    "ByteDropout",
    "attend",
    "byte_generator",
    "draw_bytes",
    "keep_mask",
    "quantized_rate",
    "restore_dropout",
    "use_byte_dropout",
]

NAME = "byte_dropout"  # what transformers calls the attention below
CHUNK = 1 << 20  # attention probabilities worked on at a time: 4 MB stay in the cache
LOWEST_WORD = -(2**63)


def quantized_rate(rate: float) -> float:
    """The multiple of 1/256 nearest to ``rate``. Raises ValueError outside [0, 1)."""
    if not 0 <= rate < 1:
        raise UserError(f"a dropout rate of {rate} was given; it must be in [0, 1)")
    return min(round(rate * 256), 255) / 256


def draw_bytes(like: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    """Independent uniform bytes of the shape of ``like``, eight from each 64-bit random number."""
    words = torch.empty(-(-like.numel() // 8), dtype=torch.int64, device=like.device)
    words.random_(LOWEST_WORD, None, generator=generator)  # the full range: no bit is always zero
    return words.view(torch.uint8)[: like.numel()].view(like.shape)


def keep_mask(drawn: torch.Tensor, rate: float, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """1 where a byte keeps its value and 0 where it drops it, as ``dtype``; ``rate`` is a multiple of 1/256."""
    return torch.ge(drawn, round(rate * 256), out=torch.empty(drawn.shape, dtype=dtype, device=drawn.device))


class _DropBytes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, rate: float, generator: torch.Generator) -> torch.Tensor:
        drawn = draw_bytes(values, generator)
        ctx.save_for_backward(drawn)  # a byte per value, a quarter of a mask of floats
        ctx.rate = rate
        return _drop(values, drawn, rate)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return _drop(gradient, ctx.saved_tensors[0], ctx.rate), None, None


def _drop(values: torch.Tensor, drawn: torch.Tensor, rate: float) -> torch.Tensor:
    return keep_mask(drawn, rate, values.dtype).mul_(1 / (1 - rate)).mul_(values)


class ByteDropout(nn.Module):
    """``nn.Dropout`` at a rate quantised to 1/256, with masks from its own generator."""

    def __init__(self, p: float, generator: torch.Generator) -> None:
        super().__init__()
        self.p = quantized_rate(p)
        self.generator = generator

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The values, in training mode with a share ``p`` of them zero and the rest scaled by ``1 / (1 - p)``."""
        if not self.training or self.p == 0:
            return values
        return _DropBytes.apply(values, self.p, self.generator)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class _Attend(torch.autograd.Function):
    """Attention for a few texts at a time, so that what lies between two matrix products stays in the cache.

    ``query``, ``key``, ``value`` ``[batch, heads, length, width]``; ``mask`` ``[batch, 1, 1 or length, length]``, added
    to the scores, or None; returns ``[batch, heads, length, width]``.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
        scale: float,
        rate: float,
        generator: torch.Generator | None,
    ) -> torch.Tensor:
        batch, heads, length, _ = query.shape
        size = max(1, CHUNK // (heads * length * length))
        output, kept = torch.empty_like(query), []
        for start in range(0, batch, size):
            part = slice(start, start + size)
            scores = (query[part] * scale) @ key[part].transpose(-1, -2)
            if mask is not None:
                scores += mask[part]
            probabilities = scores.softmax(dim=-1)
            drawn = draw_bytes(probabilities, generator) if rate else None
            dropped = probabilities if drawn is None else keep_mask(drawn, rate, scores.dtype).mul_(probabilities)
            output[part] = (dropped @ value[part]).div_(1 - rate)
            kept += [probabilities, drawn]
        ctx.save_for_backward(query, key, value, *kept)
        ctx.settings = size, scale, rate
        return output

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, *kept = ctx.saved_tensors
        size, scale, rate = ctx.settings
        gradients = [torch.empty_like(tensor) for tensor in (query, key, value)]
        for number, start in enumerate(range(0, len(query), size)):
            part = slice(start, start + size)
            probabilities, drawn = kept[2 * number : 2 * number + 2]
            outer = gradient[part] / (1 - rate)
            inner = outer @ value[part].transpose(-1, -2)
            dropped = probabilities
            if drawn is not None:
                keep = keep_mask(drawn, rate, inner.dtype)
                dropped = keep * probabilities
                inner.mul_(keep)
            scores = torch._softmax_backward_data(inner, probabilities, -1, inner.dtype).mul_(scale)
            gradients[0][part] = scores @ key[part]
            gradients[1][part] = scores.transpose(-1, -2) @ query[part]
            gradients[2][part] = dropped.transpose(-1, -2) @ outer
        return *gradients, None, None, None, None


def attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' attention interface: byte-drawn dropout in training, its own fused attention otherwise.

    In evaluation in 16 bits on a CPU, where the fused one is the slower, it is that of training without dropout.
    """
    if not module.training and (query.dtype == torch.float32 or query.device.type != "cpu"):
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **options)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    mask = attention_mask
    if mask is not None and mask.dtype == torch.bool:  # True: attended
        mask = torch.zeros(mask.shape, dtype=query.dtype).masked_fill_(~mask, torch.finfo(query.dtype).min)
    dropout = cast(ByteDropout, module.dropout)
    rate = dropout.p if module.training else 0.0
    output = _Attend.apply(query, key, value, mask, scale, rate, dropout.generator)
    return output.transpose(1, 2), None


def use_byte_dropout(model: PreTrainedModel, seed: int) -> torch.Generator:
    """Replace every dropout of a BERT by one whose masks are drawn as bytes; returns their generator.

    Rates are quantised to 1/256. Undo it with ``restore_dropout``.
    """
    generator = torch.Generator(next(model.parameters()).device).manual_seed(seed)
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Dropout):
                setattr(parent, name, ByteDropout(child.p, generator).train(child.training))
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
    return generator


def byte_generator(model: nn.Module) -> torch.Generator | None:
    """The generator that ``use_byte_dropout`` gave the model; None for plain dropout."""
    return next((module.generator for module in model.modules() if isinstance(module, ByteDropout)), None)


def restore_dropout(model: PreTrainedModel) -> None:
    """Put plain dropout and transformers' attention back; the rates stay quantised."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, ByteDropout):
                setattr(parent, name, nn.Dropout(child.p).train(child.training))
    model.set_attn_implementation("sdpa")
