"""What a frozen encoder makes of texts, computed once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from transformers import BertModel

from bertft_helpers.batching import EncodedTexts, make_loader, move_batch
from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import evaluation_mode
from bertft_helpers.models import pool_mean


def encode_once(
    encoder: BertModel,
    examples: EncodedTexts,
    pooling: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = pool_mean,
    batch_size: int = 32,
) -> torch.Tensor:
    """One vector per text ``[examples, width]`` on the CPU, in the examples' order; a head can be trained on them.

    The encoder runs in evaluation mode (no dropout) and is left in the mode it had. Written out in lesson 15.
    """
    device = next(encoder.parameters()).device
    features = torch.empty(len(examples), encoder.config.hidden_size)  # made here: inference tensors train nothing
    with evaluation_mode(encoder):
        for batch in make_loader(examples, batch_size):
            batch = move_batch(batch, device)
            hidden = encoder(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
            features[batch["rows"].cpu()] = pooling(hidden, batch["attention_mask"]).float().cpu()
    return features


def cache_boundary(encoder: BertModel, examples: EncodedTexts, layers: int, batch_size: int = 32) -> list[torch.Tensor]:
    """The hidden states ``[length, width]`` of each text above the lowest ``layers`` layers, in the examples' order.

    ``layers=0`` gives the embeddings. Computed in evaluation mode, kept on the CPU without padding. Where the lower
    part is frozen this spares its forward pass (Saad-Falcon et al. 2023). Raises ValueError for layers that do not
    exist. Written out in lesson 15.
    """
    depth = len(encoder.encoder.layer)
    if not 0 <= layers <= depth:
        raise UserError(f"layers is {layers}; this encoder has {depth}, so the boundary lies at 0 to {depth}")
    device = next(encoder.parameters()).device
    lengths = examples.lengths
    states = [torch.empty(length, encoder.config.hidden_size) for length in lengths]
    with evaluation_mode(encoder):
        for batch in make_loader(examples, batch_size):
            batch = move_batch(batch, device)
            hidden = encoder.embeddings(batch["input_ids"])
            hidden = run_layers(encoder.encoder.layer[:layers], hidden, batch["attention_mask"])
            for row, state in zip(batch["rows"].tolist(), hidden.float().cpu(), strict=True):
                states[row].copy_(state[: lengths[row]])
    return states


def run_layers(layers: torch.nn.ModuleList, hidden: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """Hidden states ``[batch, length, width]`` after some of an encoder's layers; padding is not attended to.

    Written out in lesson 15.
    """
    blocked = torch.finfo(hidden.dtype).min  # added to a score, this leaves nothing of it after the softmax
    bias = (1 - attention_mask[:, None, None, :].to(hidden.dtype)) * blocked  # [batch, 1, 1, length]
    for layer in layers:
        hidden = layer(hidden, bias)
    return hidden
