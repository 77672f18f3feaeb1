"""Tables of every style through ``train --dry-run`` and ``predict``: counts add up, order is stable, texts stay."""

from __future__ import annotations

import csv
import io
import json
import os
import string
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from minimal import tiny_config
from transformers import BertModel, BertTokenizerFast

from bertft_helpers.inference import TextClassifier
from bertft_helpers.models import build_classifier
from bertft_helpers.own_texts.labelling import label_file
from bertft_helpers.own_texts.preview import preview
from bertft_helpers.own_texts.settings import TaskSettings
from bertft_helpers.pretrained import load_tokenizer
from bertft_helpers.reading.labels import order_names
from bertft_helpers.reading.report import Format

QUICK, THOROUGH = 200, 5_000  # 39 ms each on one core
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252")
LETTERS = "abc äöüß£'\"\n,;|\t.!?-_0123456789"
LABELS = st.sampled_from(
    [("birds", "fruit"), ("0", "1", "10", "9"), ("07", "7"), ("1.0", "2"), ("-1", "1"), ("ä b", "A b"), ("true", "1")]
)


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    """Rows of texts and labels, and the style in which they are written."""
    labels = draw(LABELS)
    texts = draw(st.lists(st.text(LETTERS, max_size=20), min_size=1, max_size=12))
    rows = [(f"{text} n{number}" if text else "", draw(st.sampled_from(labels))) for number, text in enumerate(texts)]
    # Of each class enough texts that an uncased tokenizer does not take for another's.
    rows += [(f"more of class {place} {number}", name) for place, name in enumerate(labels) for number in range(3)]
    style = {"delimiter": draw(st.sampled_from(",;\t|")), "encoding": draw(st.sampled_from(ENCODINGS))}
    style["header"] = draw(st.sampled_from([("text", "label"), ("label", "text"), ("text", "label", "note")]))
    style["lineterminator"] = draw(st.sampled_from(["\n", "\r\n"]))
    return {"rows": rows, **style}


def written(table: dict[str, Any], folder: Path) -> Path:
    buffer = io.StringIO()
    writer = csv.DictWriter(
        buffer,
        table["header"],
        delimiter=table["delimiter"],
        lineterminator=table["lineterminator"],
        quoting=csv.QUOTE_ALL,
        restval="n",
    )
    writer.writeheader()
    writer.writerows({"text": text, "label": label} for text, label in table["rows"])
    path = folder / "upload.csv"
    path.write_bytes(buffer.getvalue().encode(table["encoding"]))
    return path


def canonical(label: str) -> str:
    return label.removesuffix(".0")


def look_at(table: dict[str, Any], checkpoint: Path) -> None:
    """A dry run's counts add up, and its classes are those of the table in their order."""
    with tempfile.TemporaryDirectory() as folder:
        path = written(table, Path(folder))
        facts = preview(TaskSettings(str(path), checkpoint=str(checkpoint), how=Format(quoting="csv"))).facts()
        assert os.listdir(folder) == [path.name]
    assert facts["rows"] == len(table["rows"])
    assert facts["kept"] + sum(facts["removed"].values()) == facts["rows"]
    assert sum(map(sum, facts["parts"].values())) == facts["kept"]
    assert facts["label_names"] == order_names(canonical(label) for _, label in table["rows"])


def label(table: dict[str, Any], classifier: TextClassifier) -> None:
    """Labelled rows hold what they held, in their order; rows without text, and only these, have no label."""
    with tempfile.TemporaryDirectory() as folder:
        path, out = written(table, Path(folder)), Path(folder) / "out.jsonl"
        done = label_file(classifier, str(path), out, how=Format(quoting="csv"))
        rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert done.rows == len(rows) == len(table["rows"])
    assert [(row["text"], row["label"]) for row in rows] == table["rows"]
    assert [row["predicted_label"] is None for row in rows] == [not text for text, _ in table["rows"]]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained BERT that knows the letters of these texts: to load 30,000 words takes longer than all the rest."""
    folder = tmp_path_factory.mktemp("checkpoint")
    letters = sorted({*LETTERS.replace("\t", "").replace("\n", ""), *string.ascii_lowercase} - {" "})
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    (folder / "vocab.txt").unlink()
    tokenizer.save_pretrained(folder)
    BertModel(tiny_config(vocab_size=len(tokenizer), max_position_embeddings=64)).save_pretrained(folder)
    return folder


def tried(examples: int, try_one: Callable[[dict[str, Any]], None]) -> int:
    """How many tables were tried."""
    counted = Counter()

    @settings(max_examples=examples, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(tables())
    def try_it(table: dict[str, Any]) -> None:
        counted["tables"] += 1
        try_one(table)

    try_it()
    return counted["tables"]


def test_counts_add_up_and_classes_have_their_order(checkpoint: Path) -> None:
    assert tried(QUICK, lambda table: look_at(table, checkpoint)) >= QUICK


def test_texts_come_out_as_they_went_in(checkpoint: Path) -> None:
    classifier = TextClassifier(build_classifier(str(checkpoint), ["a", "b"], 0), load_tokenizer(str(checkpoint)))
    assert tried(QUICK // 2, lambda table: label(table, classifier)) >= QUICK // 2


@pytest.mark.slow
@pytest.mark.thorough
def test_thousands_of_tables(checkpoint: Path, report: Callable[[str, object], None]) -> None:
    assert tried(THOROUGH, lambda table: look_at(table, checkpoint)) >= THOROUGH
    report("tables of every style looked at by a dry run", f"{THOROUGH:,}")


@pytest.mark.slow
def test_the_order_of_classes_does_not_depend_on_the_hash_seed(tmp_path: Path) -> None:
    names = ("7", "07", "10", "9", "a", "A", "ä", "1.5", "-1")
    rows = [(f"text {n} of class {place}", name) for n in range(3) for place, name in enumerate(names)]
    table = {"rows": rows, "delimiter": ",", "encoding": "utf-8", "header": ("text", "label"), "lineterminator": "\n"}
    path = written(table, tmp_path)
    command = [sys.executable, "-m", "bertft_helpers", "train", str(path), "--dry-run", "--json"]
    answers = {
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in ("0", "1")
    }
    assert len(answers) == 1
    assert json.loads(answers.pop())["label_names"] == ["-1", "1.5", "7", "9", "10", "07", "A", "a", "ä"]
