"""Everything people hand in that cannot work is refused with file, rows, values, what is allowed and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from bertft_helpers.batching import BucketBatchSampler, EncodedTexts, encode_dataset, make_loader, truncate
from bertft_helpers.config import TrainConfig
from bertft_helpers.data import load_texts, split
from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import evaluate
from bertft_helpers.models import build_classifier
from bertft_helpers.pretrained import find_checkpoint, load_tokenizer
from bertft_helpers.tables import read_table, take_columns
from bertft_helpers.training import fit
from bertft_helpers.validation import (
    check_examples,
    check_labels,
    check_not_blank,
    check_texts,
)

NAN = float("nan")


def tiny_model() -> BertForSequenceClassification:
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    return BertForSequenceClassification(BertConfig(vocab_size=50, max_position_embeddings=12, num_labels=3, **sizes))


def texts(*values: Any) -> Callable[[Path], object]:
    return lambda _: check_texts(values, "news.csv")


def blanks(*values: str) -> Callable[[Path], object]:
    return lambda _: check_not_blank(values, "news.csv")


def labels(*values: Any) -> Callable[[Path], object]:
    return lambda _: check_labels(values, "news.csv")


def examples(ids: list[list[int]], numbers: list[Any]) -> Callable[[Path], object]:
    return lambda _: check_examples(EncodedTexts(ids, numbers), tiny_model())


def table(content: bytes, name: str = "news.csv", columns: tuple[str, ...] = ()) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        (folder / name).write_bytes(content)
        return take_columns(read_table(folder / name), name, columns)

    return read


def a_folder_named_like_a_table(folder: Path) -> object:
    (folder / "news.csv").mkdir()
    return read_table(folder / "news.csv")


def run_training(ids: list[list[int]], numbers: list[int]) -> Callable[[Path], object]:
    def train(_: Path) -> object:
        model, good = tiny_model(), EncodedTexts([[2, 5, 3]] * 4, [0, 1, 2, 0])
        optimizer = torch.optim.AdamW(model.parameters())
        schedule = torch.optim.lr_scheduler.ConstantLR(optimizer)
        bad_loader = make_loader(EncodedTexts(ids, numbers), 2, seed=0)
        return fit(model, bad_loader, make_loader(good, 2), optimizer, schedule, TrainConfig(epochs=1))

    return train


GOOD = [[2, 5, 3], [2, 6, 7, 3]]

CASES: dict[str, tuple[Callable[[Path], object], type[Exception], list[str]]] = {
    # texts
    "a missing text": (texts("a", None), ValueError, ["news.csv", "no text in row 2", "fill or remove"]),
    "NaN as a text": (texts(NAN, "a"), ValueError, ["no text in row 1"]),
    "a number as a text": (texts("a", 3.5), ValueError, ["a float instead of text in row 2"]),
    "bytes as a text": (texts(b"a"), ValueError, ["bytes instead of text", "row 1"]),
    "an empty text": (blanks("a", ""), ValueError, ["an empty text in row 2"]),
    "only white space": (blanks(" \t\n", "a"), ValueError, ["an empty text in row 1"]),
    "many bad texts": (blanks(*[""] * 9), ValueError, ["rows 1, 2, 3, 4, 5 and 4 more (9 in all)"]),
    "no texts": (texts(), ValueError, ["news.csv has no texts"]),
    # labels
    "a missing label": (labels("a", None, "b"), ValueError, ["no label in row 2", "names, or class numbers"]),
    "NaN as a label": (labels(0, NAN), ValueError, ["no label in row 2"]),
    "an empty label": (labels("a", " "), ValueError, ["an empty label in row 2"]),
    "a fractional label": (labels(0, 1.5), ValueError, ["the fractional label 1.5 in row 2"]),
    "a negative label": (labels(0, -1), ValueError, ["the negative label -1 in row 2"]),
    "a label that is a list": (labels(0, [1]), ValueError, ["the label [1] of type list in row 2"]),
    "names among numbers": (labels(0, 1, "tech"), ValueError, ["names in row 3", "use one kind"]),
    "no labels": (labels(), ValueError, ["news.csv has no labels"]),
    # encoded examples and a model
    "a label out of range": (examples(GOOD, [0, 3]), ValueError, ["out of range in row 1", "such as 3", "0 to 2"]),
    "a negative class": (examples(GOOD, [-1, 0]), ValueError, ["out of range in row 0", "such as -1"]),
    "a fractional class": (examples(GOOD, [0, 0.5]), ValueError, ["fractional labels in row 1", "such as 0.5"]),
    "all labels ignored": (examples(GOOD, [-100, -100]), ValueError, ["all 2 labels are ignored", "NaN"]),
    "a foreign tokenizer": (examples([[2, 50, 3]], [0]), ValueError, ["row 0", "vocabulary of 50", "one folder"]),
    "a text over the limit": (
        examples([[2] * 13], [0]),
        ValueError,
        ["row 0", "12 positions", "13 tokens", "max_length"],
    ),
    "a mask without a token": (examples([[], [2, 3]], [0, 1]), ValueError, ["row 0", "no token at all"]),
    "no examples": (examples([], []), ValueError, ["no examples"]),
    "texts and labels of two lengths": (lambda _: EncodedTexts(GOOD, [0]), ValueError, ["2 texts but 1 labels"]),
    "training on labels out of range": (run_training(GOOD, [0, 7]), ValueError, ["out of range in row 1", "0 to 2"]),
    "training on ignored labels": (run_training(GOOD, [-100] * 2), ValueError, ["all 2 labels are ignored"]),
    "training with a foreign tokenizer": (run_training([[2, 99, 3]] * 2, [0, 1]), ValueError, ["vocabulary of 50"]),
    "evaluating ignored labels": (
        lambda _: evaluate(tiny_model(), make_loader(EncodedTexts(GOOD, [-100, -100]), 2)),
        ValueError,
        ["no label to evaluate", "-100"],
    ),
    "a loader of nothing": (lambda _: BucketBatchSampler([], 2, seed=0), ValueError, ["for 0 texts", "at least 1"]),
    "batches of nothing": (lambda _: BucketBatchSampler([3], 0, seed=0), ValueError, ["batch_size is 0"]),
    "no room for text": (lambda _: truncate([2, 5, 6, 3], 2), ValueError, ["max_length is 2", "at least 3"]),
    "one label name": (
        lambda _: build_classifier("bundled", ["tech"], seed=0),
        ValueError,
        ["['tech']", "at least two different names"],
    ),
    "shares that leave nothing": (
        lambda _: split(load_texts("news"), seed=0, validation=0.5, test=0.5),
        ValueError,
        ["validation=0.5", "test=0.5", "leave a share"],
    ),
    # files
    "no such file": (lambda p: read_table(p / "x.csv"), FileNotFoundError, ["x.csv", "check the path"]),
    "a folder": (a_folder_named_like_a_table, UserError, ["news.csv is a folder"]),
    "an unknown ending": (table(b"a", "news.docx"), ValueError, ["news.docx", "'.docx'", ".csv, .tsv"]),
    "an empty file": (table(b""), ValueError, ["news.csv is empty"]),
    "a header alone": (table(b"text,label\n"), ValueError, ["has a header but no rows"]),
    "a column that is not there": (
        table(b"text,label\na,b\n", columns=("body",)),
        ValueError,
        ["no column 'body'", "it has text, label"],
    ),
    "the wrong delimiter": (
        table(b"text;label\na;b\n", columns=("text", "label")),
        ValueError,
        ["no column 'text', 'label'", "separated by ';'", "commas"],
    ),
    "rows with too many fields": (
        table(b"text,label\na,b\nc,d,e\nf\n"),
        ValueError,
        ["header's 2", "rows 3 and 4", "quotation marks"],
    ),
    "an open quotation mark": (table(b'text,label\n"a,b\n'), ValueError, ["cannot be read", "quotation marks"]),
    "two columns of one name": (
        table(b"text,label,text\na,b,c\n"),
        ValueError,
        ["several columns named 'text'", "its own name"],
    ),
    "half a character": (
        texts("a", "\ud800"),
        ValueError,
        ["half a character", "row 2", "export the texts again"],
    ),
    "a label without end": (labels(0, float("inf")), ValueError, ["the label inf", "row 2"]),
    "NUL bytes": (table(b"text,label\na\0,b\n"), ValueError, ["NUL bytes in row 2", "export it again"]),
    "UTF-16": (table("text,label\na,b\n".encode("utf-16")), ValueError, ["UTF-16", "save it as UTF-8"]),
    "lines that are no JSON": (
        table(b'{"text": "a"}\nnot json\n[1]\n', "news.jsonl"),
        ValueError,
        ["no JSON object in rows 2 and 3"],
    ),
    "a Parquet file that is none": (table(b"PAR1 no", "news.parquet"), ValueError, ["is not a Parquet file"]),
    "a source that is not there": (lambda _: load_texts("nowhere"), FileNotFoundError, ["'nowhere'", "folder"]),
    "a checkpoint that is not there": (lambda _: find_checkpoint("nope"), FileNotFoundError, ["'nope'", "bundled"]),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_in_words_that_help(name: str, tmp_path: Path) -> None:
    provoke, kind, parts = CASES[name]
    with pytest.raises(kind) as refusal:
        provoke(tmp_path)
    message = str(refusal.value)
    assert [part for part in parts if part not in message] == [], message


def test_there_are_at_least_forty_cases(report: Callable[[str, object], None]) -> None:
    assert len(CASES) >= 40
    report("kinds of bad input refused in words that help", len(CASES))


def test_an_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "news.csv").write_text("text,label\na,b\n")

    def refuse(_: Path) -> bytes:
        raise PermissionError  # root may read everything, so the refusal itself is simulated

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(UserError, match=r"news\.csv may not be read"):
        read_table(tmp_path / "news.csv")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"\xef\xbb\xbftext,label\nprice,b\n", "price"),
        (b"text,label\n\xa35,b\n", "£5"),
        (b'text,label\n"a ""b"", c",b\n', 'a "b", c'),
        (b'text,label\n"two\nlines",b\n', "two\nlines"),
        (b"text,label\r\nwindows,b\r\n", "windows"),
        (b"text,label\nNA,b\n", "NA"),
    ],
)
def test_what_can_be_read_is_read_as_it_is_meant(tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "news.csv").write_bytes(content)
    assert read_table(tmp_path / "news.csv")["text"].tolist() == [text]


def test_a_megabyte_in_one_field_is_no_problem(tmp_path: Path) -> None:
    (tmp_path / "news.csv").write_text("text,label\n" + "x" * 1_000_000 + ",b\n")
    assert len(read_table(tmp_path / "news.csv")["text"].iloc[0]) == 1_000_000


def test_parquet_and_json_lines_keep_their_values(tmp_path: Path) -> None:
    table = pd.DataFrame({"text": ["a", "b"], "label": [0, 1]})
    table.to_parquet(tmp_path / "news.parquet")
    table.to_json(tmp_path / "news.jsonl", orient="records", lines=True)
    for name in ("news.parquet", "news.jsonl"):
        assert read_table(tmp_path / name).to_dict("list") == {"text": ["a", "b"], "label": [0, 1]}


def test_encode_dataset_cuts_what_is_too_long() -> None:
    news = load_texts("news").select(range(5))
    assert max(encode_dataset(news, load_tokenizer(), max_length=12).lengths) == 12
