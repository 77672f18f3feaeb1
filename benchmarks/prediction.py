"""Predict texts of mixed lengths: the core against transformers' pipeline."""

from __future__ import annotations

import copy
import functools

import numpy as np
import torch
from transformers import BertForSequenceClassification, pipeline

from benchmarks.finetune import Size, train_with_core
from benchmarks.material import BATCH_SIZE, examples, fresh_model, label_names, parts, tokenizer
from benchmarks.pairs import OURS, Goal, Row, Stopwatch, Topic
from bertft_helpers.batching import make_loader
from bertft_helpers.inference import TextClassifier
from bertft_helpers.speed.choice import find_choice, use_process
from bertft_helpers.speed.throughput import quick_attention

VIEWS = ("headline", "lead", "story")


@functools.cache
def trained_model(texts: int) -> BertForSequenceClassification:
    """A classifier that has seen some headlines, the same in every process."""
    model = fresh_model(0)
    train_with_core(model, make_loader(examples("headline", "train", texts, 64), BATCH_SIZE, seed=0), 1)
    return model.eval()


@functools.cache
def mixed_texts(count: int, seed: int) -> tuple[list[str], np.ndarray]:
    """As many headlines as leads and whole stories, in random order, with their labels."""
    drawn = [parts(view)["train"].shuffle(seed=seed) for view in VIEWS]
    rows = [row for part in drawn for row in part.select(range(-(-count // len(VIEWS))))]
    chosen = [rows[number] for number in np.random.default_rng(seed).permutation(len(rows))[:count]]
    return [row["text"] for row in chosen], np.array([row["label"] for row in chosen])


def core(size: Size, seed: int) -> Row:
    """As ``bertft predict`` does it: sorted by length, in batches of as many tokens as pay here, [CLS] alone on top."""
    return _with_classifier(size, seed, "float32")


def core_in_16_bits(size: Size, seed: int) -> Row:
    """As ``bertft predict --precision bfloat16`` does it."""
    return _with_classifier(size, seed, "bfloat16")


def _with_classifier(size: Size, seed: int, precision: str) -> Row:
    choice = find_choice(torch.device("cpu"))
    use_process(choice)
    model, (texts, labels) = trained_model(size["trained_on"]), mixed_texts(size["texts"], seed)
    quick_attention(model, precision)
    classifier = TextClassifier(model, tokenizer(), 512, choice.token_budget, precision=precision)
    watch = Stopwatch(size["clock"])
    found = classifier.predict(texts)
    return _row(watch, np.array([list(one.probabilities.values()) for one in found]), labels)


def pipeline_of_32(size: Size, seed: int) -> Row:
    """The pipeline with batches of 32 texts in the order given."""
    return _with_pipeline(trained_model(size["trained_on"]), size, seed)


def pipeline_in_16_bits(size: Size, seed: int) -> Row:
    """The same with all of the model in bfloat16."""
    return _with_pipeline(copy.deepcopy(trained_model(size["trained_on"])).to(torch.bfloat16), size, seed)


def _with_pipeline(model: BertForSequenceClassification, size: Size, seed: int) -> Row:
    texts, labels = mixed_texts(size["texts"], seed)
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer(), device=torch.device("cpu"))
    watch = Stopwatch(size["clock"])
    answers = classify(texts, batch_size=32, truncation=True, max_length=512, top_k=None)
    by_name = [{answer["label"]: answer["score"] for answer in answers_of_text} for answers_of_text in answers]
    probabilities = np.array([[scores[name] for name in label_names()] for scores in by_name])
    return _row(watch, probabilities, labels)


def _row(watch: Stopwatch, probabilities: np.ndarray, labels: np.ndarray) -> Row:
    seconds, found = watch.seconds, probabilities.argmax(axis=1)
    accuracy = float((found == labels).mean())
    return {"seconds": seconds, "accuracy": accuracy, "probabilities": probabilities, "labels": found}


WITH_PIPELINES = {
    OURS: core,
    f"{OURS}, bfloat16": core_in_16_bits,
    "pipeline(batch_size=32)": pipeline_of_32,
    "pipeline(batch_size=32), bfloat16": pipeline_in_16_bits,
}
TOPICS = [
    Topic(
        "predict",
        "predict 2,000 texts: headlines, leads, stories cut at 512 tokens",
        {"texts": 2000, "trained_on": 160},
        {"texts": 12, "trained_on": 160},
        WITH_PIPELINES,
        [Goal("pipeline(batch_size=32)", 5.5, amx=6.0)],
        "two thirds in the products of the linear layers, a fifth in attention; the pipeline pads nearly every "
        "batch to 512 tokens and computes 3.6 for each real one, sorted by length there is hardly any padding, and "
        "the top layer computes [CLS] alone; products in 16 bits would be quicker, but their probabilities are not "
        "equal to 1e-4, so they are an option",
        same={"labels": 0, "probabilities": 1e-4},
        needs_bfloat16=[f"{OURS}, bfloat16", "pipeline(batch_size=32), bfloat16"],
    )
]
