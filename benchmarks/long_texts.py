"""``python -m benchmarks.long_texts``: does it pay to read whole stories in windows, on the bundled news?

Two questions about the same stories: their desk, which many words tell, and whether they name an amount of money, which
a phrase anywhere tells (the signs are taken out, as in lesson A6). A frozen encoder's mean vectors go to a logistic
regression; every story is judged by one that has learned from the other four fifths. Ways are compared by McNemar's
exact test on the same stories; mean and max are ways to pool the vectors of windows.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from random import Random

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.material import parts, tokenizer
from bertft_helpers.batching import EncodedTexts, encode, truncate
from bertft_helpers.metrics import accuracy, mcnemar
from bertft_helpers.own_texts.baselines import mean_vectors
from bertft_helpers.own_texts.whole_texts import WindowSize
from bertft_helpers.pretrained import load_encoder
from bertft_helpers.speed.choice import find_choice
from bertft_helpers.windows import pool_windows

WINDOWS = WindowSize(256, 32)
USUAL = "head+tail"
MONEY, SIGNS = re.compile(r"[£$€](?=\s?\d)"), re.compile(r"[£$€%?]")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.long_texts", description=__doc__)
    parser.add_argument("--stories", type=int, default=600)
    print(table(parser.parse_args(arguments).stories))


def table(count: int) -> str:
    """Accuracies of every way to read ``count`` stories, as Markdown, with what they are measured on."""
    stories, desks = draw(count)
    labels = {"desk": np.array(desks), "money": np.array([int(bool(MONEY.search(story))) for story in stories])}
    encoded = encode([SIGNS.sub("", story) for story in stories], tokenizer())
    long = np.array([len(ids) for ids in encoded]) > WINDOWS.max_length
    vectors = vectors_by_way(encoded)
    lines = [f"{count} stories, {long.mean():.0%} of them longer than {WINDOWS.max_length} tokens", ""]
    lines += [
        "| question | read | accuracy | of the longer | p against head+tail | p against mean |",
        "|---|---|---|---|---|---|",
    ]
    for question, right in labels.items():
        answers = {way: judged(own, right) for way, own in vectors.items()}
        for way, own in answers.items():
            chances = (f"{mcnemar(right, own, answers[other]):.2g}" for other in (USUAL, "mean"))
            scores = f"{accuracy(right, own):.3f} | {accuracy(right[long], own[long]):.3f}"
            lines.append(f"| {question} | {way} | {scores} | {' | '.join(chances)} |")
    return "\n".join(lines)


def draw(count: int) -> tuple[list[str], list[int]]:
    """Stories of the training part, whole, and their desks; always the same."""
    pool = parts("story")["train"]
    rows = list(range(len(pool)))
    Random(0).shuffle(rows)
    chosen = pool.select(rows[:count])
    return list(chosen["text"]), list(chosen["label"])


def vectors_by_way(encoded: Sequence[list[int]]) -> dict[str, np.ndarray]:
    """One vector a text ``[texts, width]``, by what is read of it and how the vectors of windows are pooled."""
    encoder, precision = load_encoder("bundled"), find_choice(torch.device("cpu")).precision
    whole = EncodedTexts(list(encoded), [0] * len(encoded))
    found = {}
    for policy in ("head", USUAL):
        cut = [truncate(ids, WINDOWS.max_length, policy) for ids in encoded]
        found[policy] = mean_vectors(encoder, EncodedTexts(cut, whole.labels), precision)
    apart, counts = WINDOWS.apart(whole)
    windows = torch.from_numpy(mean_vectors(encoder, apart, precision))
    return found | {pooling: pool_windows(windows, counts, pooling).numpy() for pooling in ("mean", "max")}


def judged(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The class of every text, by a regression that has not seen it."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    return cross_val_predict(model, vectors, labels, cv=StratifiedKFold(5, shuffle=True, random_state=0))


if __name__ == "__main__":
    main()
