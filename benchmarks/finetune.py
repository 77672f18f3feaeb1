"""Fine-tune: the core against transformers' Trainer and the usual tutorial loop."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from datasets import Dataset
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from transformers import (
    BertForSequenceClassification,
    DataCollatorWithPadding,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    get_linear_schedule_with_warmup,
)

from benchmarks.material import (
    BATCH_SIZE,
    LEARNING_RATE,
    WARMUP_SHARE,
    WEIGHT_DECAY,
    examples,
    fresh_model,
    tokenizer,
    validation_accuracy,
)
from benchmarks.multiplications import operations, share_of_speed
from benchmarks.pairs import OURS, Goal, Row, Stopwatch, Topic
from bertft_helpers.batching import EncodedTexts, make_loader, pad_batch
from bertft_helpers.config import TrainConfig
from bertft_helpers.losses import LossFn, classification_loss
from bertft_helpers.optim import build_optimizer
from bertft_helpers.speed.choice import EXACT, Choice, find_choice, set_up, take_down
from bertft_helpers.speed.frozen import RowBatches
from bertft_helpers.speed.vocabulary import CompactEmbedding, compact_vocabulary, restore_vocabulary
from bertft_helpers.training import train_epoch

Size = Mapping[str, Any]


def train_with_core(
    model: nn.Module,
    loader: DataLoader | RowBatches,
    epochs: int,
    loss_fn: LossFn = classification_loss,
    learning_rate: float = LEARNING_RATE,
    precision: str = "float32",
) -> None:
    """One step of the lessons after the other."""
    config = TrainConfig(precision=precision)
    optimizer, schedule = build_optimizer(model, learning_rate, epochs * len(loader), WEIGHT_DECAY, WARMUP_SHARE)
    for module in model.modules():
        if isinstance(module, CompactEmbedding):
            module.follow(optimizer)
    for epoch in range(epochs):
        loader.batch_sampler.set_epoch(epoch)
        train_epoch(model, loader, optimizer, schedule, config, loss_fn)


def core(size: Size, seed: int) -> Row:
    """As ``bertft train`` does it: in the way that a trial finds to be quick here."""
    return _train(size, seed, find_choice(torch.device("cpu")))


def core_exact(size: Size, seed: int) -> Row:
    """As ``bertft train --exact`` does it: buckets, compact vocabulary, kept memory, which change no number."""
    return _train(size, seed, EXACT)


def _train(size: Size, seed: int, choice: Choice) -> Row:
    model, train = fresh_model(seed), _train_texts(size, seed)
    loader = make_loader(train, BATCH_SIZE, seed=seed)
    watch = Stopwatch(size["clock"])
    compact_vocabulary(model, train.input_ids)
    set_up(model, choice, seed)
    train_with_core(model, loader, size["epochs"], precision=choice.precision)
    take_down(model)
    restore_vocabulary(model)
    row = _row(watch, model, size)
    done = size["epochs"] * sum(
        operations(model.config, *batch["input_ids"].shape, choice.first_token) for batch in loader
    )
    return {**row, "figures": share_of_speed(done, row["seconds"], choice.precision, size["clock"])}


def train_with_trainer(
    model: BertForSequenceClassification,
    train: EncodedTexts,
    epochs: int,
    seed: int,
    learning_rate: float = LEARNING_RATE,
    pad_to: int | None = None,
    **changed: Any,
) -> None:
    """transformers' Trainer as it comes: fused AdamW, padding per batch (or to ``pad_to``), texts in random order."""
    columns = {
        "input_ids": train.input_ids,
        "attention_mask": [[1] * length for length in train.lengths],
        "labels": train.labels,
    }
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            folder,
            num_train_epochs=epochs,
            per_device_train_batch_size=BATCH_SIZE,
            learning_rate=learning_rate,
            weight_decay=WEIGHT_DECAY,
            warmup_steps=WARMUP_SHARE,
            seed=seed,
            use_cpu=True,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            **changed,
        )
        padding = {"padding": True} if pad_to is None else {"padding": "max_length", "max_length": pad_to}
        collator = DataCollatorWithPadding(tokenizer(), **padding)
        trainer = Trainer(model, settings, data_collator=collator, train_dataset=Dataset.from_dict(columns))
        trainer.remove_callback(PrinterCallback)  # it prints a line at the end of training
        trainer.train()


def trainer(size: Size, seed: int) -> Row:
    """The Trainer at its defaults."""
    return _with_trainer(size, seed)


def trainer_in_16_bits(size: Size, seed: int) -> Row:
    """The Trainer with ``bf16=True``."""
    return _with_trainer(size, seed, bf16=True)


def trainer_by_length(size: Size, seed: int) -> Row:
    """The Trainer with texts of similar length in a batch."""
    return _with_trainer(size, seed, train_sampling_strategy="group_by_length")


