"""The smallest BERT that trains, and a few encoded texts, for the tests of the loop and of graduation."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import BertConfig, BertForSequenceClassification, BertModel

from bertft_helpers.batching import Batch, EncodedTexts, make_loader, pad_batch
from bertft_helpers.config import TrainConfig

CONFIG = TrainConfig(epochs=2, accumulate=2, clip_norm=0.5)
RATE = 5e-3


def tiny_config(**changes: Any) -> BertConfig:
    """Two layers of width 16; dropout as in BERT unless changed."""
    sizes = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    return BertConfig(**{**sizes, "intermediate_size": 32, "num_labels": 3, **changes})


def tiny_classifier(seed: int = 0, **changes: Any) -> BertForSequenceClassification:
    """A three-way classifier."""
    torch.manual_seed(seed)
    return BertForSequenceClassification(tiny_config(**changes))


def tiny_encoder(seed: int = 0, **changes: Any) -> BertModel:
    """An encoder without a head."""
    torch.manual_seed(seed)
    return BertModel(tiny_config(**changes))


def tiny_examples(count: int = 18, offset: int = 0) -> EncodedTexts:
    """Texts of 4 to 9 tokens with labels 0, 1, 2 that follow from the words."""
    ids = [
        [2, *(5 + (3 * row + 7 * place + row % 3) % 50 for place in range(2 + (row * 5 + offset) % 6)), 3]
        for row in range(count)
    ]
    return EncodedTexts(ids, [(row + offset) % 3 for row in range(count)])


def tiny_loader(count: int = 18, batch_size: int = 4, seed: int | None = 3, offset: int = 0) -> DataLoader:
    """A loader of tiny examples; 18 texts in batches of 4 make five batches, the last one short."""
    return make_loader(tiny_examples(count, offset), batch_size, seed=seed)


def tiny_batch(count: int = 6, labels: list[int] | None = None) -> Batch:
    """One padded batch, with labels of your own if you like."""
    examples = tiny_examples(count)
    rows = [examples[row] for row in range(count)]
    return pad_batch([{**row, "labels": labels[n]} if labels else row for n, row in enumerate(rows)])


def parameters_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A copy of all weights by name."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
