"""``python -m benchmarks.long_texts``: does it pay to read whole stories in windows, on the bundled news?

Two questions about the same stories: their desk, which many words tell, and whether they name an amount of money, which
a phrase anywhere tells (the signs are taken out, as in lesson A6). A frozen encoder's mean vectors go to a logistic
regression; every story is judged by one that has learned from the other four fifths. Ways are compared by McNemar's
exact test on the same stories; mean and max are ways to pool the vectors of windows. With ``--seeds`` BERT is
fine-tuned instead, by ``bertft train`` with and without windows, and every seed divides the stories anew.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.material import parts, tokenizer
from benchmarks.pairs import Row, own_process
from benchmarks.scores import SCORES, judge_scores, told_scores
from bertft_helpers.batching import EncodedTexts, encode, truncate
from bertft_helpers.metrics import accuracy, mcnemar
from bertft_helpers.own_texts.baselines import mean_vectors
from bertft_helpers.own_texts.run import train_classifier
from bertft_helpers.own_texts.settings import WINDOWS as IN_WINDOWS
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
    parser.add_argument("--seeds", type=int, help="fine-tune BERT, with this many seeds")
    asked = parser.parse_args(arguments)
    print(table(asked.stories) if asked.seeds is None else fine_tuned(asked.stories, asked.seeds))


def table(count: int) -> str:
    """Accuracies of every way to read ``count`` stories, as Markdown, with what they are measured on."""
    stories, labels = questions(count)
    encoded = encode(stories, tokenizer())
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


def questions(count: int) -> tuple[list[str], dict[str, np.ndarray]]:
    """Stories without their signs of money, and the right answers by question ``[stories]``."""
    stories, desks = draw(count)
    money = [int(bool(MONEY.search(story))) for story in stories]
    return [SIGNS.sub("", story) for story in stories], {"desk": np.array(desks), "money": np.array(money)}


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


def fine_tuned(count: int, seeds: int) -> str:
    """Scores on the test texts of BERT fine-tuned on ``count`` stories, cut and in windows, as Markdown."""
    stories, labels = questions(count)
    rows: list[Row] = []
    for question, right in labels.items():
        for seed in range(seeds):
            for read in (USUAL, IN_WINDOWS):
                with own_process() as process:
                    scores = process.submit(train_on, stories, [f"{label}" for label in right], read, seed).result()
                rows.append({"way": f"{question}, {read}", "seed": seed, **scores})
    table_of_rows = pd.DataFrame(rows)
    lines = [f"| question, read | {' | '.join(SCORES.values())} |", "|---|---|---|"]
    lines += [f"| {way} | {told} |" for way, told in told_scores(table_of_rows, "way").items()]
    pairs = [(f"{question}, {IN_WINDOWS}", f"{question}, {USUAL}") for question in labels]
    verdicts = judge_scores(table_of_rows, "way", pairs, lambda told, one, other: (f"{told} of {one}", other))
    return "\n".join([*lines, "", *(f"- {verdict}." for verdict in verdicts)])


def train_on(stories: Sequence[str], labels: Sequence[str], policy: str, seed: int) -> dict[str, float]:
    """Both scores on the test part of what ``bertft train`` has fine-tuned, whether or not a baseline did better."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "stories.csv")
        pd.DataFrame({"text": stories, "label": labels}).to_csv(path, index=False)
        results = train_classifier(
            path, Path(folder, "run"), policy=policy, max_length=WINDOWS.max_length, seed=seed, on_note=lambda _: None
        )
    assert results is not None  # this process is the first
    return {score: results["fine_tuned"][score] for score in SCORES}


if __name__ == "__main__":
    main()
