"""``python -m benchmarks.peers FILE``: ``bertft train`` against what else one would train on the texts of a file.

Every seed divides the texts anew, as ``bertft train`` does; all methods learn from the same training texts and answer
the same test texts, each in a process of its own. Nothing is downloaded that the checkpoint does not need.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
from collections.abc import Iterator, Sequence
from typing import Annotated

import pandas as pd
import typer

from benchmarks.pairs import Row, own_process
from benchmarks.recipes import (
    OURS,
    PADDED_TO,
    PAIRS_A_TEXT,
    RECIPES,
    SCRIPT,
    SETFIT,
    SVM,
    Division,
    division_of,
    measure,
)
from benchmarks.scores import SCORES, judge_scores, told_scores
from bertft_helpers.cli.console import answer, reported, say
from bertft_helpers.cli.own_texts import Delimiter, Encoding, LabelColumn, NoHeader, Quoting, TextColumn
from bertft_helpers.errors import first_line
from bertft_helpers.own_texts.prepared import PARTS, SMALL_TEST, prepare_for
from bertft_helpers.own_texts.settings import TaskSettings
from bertft_helpers.own_texts.sources import load_source
from bertft_helpers.pretrained import load_tokenizer
from bertft_helpers.reading.report import Format
from bertft_helpers.runtime import quiet_libraries
from bertft_helpers.studies.summaries import Verdict

CAVEAT = (
    "Intervals are over seeds. The divisions share texts, so they are somewhat too narrow for texts that nobody has "
    "seen."
)
FEW_TEXTS = (
    "A score on {count} test texts is coarse: two methods can agree to the last digit by luck, and only large "
    "differences show."
)


@reported()
def peers(
    data: Annotated[str, typer.Argument(metavar="FILE", help="Labelled texts, as for bertft train.")],
    text: TextColumn = "text",
    label: LabelColumn = "label",
    seeds: Annotated[int, typer.Option(min=2, help="Divisions of the texts, and runs of every method.")] = 3,
    checkpoint: Annotated[str, typer.Option(help="bundled, bert-base-uncased, or a local folder.")] = "bundled",
    max_length: Annotated[
        int, typer.Option(min=8, max=512, help="Tokens of a text that bertft train and SetFit read.")
    ] = TaskSettings.max_length,
    skip_small_classes: Annotated[
        bool, typer.Option("--skip-small-classes", help="Leave out classes of fewer than 3 texts.")
    ] = False,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    quoting: Quoting = "auto",
    no_header: NoHeader = False,
) -> None:
    """Accuracy, macro F1 and processor time of bertft train and its peers on the same texts, as Markdown."""
    quiet_libraries()
    settings = TaskSettings(
        data,
        text_column=text,
        label_column=label,
        checkpoint=checkpoint,
        max_length=max_length,
        skip_small_classes=skip_small_classes,
        how=Format(encoding, delimiter, quoting, header=not no_header),
    )
    missing = why_without_setfit()
    methods = [method for method in RECIPES if method != SETFIT or not missing]
    rows, given = run_seeds(settings, seeds, methods)
    for line in page(rows, given, max_length, missing).splitlines():
        answer(line)


def why_without_setfit() -> str:
    """Why SetFit cannot be compared; empty where it can."""
    try:
        importlib.import_module("setfit")
    except ImportError as error:  # it is not there, or does not fit the transformers that is
        return first_line(error)
    return ""


def run_seeds(settings: TaskSettings, seeds: int, methods: Sequence[str]) -> tuple[pd.DataFrame, Division]:
    """The rows of all methods with the seeds from 0 on, and the division of the last of these.

    Raises UserError for texts that ``bertft train`` refuses, before anything is trained.
    """
    dataset, reading = load_source(settings.source, settings.text_column, settings.label_column, settings.how)
    tokenizer = load_tokenizer(settings.checkpoint)
    max_length = min(settings.max_length, tokenizer.model_max_length)
    for line in (reading.summary(), *reading.notes):
        say(line)
    rows: list[Row] = []
    for seed in range(seeds):
        own = dataclasses.replace(settings, seed=seed)
        given = division_of(prepare_for(own, dataset, tokenizer, max_length))
        for method in methods:
            say(f"seed {seed}: {method}")
            recipe = RECIPES[method]
            if method == SETFIT:
                recipe = functools.partial(recipe, seconds=_seconds(rows, OURS, seed))
            with own_process() as process:
                rows += process.submit(measure, recipe, own, given).result()
    return pd.DataFrame(rows), given


def _seconds(rows: Sequence[Row], method: str, seed: int) -> float:
    return next(row["seconds"] for row in rows if (row["method"], row["seed"]) == (method, seed))


def page(rows: pd.DataFrame, given: Division, max_length: int = TaskSettings.max_length, missing: str = "") -> str:
    """A table of the methods, what may be concluded, and what must be known to read it, as Markdown."""
    return "\n".join([_about(rows, given), "", *_table(rows), "", *_findings(rows, given, max_length, missing)])


def _about(rows: pd.DataFrame, given: Division) -> str:
    train, validation, test = (len(given.texts[part]) for part in PARTS)
    return (
        f"{train + validation + test} texts of {len(given.label_names)} classes, divided anew by each of "
        f"{rows['seed'].nunique()} seeds: {train} to train on, {validation} to choose by, {test} to test on."
    )


def _table(rows: pd.DataFrame) -> Iterator[str]:
    """Means over the seeds with Student's 95 % intervals, and median seconds."""
    yield f"| method | {' | '.join(SCORES.values())} | seconds of processor time |"
    yield "|---|---|---|---:|"
    seconds = rows.groupby("method", sort=False)["seconds"].median()
    for method, told in told_scores(rows, "method").items():
        yield f"| {method} | {told} | {seconds[method]:.3g} |"


