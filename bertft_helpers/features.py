"""What a frozen encoder makes of texts, computed once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from transformers import BertModel

from bertft_helpers.batching import EncodedTexts, make_loader, move_batch
from bertft_helpers.models import pool_mean


@torch.no_grad()  # not inference_mode, whose tensors cannot train a head
def encode_once(
    encoder: BertModel,
    examples: EncodedTexts,
    pooling: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = pool_mean,
    batch_size: int = 32,
) -> torch.Tensor:
    """One vector per text ``[examples, width]`` on the CPU, in the examples' order.

    The encoder runs in evaluation mode (no dropout) and is left in the mode it had.
    """
    device = next(encoder.parameters()).device
    was_training = encoder.training
    encoder.eval()
    features = torch.empty(len(examples), encoder.config.hidden_size)
    for batch in make_loader(examples, batch_size):
        batch = move_batch(batch, device)
        hidden = encoder(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
        features[batch["rows"].cpu()] = pooling(hidden, batch["attention_mask"]).float().cpu()
    encoder.train(was_training)
    return features