def trainer_padded(size: Size, seed: int) -> Row:
    """The Trainer with every text padded to 128 tokens, as transformers' run_classification.py does by default."""
    return _with_trainer(size, seed, pad_to=128)


def _with_trainer(size: Size, seed: int, **changed: Any) -> Row:
    model, train = fresh_model(seed), _train_texts(size, seed)
    watch = Stopwatch(size["clock"])
    train_with_trainer(model, train, size["epochs"], seed, **changed)
    return _row(watch, model, size)


def tutorial_loop(size: Size, seed: int) -> Row:
    """The loop of most tutorials: every text padded to 128 tokens, AdamW as it comes."""
    model, train = fresh_model(seed), _train_texts(size, seed)
    watch = Stopwatch(size["clock"])
    texts = [{"input_ids": ids, "labels": label} for ids, label in zip(train.input_ids, train.labels, strict=True)]
    batch = pad_batch([*texts, {"input_ids": [0] * 128, "labels": 0}])
    tensors = [batch[name][: len(train)] for name in ("input_ids", "attention_mask", "labels")]
    loader = DataLoader(TensorDataset(*tensors), batch_size=BATCH_SIZE, shuffle=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    total = size["epochs"] * len(loader)
    schedule = get_linear_schedule_with_warmup(optimizer, int(WARMUP_SHARE * total), total)
    model.train()
    for _ in range(size["epochs"]):
        for input_ids, attention_mask, labels in loader:
            optimizer.zero_grad()
            model(input_ids=input_ids, attention_mask=attention_mask, labels=labels).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    return _row(watch, model, size)


def _train_texts(size: Size, seed: int) -> EncodedTexts:
    return examples(size["view"], "train", size["texts"], size["max_length"], seed)


def _row(watch: Stopwatch, model: BertForSequenceClassification, size: Size) -> Row:
    seconds = watch.seconds
    accuracy = validation_accuracy(model, size["view"], size["max_length"], size["validation"])
    return {"seconds": seconds, "accuracy": accuracy}


SHORT = (
    "without mixed precision two thirds in the products of the linear layers, 7 % AdamW, 4 % norm and clip, 3 % "
    "dropout; length buckets leave 1 % of padding, the Trainer 25 %"
)
LONG = "products of the linear layers and attention; plain dropout drew random numbers for a fifth of a step"
EXACTLY = f"{OURS}, exact"
IN_16_BITS = "Trainer, bf16"
TRAINERS = {"Trainer": trainer, IN_16_BITS: trainer_in_16_bits, "Trainer, grouped by length": trainer_by_length}
WITH_TRAINERS = {OURS: core, EXACTLY: core_exact, **TRAINERS}
PADDED = {"tutorial loop padded to 128": tutorial_loop, "Trainer padded to 128, as run_classification": trainer_padded}


def _size(view: str, max_length: int, texts: int, epochs: int, validation: int) -> Row:
    names = ("view", "max_length", "texts", "epochs", "validation")
    return dict(zip(names, (view, max_length, texts, epochs, validation), strict=True))


def _topic(name: str, work: str, size: Row, goals: Sequence[Goal], spent: str) -> Topic:
    tiny = {**size, "texts": 16, "epochs": 1, "validation": 8}
    return Topic(name, work, size, tiny, WITH_TRAINERS, goals, spent, needs_bfloat16=[IN_16_BITS])


HEADLINES = _size("headline", 64, 400, 2, 420)
TUTORIAL = {**HEADLINES, "texts": 160}
TOPICS = [
    _topic(
        "headlines",
        "fine-tune on 400 headlines, 2 epochs",
        HEADLINES,
        [Goal("Trainer", 2.5, amx=4.0), Goal("Trainer, grouped by length", 1.5)],
        SHORT,
    ),
    _topic(
        "leads",
        "fine-tune on 160 headlines with leads, 2 epochs",
        _size("headline+lead", 128, 160, 2, 200),
        [Goal("Trainer", 2.0), Goal("Trainer, grouped by length", 1.5)],
        LONG,
    ),
    _topic(
        "stories",
        "fine-tune on 96 stories cut at 256 tokens, 1 epoch",
        _size("story", 256, 96, 1, 60),
        [Goal("Trainer", 1.3), Goal("Trainer, grouped by length", 1.2)],
        LONG,
    ),
    Topic(
        "tutorial",
        "fine-tune on 160 headlines, 2 epochs",
        TUTORIAL,
        {**TUTORIAL, "texts": 16, "epochs": 1, "validation": 16},
        {OURS: core, **PADDED},
        [Goal("tutorial loop padded to 128", 6.0)],
        "93 % of what the tutorial's loop multiplies is padding",
    ),
]
