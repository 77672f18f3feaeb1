"""Everything people hand in: read as it is meant, and said; or refused with rows, values and what to do."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from inputs import files, several, values
from inputs.contents import numbered_parquet
from inputs.readable import READ

from bertft_helpers.batching import encode_dataset
from bertft_helpers.data import load_texts, read_texts
from bertft_helpers.errors import UserError
from bertft_helpers.pretrained import load_tokenizer
from bertft_helpers.reading import containers
from bertft_helpers.reading.damage import MISREAD
from bertft_helpers.reading.report import Format
from bertft_helpers.tables import read_table

REFUSED = values.REFUSED | files.REFUSED | several.REFUSED


@pytest.mark.parametrize("name", READ)
def test_what_people_have_is_read_as_it_is_meant_and_said(name: str, tmp_path: Path) -> None:
    files, known, rows, said = READ[name]
    for place, content in files.items():
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_bytes(content)
    known = dict(known)
    source = known.pop("source", next(iter(files)) if len(files) == 1 else ".")
    columns = known.pop("columns", ("text", "label"))
    dataset, reading = read_texts((tmp_path / source).resolve(), *columns, Format(**known))
    names = dataset.features["label"].names
    assert [(row["text"], names[row["label"]]) for row in dataset] == rows
    told = " ".join([reading.summary(), *reading.notes])
    assert [part for part in said if part not in told] == [], told
    assert reading.rows == len(rows)


def test_every_kind_of_file_that_is_read_is_counted(report: Callable[[str, object], None]) -> None:
    report("kinds of awkward input read right, and said", len(READ))


@pytest.mark.parametrize("text", ["SÃO PAULO", "Ângelo", "CAFÉ”", "Spaß”", "café»…", "Ñandú – “ok”", "день"])
def test_letters_that_are_meant_are_no_damage(text: str) -> None:
    assert MISREAD.search(text) is None


def test_a_pipe_in_a_class_folder_is_not_waited_for(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.txt").write_text(name)
    os.mkfifo(tmp_path / "x" / "2.txt")
    _, reading = read_texts(tmp_path)
    assert any("1 pipes, devices or broken links left out" in note for note in reading.notes)


def test_load_texts_warns_of_what_it_had_to_guess(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_bytes(b"text,label\n\xa35,x\nb,y\n")
    with pytest.warns(UserWarning, match=r"row 2 of n\.csv is not valid UTF-8"):
        load_texts(tmp_path / "n.csv")


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_in_words_that_help(name: str, tmp_path: Path) -> None:
    provoke, kind, parts = REFUSED[name]
    with pytest.raises(kind) as refusal:
        provoke(tmp_path)
    message = str(refusal.value)
    assert [part for part in parts if part not in message] == [], message


def test_there_are_at_least_forty_cases(report: Callable[[str, object], None]) -> None:
    assert len(REFUSED) >= 40
    report("kinds of bad input refused in words that help", len(REFUSED))


def test_a_parquet_file_is_judged_by_the_size_that_it_declares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = pyarrow.table({"text": ["x" * 1_000] * 4_000})
    pyarrow.parquet.write_table(rows, tmp_path / "news.parquet", compression="zstd", use_dictionary=False)
    assert len(read_table(tmp_path / "news.parquet", ["text"])[0]) == 4_000
    monkeypatch.setattr(containers, "MOST_UNPACKED", 2**20)  # a real one would need a gigabyte
    with pytest.raises(UserError, match=r"news\.parquet of .* bytes unpacks to 4,0.* bytes or more"):
        read_table(tmp_path / "news.parquet", ["text"])


def test_a_number_of_a_class_without_a_name_is_refused(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(
        pyarrow.table({"text": ["a", "b"], "label": [0, 2]}).replace_schema_metadata(
            pyarrow.parquet.read_schema(io.BytesIO(numbered_parquet(["a"], [0], ["x", "y"]))).metadata
        ),
        tmp_path / "news.parquet",
    )
    with pytest.raises(UserError, match="'label' holds 2, but has names for 0 to 1"):
        load_texts(tmp_path / "news.parquet")


def test_an_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "news.csv").write_text("text,label\na,b\n")

    def refuse(*_: object) -> None:
        raise PermissionError  # root may read everything, so the refusal itself is simulated

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match=r"news\.csv may not be read"):
        read_table(tmp_path / "news.csv")


def test_encode_dataset_cuts_what_is_too_long() -> None:
    news = load_texts("news").select(range(5))
    assert max(encode_dataset(news, load_tokenizer(), max_length=12).lengths) == 12
