"""Labelling keeps what it is given, says what it changes, and answers while the writer pauses."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import threading
from pathlib import Path

import pytest

from bertft_helpers.data import repair
from bertft_helpers.errors import MissingError, UserError
from bertft_helpers.inference import Prediction
from bertft_helpers.long_texts import LONGEST, without_middle
from bertft_helpers.own_texts.labelling import label_file
from bertft_helpers.reading.report import Format


class Stub:
    """Answers with one label, and remembers what it was asked."""

    def __init__(self, label: str = "a") -> None:
        self.label_names, self.asked = [label, "b"], []

    prepare = staticmethod(repair)  # as the real one reads a text

    def predict(self, texts: list[str]) -> list[Prediction]:
        self.asked += texts
        return [Prediction(self.label_names[0], 0.75, {}) for _ in texts]


def labelled(folder: Path, content: bytes, name: str = "in.csv", out: str = "out.csv", label: str = "a") -> str:
    (folder / name).write_bytes(content)
    label_file(Stub(label), str(folder / name), folder / out)
    return (folder / out).read_text(encoding="utf-8")


def test_columns_of_one_name_are_all_kept(tmp_path: Path) -> None:
    written = labelled(tmp_path, b"text,note,note\nx,1,2\n")
    assert written.splitlines() == ["text,note,note.1,predicted_label,predicted_probability", "x,1,2,a,0.75"]


def test_an_answer_never_replaces_a_column_of_its_name(tmp_path: Path) -> None:
    written = labelled(tmp_path, b"text,predicted_label\nx,mine\n")
    assert written.splitlines() == ["text,predicted_label,predicted_label.1,predicted_probability", "x,mine,a,0.75"]
    (tmp_path / "in.jsonl").write_text('{"text": "x"}\n{"text": "y", "predicted_label": "mine"}\n')
    with pytest.raises(UserError, match=r"in\.jsonl, row 2 has a column 'predicted_label'"):
        label_file(Stub(), str(tmp_path / "in.jsonl"), tmp_path / "new.jsonl")
    assert not (tmp_path / "new.jsonl").exists()


def test_what_only_tables_have_is_refused_for_lines(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("x\n")
    with pytest.raises(UserError, match=r"in\.txt has no use for --delimiter \(for CSV and TSV\)"):
        label_file(Stub(), str(tmp_path / "in.txt"), tmp_path / "out.csv", how=Format(delimiter=";"))


def test_a_table_in_a_text_file_is_read_line_by_line_and_doubted(tmp_path: Path) -> None:
    for content, doubted in {"id;text\n1;x\n": True, "a text; and more\nx\n": False}.items():
        (tmp_path / "in.txt").write_text(content)
        done = label_file(Stub(), str(tmp_path / "in.txt"), tmp_path / "out.csv")
        assert done.rows == 2
        assert any("looks like the header of a table" in note for note in done.reading.notes) == doubted


def test_the_encodings_of_a_folder_are_said(tmp_path: Path) -> None:
    for name, content in {"1": "ä".encode("utf-16"), "2": b"b", "3": b"\xa35"}.items():
        (tmp_path / f"{name}.txt").write_bytes(content)
    done = label_file(Stub(), str(tmp_path), tmp_path / "out.csv")
    assert done.reading.encoding == "UTF-16 (1 files), UTF-8 (1 files), UTF-8 with Windows-1252 (1 files)"


def test_a_folder_to_write_in_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"there is no folder .*nowhere; make it first"):
        label_file(Stub(), str(tmp_path / "in.csv"), tmp_path / "nowhere" / "out.csv")


def test_the_file_that_is_read_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text\nx\n")
    with pytest.raises(UserError, match="is the file that is read"):
        label_file(Stub(), str(tmp_path / "in.csv"), tmp_path / "in.csv")


@pytest.mark.parametrize("name", ["in.txt", "in.csv", "in.tsv", "in.txt.gz"])
def test_utf16_has_as_many_rows_as_lines(tmp_path: Path, name: str) -> None:
    import gzip

    lines = "".join(f"größe {n}\r\n" for n in range(6))
    content = (lines if "txt" in name else f"text\r\n{lines}").encode("utf-16")
    labelled(tmp_path, gzip.compress(content) if name.endswith("gz") else content, name, "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["text"] for row in rows] == [f"größe {n}" for n in range(6)]


def test_folders_and_parquet_are_labelled_too(tmp_path: Path) -> None:
    import pandas as pd

    (tmp_path / "texts" / "deep").mkdir(parents=True)
    (tmp_path / "texts" / "deep" / "1.TXT").write_bytes("für".encode("cp1252"))
    (tmp_path / "texts" / ".hidden.txt").write_text("no")
    label_file(Stub(), str(tmp_path / "texts"), tmp_path / "folder.csv")
    assert (tmp_path / "folder.csv").read_text(encoding="utf-8").splitlines()[1] == "deep/1.TXT,für,a,0.75"
    pd.DataFrame({"text": ["x", None], "n": [1, 2]}).to_parquet(tmp_path / "in.parquet")
    done = label_file(Stub(), str(tmp_path / "in.parquet"), tmp_path / "parquet.csv")
    assert (done.rows, done.without_text) == (2, 1)
    assert (tmp_path / "parquet.csv").read_text().splitlines()[1:] == ["x,1,a,0.75", ",2,,"]


def test_what_is_nested_is_written_as_json(tmp_path: Path) -> None:
    written = labelled(tmp_path, b'{"text": "x", "more": {"a": [true, null]}, "b": false}', "in.jsonl")
    assert next(csv.DictReader(io.StringIO(written)))["more"] == '{"a": [true, null]}'
    assert next(csv.DictReader(io.StringIO(written)))["b"] == "false"


def test_a_header_alone_gives_a_header(tmp_path: Path) -> None:
    assert labelled(tmp_path, b"text,n\n") == "text,n,predicted_label,predicted_probability\n"


@pytest.mark.parametrize(
    ("label", "written"), [("=cmd()", "'=cmd()"), ("@x", "'@x"), ("-x", "'-x"), ("-1", "-1"), ("a", "a")]
)
def test_a_class_name_never_starts_a_formula(tmp_path: Path, label: str, written: str) -> None:
    (tmp_path / "in.csv").write_text("text\nx\n")
    done = label_file(Stub(label), str(tmp_path / "in.csv"), tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().splitlines()[1] == f"x,{written},0.75"
    assert any("as formulas" in note for note in done.reading.notes) == (written != label)


def test_rows_are_counted_in_the_file(tmp_path: Path) -> None:
    rows = [json.dumps({"text": "x"})] * 700 + [json.dumps({"text": 3})]
    with pytest.raises(UserError, match=r"in\.jsonl, row 701: 'text' must be text, it holds a int"):
        labelled(tmp_path, "\n".join(rows).encode(), "in.jsonl")
    rows[-1] = '{"text": "\\ud800"}'
    with pytest.raises(UserError, match=r"half a character .* in row 701"):
        labelled(tmp_path, "\n".join(rows).encode(), "in.jsonl")


def test_a_text_that_shows_nothing_gets_no_label(tmp_path: Path) -> None:
    written = labelled(tmp_path, "text,n\n\u200b\u2060,1\n\u3164,2\nx,3\n".encode())
    assert [line.rsplit(",", 2)[1] for line in written.splitlines()[1:]] == ["", "", "a"]


def test_a_swallowed_row_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"swallow whole rows in row 2 \(lines 2 to 3\)"):
        labelled(tmp_path, b'text\tn\n"x\t1\ny 5"\t2\n', "in.tsv")
    assert [path.name for path in tmp_path.iterdir()] == ["in.tsv"]
    label_file(Stub(), str(tmp_path / "in.tsv"), tmp_path / "out.jsonl", how=Format(quoting="none"))
    assert [json.loads(line)["text"] for line in (tmp_path / "out.jsonl").open()] == ['"x', 'y 5"']


def test_texts_of_several_lines_in_the_only_column_are_told(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text('text\n"a\nb"\nc\n')
    done = label_file(Stub(), str(tmp_path / "in.csv"), tmp_path / "out.csv")
    assert any("texts of several lines in row 2; if quotation marks" in note for note in done.reading.notes)


def test_standard_input_is_answered_when_the_writer_pauses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, into = os.pipe()
    monkeypatch.setattr(sys, "stdin", os.fdopen(out, encoding="utf-8"))
    answered = threading.Event()
    thread = threading.Thread(target=label_file, args=(Stub(), "-", None, "text", lambda rows: answered.set()))
    thread.start()
    os.write(into, b"a\r\n")
    assert answered.wait(10)
    os.write(into, "größe\r\n".encode())
    os.close(into)
    thread.join(10)
    assert [json.loads(line)["text"] for line in capsys.readouterr().out.splitlines()] == ["a", "größe"]


def test_a_text_beyond_all_reading_keeps_beginning_and_end() -> None:
    words = " ".join(f"word{n}" for n in range(200_000))
    short = without_middle(words)
    assert len(short) <= LONGEST + 1
    assert set(short.split()) <= set(words.split())
    assert (short[:5], short[-10:]) == ("word0", "word199999"[-10:])
    assert without_middle("a b") == "a b"
