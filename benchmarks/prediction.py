"""Predict texts of mixed lengths: the core against transformers' pipeline."""

from __future__ import annotations

import functools

import numpy as np
import torch
from transformers import BertForSequenceClassification, pipeline

from benchmarks.finetune import Size, train_with_core
from benchmarks.material import BATCH_SIZE, examples, fresh_model, label_names, parts, tokenizer
from benchmarks.pairs import OURS, Goal, Row, Stopwatch, Topic
from bertft_helpers.batching import make_loader
from bertft_helpers.first_token import use_all_tokens, use_first_token
from bertft_helpers.inference import text_logits
from bertft_helpers.speed.throughput import keep_freed_memory

VIEWS = ("headline", "lead", "story")


@functools.cache
def trained_model(texts: int) -> BertForSequenceClassification:
    """A classifier that has seen some headlines, the same in every process."""
    model = fresh_model(0)
    train_with_core(model, make_loader(examples("headline", "train", texts, 64), BATCH_SIZE, seed=0), 1)
    return model.eval()


@functools.cache
def mixed_texts(count: int, seed: int) -> list[str]:
    """As many headlines as leads and whole stories, in random order."""
    by_view = [list(parts(view)["train"].shuffle(seed=seed)["text"][: -(-count // len(VIEWS))]) for view in VIEWS]
    mixed = [text for texts in by_view for text in texts]
    return [mixed[row] for row in np.random.default_rng(seed).permutation(len(mixed))[:count]]


def core(size: Size, seed: int) -> Row:
    """Sorted by length, in batches of at most 1,024 tokens, without autograd; the top layer computes [CLS] alone."""
    keep_freed_memory()
    model, texts = trained_model(size["trained_on"]), mixed_texts(size["texts"], seed)
    watch = Stopwatch(size["clock"])
    use_first_token(model)
    probabilities = text_logits(model, tokenizer(), texts, max_length=512).softmax(dim=1)
    use_all_tokens(model)
    return _row(watch, probabilities.numpy())


def pipeline_of_32(size: Size, seed: int) -> Row:
    """The pipeline with batches of 32 texts in the order given."""
    model, texts = trained_model(size["trained_on"]), mixed_texts(size["texts"], seed)
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer(), device=torch.device("cpu"))
    watch = Stopwatch(size["clock"])
    answers = classify(texts, batch_size=32, truncation=True, max_length=512, top_k=None)
    by_name = [{answer["label"]: answer["score"] for answer in answers_of_text} for answers_of_text in answers]
    return _row(watch, np.array([[scores[name] for name in label_names()] for scores in by_name]))


def _row(watch: Stopwatch, probabilities: np.ndarray) -> Row:
    seconds = watch.seconds
    return {"seconds": seconds, "probabilities": probabilities, "labels": probabilities.argmax(axis=1)}


TOPICS = [
    Topic(
        "predict",
        "predict 2,000 texts: headlines, leads, stories cut at 512 tokens",
        {"texts": 2000, "trained_on": 160},
        {"texts": 12, "trained_on": 160},
        {OURS: core, "pipeline(batch_size=32)": pipeline_of_32},
        [Goal("pipeline(batch_size=32)", 5.5)],
        "two thirds in the products of the linear layers, a fifth in attention; the pipeline pads nearly every "
        "batch to 512 tokens and computes 3.6 for each real one, sorted by length there is hardly any padding, and "
        "the top layer computes [CLS] alone; both sides' products run near this processor's peak: what goes beyond "
        "that would need products in 16 bits, whose probabilities are not equal to 1e-4",
        same={"labels": 0, "probabilities": 1e-4},
    )
]