def _findings(rows: pd.DataFrame, given: Division, max_length: int, missing: str) -> Iterator[str]:
    yield from (f"- {verdict}." for verdict in _verdicts(rows))
    saved = rows[rows["method"] == OURS]["saved"].value_counts()
    yield f"- `bertft train` saved {', '.join(f'{name} ({count} x)' for name, count in saved.items())}."
    yield f"- {_about_time(rows)}"
    yield f"- Of a text {max_length} tokens at most are read, by {SCRIPT} the first {PADDED_TO}."
    yield f"- {CAVEAT}"
    if len(given.labels["test"]) < SMALL_TEST:
        yield f"- {FEW_TEXTS.format(count=len(given.labels['test']))}"
    if "pairs" in rows:
        yield f"- {_about_pairs(rows['pairs'].dropna())}"
    if missing:
        yield f"- {SETFIT} was left out ({missing}); `pip install setfit` brings it."


def _verdicts(rows: pd.DataFrame) -> list[Verdict]:
    """Both scores of what ``bertft train`` saves against those of every peer: one family."""
    peers = [method for method in rows["method"].unique() if method in RECIPES and method != OURS]
    pairs = [(OURS, peer) for peer in peers]
    return judge_scores(rows, "method", pairs, lambda told, ours, peer: (f"{told} of {ours}", f"that of {peer}"))


def _about_time(rows: pd.DataFrame) -> str:
    seconds = rows.pivot(index="seed", columns="method", values="seconds")
    share = (seconds[SVM] / seconds[OURS]).max()
    took = "at most" if share <= 1 else "MORE TIME, up to"
    return (
        f"{SVM} took {took} {share:.1%} of the processor time of `{OURS}` with the same seed. Seconds are of learning "
        f"and answering; those of `{OURS}`, a whole command, also of reading, three baselines, temperature and report."
    )


def _about_pairs(shares: pd.Series) -> str:
    return (
        f"{SETFIT} was given the processor time of `{OURS}` with the same seed: enough for {shares.min():.0%} to "
        f"{shares.max():.0%} of its {PAIRS_A_TEXT} pairs a text."
    )


if __name__ == "__main__":
    typer.run(peers)
