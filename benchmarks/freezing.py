"""Train above a frozen part: cached outputs against the Trainer, which runs the frozen part in every step."""

from __future__ import annotations

import torch
from transformers import BertForSequenceClassification

from benchmarks.finetune import SHORT, Size, train_with_core, train_with_trainer
from benchmarks.material import BATCH_SIZE, LEARNING_RATE, examples, fresh_model, validation_accuracy
from benchmarks.pairs import OURS, Goal, Row, Stopwatch, Topic
from bertft_helpers.batching import EncodedTexts, make_loader
from bertft_helpers.features import cache_boundary
from bertft_helpers.first_token import use_all_tokens, use_first_token
from bertft_helpers.models import freeze
from bertft_helpers.runtime import mixed_precision
from bertft_helpers.speed.choice import find_choice
from bertft_helpers.speed.frozen import RowBatches, encode_pooled, head_loss, upper_loss
from bertft_helpers.speed.throughput import keep_freed_memory, quick_attention


def train_head(
    model: BertForSequenceClassification, train: EncodedTexts, size: Size, seed: int, precision: str
) -> None:
    """Train the head on what the base makes of the texts."""
    quick_attention(model, precision)
    with mixed_precision(torch.device("cpu"), getattr(torch, precision)):
        pooled = encode_pooled(model, train, batch_size=64)
    model.set_attn_implementation("sdpa")
    loss_fn = head_loss(pooled)
    batches = RowBatches(train, BATCH_SIZE, seed)
    train_with_core(model, batches, size["epochs"], loss_fn, size["learning_rate"])


def train_upper(
    model: BertForSequenceClassification, train: EncodedTexts, size: Size, seed: int, precision: str
) -> None:
    """Train the upper layers on what the lower ones make of the texts."""
    with mixed_precision(torch.device("cpu"), getattr(torch, precision)):
        cached = cache_boundary(model.bert, train, size["layers"])
    loss_fn = upper_loss(cached, size["layers"])
    loader = make_loader(train, BATCH_SIZE, seed=seed)
    train_with_core(model, loader, size["epochs"], loss_fn, size["learning_rate"], precision)


def core(size: Size, seed: int) -> Row:
    """The frozen part runs once, in the precision that is quick here; what it made is trained on."""
    keep_freed_memory()
    model, train = fresh_model(seed), examples("headline", "train", size["texts"], 64, seed)
    freeze(model, size["layers"])
    precision = find_choice(torch.device("cpu")).precision
    watch = Stopwatch(size["clock"])
    use_first_token(model)
    size["train"](model, train, size, seed, precision)
    use_all_tokens(model)
    seconds = watch.seconds
    return {"seconds": seconds, "accuracy": validation_accuracy(model, "headline", 64, size["validation"])}


def trainer(size: Size, seed: int) -> Row:
    """The Trainer on the same model with the same layers frozen."""
    model, train = fresh_model(seed), examples("headline", "train", size["texts"], 64, seed)
    freeze(model, size["layers"])
    watch = Stopwatch(size["clock"])
    train_with_trainer(model, train, size["epochs"], seed, size["learning_rate"])
    seconds = watch.seconds
    return {"seconds": seconds, "accuracy": validation_accuracy(model, "headline", 64, size["validation"])}


SIDES = {OURS: core, "Trainer, same layers frozen": trainer}
HEAD = {"texts": 480, "epochs": 10, "layers": None, "train": train_head, "learning_rate": 1e-2, "validation": 420}
HALF = {"texts": 320, "epochs": 3, "layers": 3, "train": train_upper, "learning_rate": LEARNING_RATE, "validation": 420}
TINY = {"texts": 16, "epochs": 1, "validation": 8}
TOPICS = [
    Topic(
        "head",
        "a head on the frozen base, 480 headlines, 10 epochs",
        HEAD,
        {**HEAD, **TINY},
        SIDES,
        [Goal("Trainer, same layers frozen", 25.0)],
        "two thirds in the one pass over the texts, two thirds of that in its products in 16 bits; the 300 steps of "
        "the head take 0.5 ms each: calls into torch, hardly a product",
    ),
    Topic(
        "half",
        "embeddings and the bottom three layers frozen, 320 headlines, 3 epochs",
        HALF,
        {**HALF, **TINY},
        SIDES,
        [Goal("Trainer, same layers frozen", 2.2)],
        f"the upper layers: {SHORT}",
    ),
]
