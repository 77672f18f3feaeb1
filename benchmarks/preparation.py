"""Clean, split and encode up to 100,000 texts: all at once against one text at a time."""

from __future__ import annotations

import functools

from datasets import Dataset

from benchmarks.finetune import Size
from benchmarks.material import parts, tokenizer
from benchmarks.pairs import OURS, Goal, Row, Stopwatch, Topic
from bertft_helpers.batching import encode_dataset, truncate
from bertft_helpers.data import clean, repair, split
from bertft_helpers.runtime import peak_memory_mb, reset_peak_memory


@functools.cache
def distinct_texts(count: int) -> Dataset:
    """``count`` texts that differ from each other, each made of two headlines; few are as long as many on average."""
    news = parts("headline")["train"]
    texts, labels = list(news["text"]), list(news["label"])
    rounds = [divmod(number, len(texts)) for number in range(count)]  # each round pairs every headline with a later one
    pairs = [(first, (first + distance + 1) % len(texts)) for distance, first in rounds]
    rows = [(f"{first}/{second}", f"{texts[first]}. {texts[second]}", labels[second]) for first, second in pairs]
    ids, texts, labels = (list(column) for column in zip(*rows, strict=True))
    return Dataset.from_dict({"id": ids, "text": texts, "label": labels}, features=news.features)


def core(size: Size, seed: int) -> Row:
    """Clean, split and encode all texts."""
    return _prepare(size["count"], 1, size["clock"], seed)


def core_tenth(size: Size, seed: int) -> Row:
    """A tenth of the texts, ten times."""
    return _prepare(size["count"] // 10, 10, size["clock"], seed)


def core_hundredth(size: Size, seed: int) -> Row:
    """A hundredth of the texts, a hundred times."""
    return _prepare(size["count"] // 100, 100, size["clock"], seed)


def _prepare(count: int, times: int, clock: str, seed: int) -> Row:
    dataset = distinct_texts(count)
    reset_peak_memory()
    before = peak_memory_mb()
    watch = Stopwatch(clock)
    encoded = [encode_dataset(part, tokenizer(), 64) for part in split(clean(dataset).kept, seed).values()]
    seconds = watch.seconds
    figures = {
        "µs per text": seconds / sum(len(part) for part in encoded) * 1e6,
        "MB more at the peak": peak_memory_mb() - before,
    }
    return {"seconds": seconds * times, "figures": figures}


def one_at_a_time(size: Size, seed: int) -> Row:
    """A loop over the largest number of texts: repair, drop what was seen, encode, cut."""
    dataset, encode = distinct_texts(size["count"]), tokenizer()
    watch = Stopwatch(size["clock"])
    seen, encoded = set(), []
    for row in dataset:
        text = repair(row["text"])
        if text and text not in seen:
            seen.add(text)
            encoded.append((truncate(encode(text)["input_ids"], 64), row["label"]))
    return {"seconds": watch.seconds}


TOPICS = [
    Topic(
        "prepare",
        "clean, split and encode 100,000 texts of two headlines",
        {"count": 100_000},
        {"count": 10_000},
        {
            OURS: core,
            "ten times 10,000 texts": core_tenth,
            "a hundred times 1,000 texts": core_hundredth,
            "one text at a time, without a split": one_at_a_time,
        },
        [Goal("ten times 10,000 texts", 0.9), Goal("a hundred times 1,000 texts", 0.9)],
        "the tokenizer, a third in tables; 1.0 against smaller tables means that time is linear in the number of texts",
    )
]
