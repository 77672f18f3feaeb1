"""``python -m benchmarks.defaults FILE``: the study of what ``bertft train`` does by itself, on the texts of a file.

The stored studies stand on the bundled news. Here every seed draws other texts of the file to learn from, with each
class in its share, and a third as many to choose the best epoch by; texts that are never drawn judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import pandas as pd
import torch
import typer

from benchmarks.pairs import Row, own_process
from benchmarks.scores import SCORES, judge_scores, told_scores
from bertft_helpers.batching import EncodedTexts, encode_dataset
from bertft_helpers.cli.console import answer, reported, say
from bertft_helpers.cli.own_texts import Delimiter, Encoding, LabelColumn, NoHeader, Quoting, TextColumn
from bertft_helpers.data import clean
from bertft_helpers.errors import UserError
from bertft_helpers.own_texts.sources import load_source
from bertft_helpers.pretrained import load_tokenizer
from bertft_helpers.reading.report import Format
from bertft_helpers.runtime import quiet_libraries
from bertft_helpers.speed.choice import find_choice
from bertft_helpers.studies.defaults import CHANGES, CLASS_WEIGHTS, Default, Texts, measure_on

BEFORE = "as before"
ALL_CHANGES = {**CHANGES, "class weights": CLASS_WEIGHTS}
LEAST = 4  # texts of a class in what is drawn: three to learn from, one to choose by
MAX_LENGTH = 64  # tokens, as in the studies


@reported()
def defaults(
    data: Annotated[str, typer.Argument(metavar="FILE", help="Labelled texts, as for bertft train.")],
    text: TextColumn = "text",
    label: LabelColumn = "label",
    seeds: Annotated[int, typer.Option(min=2, help="Runs of every change.")] = 10,
    texts: Annotated[int, typer.Option(min=8, help="Texts to learn from; a third as many choose the epoch.")] = 64,
    judging: Annotated[int, typer.Option(min=20, help="Other texts that judge all runs.")] = 400,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    quoting: Quoting = "auto",
    no_header: NoHeader = False,
) -> None:
    """What changes of bertft train gain on these texts, over seeds, as Markdown."""
    quiet_libraries()
    dataset, reading = load_source(data, text, label, Format(encoding, delimiter, quoting, header=not no_header))
    for line in (reading.summary(), *reading.notes):
        say(line)
    kept = clean(dataset).kept
    names = kept.features["label"].names
    encoded = encode_dataset(kept, load_tokenizer("bundled"), MAX_LENGTH)
    order = np.random.default_rng(0).permutation(len(encoded))
    judges, others = chosen(encoded, order[:judging]), chosen(encoded, order[judging:])
    rows: list[Row] = []
    for seed in range(seeds):
        own = Texts(chosen(others, draw(others.labels, len(names), texts * 4 // 3, seed)), judges, names)
        with own_process() as process:
            rows += process.submit(run_changes, own, seed).result()
        say(f"seed {seed} of {seeds}: {rows[-1]['seconds']:.0f} s of processor time for the last run")
    for line in page(pd.DataFrame(rows), own).splitlines():
        answer(line)


def chosen(texts: EncodedTexts, rows: np.ndarray) -> EncodedTexts:
    """The texts of some rows."""
    return EncodedTexts([texts.input_ids[row] for row in rows], [texts.labels[row] for row in rows], texts.pad_id)


def draw(labels: Sequence[int], classes: int, count: int, seed: int) -> np.ndarray:
    """Rows of about ``count`` texts, each class in its share, but at least ``LEAST`` of every class.

    Raises UserError where there are too few.
    """
    generator, known = np.random.default_rng(seed), np.array(labels, dtype=int)
    there = np.bincount(known, minlength=classes)
    wanted = np.maximum(LEAST, np.rint(count * there / max(1, len(known))).astype(int))
    if (wanted > there).any():
        raise UserError(
            f"a class has only {there.min()} texts beside those that judge, and {wanted[there.argmin()]} are drawn: "
            "name a file with more, leave out small classes, or lower --texts or --judging"
        )
    rows = [generator.permutation(np.flatnonzero(known == number))[:own] for number, own in enumerate(wanted.tolist())]
    return np.concatenate(rows)


def run_changes(own: Texts, seed: int) -> list[Row]:
    """One row as ``bertft train`` does it, then one for each change."""
    here = find_choice(torch.device("cpu"))
    way = {"precision": here.precision, "masks": here.dropout, "first_token": here.first_token}
    rows: list[Row] = []
    for name, change in {BEFORE: {}, **ALL_CHANGES}.items():
        default = Default("the file's", None, **change)
        rows.append({"change": name, "seed": seed, **measure_on(own, default, seed, **way)})
    return rows


def page(rows: pd.DataFrame, own: Texts) -> str:
    """A table of means over seeds with Student's 95 % intervals, and what may be concluded, as Markdown."""
    counts = np.bincount(own.pool.labels)
    lines = [
        f"{len(own.pool)} texts of {len(own.names)} classes (the largest {counts.max()}, the smallest {counts.min()}), "
        f"drawn anew by each of {rows['seed'].nunique()} seeds, three quarters of each class to learn from; "
        f"{len(own.judging)} others judge.",
        *("", f"| change | {' | '.join(SCORES.values())} |", "|---|---|---|"),
    ]
    lines += [f"| {name} | {told} |" for name, told in told_scores(rows, "change").items()]
    pairs = [(name, BEFORE) for name in ALL_CHANGES]
    verdicts = judge_scores(rows, "change", pairs, lambda told, name, before: (f"{told} with {name}", before))
    return "\n".join([*lines, "", *(f"- {verdict}." for verdict in verdicts)])


if __name__ == "__main__":
    typer.run(defaults)
