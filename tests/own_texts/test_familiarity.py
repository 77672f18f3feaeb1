"""Texts that are far from those of training are flagged: the distance by hand, its limit, and texts of another kind."""

from __future__ import annotations

import ast
import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from minimal import tiny_classifier
from own_data import finished_run, run, settings_for, write_csv
from typer.testing import CliRunner, Result

from bertft_helpers.cli.main import app
from bertft_helpers.data import load_texts, repair, select_view
from bertft_helpers.errors import DamagedFileError, MissingError
from bertft_helpers.inference import TextClassifier
from bertft_helpers.mean_pooled import mean_classifier
from bertft_helpers.own_texts.familiarity import (
    MOST_KEPT,
    VECTORS,
    Familiar,
    Flagging,
    distances,
    familiar_file,
    familiar_from,
    read_familiar,
    vectors_of,
)
from bertft_helpers.pretrained import load_encoder, load_tokenizer

TEXTS = ["an owl", "a hammer and a saw", "apple, pear and plum in a bowl on the table"]


def bertft(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})


def test_the_distance_is_that_to_the_nearest_five() -> None:
    known = Familiar(np.array([[1, 0]] * 3 + [[0, 1]] * 2 + [[-1, 0]] * 4, dtype=np.float16), 0.0)
    # cosines of [1, 0], of any length: 1 three times and 0 twice are the best five
    np.testing.assert_allclose(distances(np.array([[7, 0], [-1, 0]], np.float32), known), [1 - 3 / 5, 1 - 4 / 5])
    only = Familiar(known.vectors[:1], 0.0)
    np.testing.assert_allclose(distances(np.array([[0, 1]], np.float32), only), [1.0])


def test_the_limit_is_a_distance_that_one_known_text_in_fifty_has_from_the_others() -> None:
    vectors = np.array([[1, 0]] * 99 + [[0, 1]], dtype=np.float32)
    assert familiar_from(vectors).limit == 0.0  # its own neighbours are the other 98; the odd one lies beyond
    assert familiar_from(vectors[90:]).limit == 1.0  # of ten texts none may lie beyond
    assert len(familiar_from(np.ones((MOST_KEPT + 5, 2))).vectors) == MOST_KEPT


def test_the_vectors_are_what_the_last_layer_reads() -> None:
    tokenizer = load_tokenizer()
    model = tiny_classifier(vocab_size=len(tokenizer), initializer_range=0.5).eval()
    found = vectors_of(TextClassifier(model, tokenizer, 16), TEXTS)
    assert not model.training
    read: list[torch.Tensor] = []
    model.classifier.register_forward_hook(lambda _, inputs, __: read.append(inputs[0]))
    for text in TEXTS:
        model(**tokenizer(text, return_tensors="pt", truncation=True, max_length=16))
    np.testing.assert_allclose(found, torch.cat(read).detach().numpy(), atol=1e-5)


def test_what_is_kept_comes_back_and_damage_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="so none can be called unfamiliar"):
        read_familiar(tmp_path)
    kept = Familiar(np.eye(3, dtype=np.float16), 0.25)
    (tmp_path / VECTORS).write_bytes(familiar_file(kept))
    found = read_familiar(tmp_path)
    assert found.limit == 0.25
    assert (found.vectors == kept.vectors).all()
    (tmp_path / VECTORS).write_bytes(b"damaged")
    with pytest.raises(DamagedFileError, match="is damaged"):
        read_familiar(tmp_path)


def is_far(classifier: TextClassifier, familiar: Familiar, texts: list[str]) -> np.ndarray:
    return distances(vectors_of(classifier, texts), familiar) > familiar.limit


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["fine-tuned", "frozen features"])
def test_flags_cost_no_second_reading_and_change_no_answer(kind: str, precision: str) -> None:
    tokenizer = load_tokenizer()
    model = tiny_classifier(vocab_size=len(tokenizer), initializer_range=0.5).eval()
    if kind == "frozen features":
        model = mean_classifier(model.bert, torch.randn(3, 16), torch.zeros(3), ["a", "b", "c"])
    classifier = TextClassifier(model, tokenizer, 16, token_budget=32, precision=precision, temperature=1.5)
    familiar = familiar_from(vectors_of(classifier, TEXTS))._replace(limit=0.0)
    batches: list[int] = []
    model.get_input_embeddings().register_forward_hook(lambda _, given, __: batches.append(len(given[0])))
    plain = classifier.predict(TEXTS)
    reading, batches[:] = list(batches), []
    flagged = Flagging(classifier, familiar).predict(TEXTS)
    assert batches == reading
    for one, own in zip(plain, flagged, strict=True):
        assert own.label == one.label
        assert own.probabilities == pytest.approx(one.probabilities, abs=1e-6 if precision == "float32" else 1e-2)
    assert [one.further["unfamiliar"] for one in flagged] == is_far(classifier, familiar, TEXTS).tolist()
    assert Flagging(classifier, familiar).predict([]) == []


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory.mktemp("given"))


def test_predict_marks_each_text_by_its_distance(finished: Path, tmp_path: Path) -> None:
    rows = [("owl and wren number 1", "1"), ("", "2"), ("import numpy as np # " * 9, "3"), ("pear and fig", "4")]
    source, out = write_csv(tmp_path / "in.csv", rows, ("words", "unfamiliar")), tmp_path / "out.csv"
    done = bertft("predict", finished / "run", source, "--out", out, "--flag-unfamiliar")
    assert done.exit_code == 0, done.output
    written = list(csv.DictReader(out.open(encoding="utf-8")))
    assert [row["unfamiliar"] for row in written] == ["1", "2", "3", "4"]  # the source's own column
    classifier = TextClassifier.load(finished / "run" / "model")
    familiar = read_familiar(finished / "run" / "model")
    expected = iter(is_far(classifier, familiar, [rows[n][0] for n in (0, 2, 3)]))
    for row in written:
        assert row["unfamiliar.1"] == (json.dumps(bool(next(expected))) if row["words"] else "")


def test_counted_words_keep_nothing_of_their_texts(finished: Path, tmp_path: Path) -> None:
    run(settings_for(finished / "texts.csv", finished / "checkpoint", epochs=1, keep="counted-words"), tmp_path / "run")
    done = bertft("predict", tmp_path / "run", finished / "texts.csv", "--flag-unfamiliar")
    assert done.exit_code == 2
    assert "so none can be called unfamiliar: bertft train keeps them for the fine-tuned model" in done.stderr


def docstrings(count: int) -> list[str]:
    """First lines of docstrings of Python's library: English, short, and no news."""
    found = []
    for path in sorted(Path(os.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            told = ast.get_docstring(node) if isinstance(node, ast.FunctionDef | ast.ClassDef) else None
            if told and len(told.split("\n")[0].split()) > 3:
                found.append(repair(told.split("\n")[0]))
    return [found[row] for row in np.random.default_rng(0).permutation(len(found))[:count]]


@pytest.mark.slow
def test_texts_of_another_kind_are_flagged_and_those_of_the_same_kind_are_not(
    report: Callable[[str, object], None],
) -> None:
    headlines = list(select_view(load_texts("news"), "headline")["text"])
    headlines = [headlines[row] for row in np.random.default_rng(0).permutation(len(headlines))]
    frozen = mean_classifier(load_encoder("bundled"), torch.zeros(2, 384), torch.zeros(2), ["a", "b"])
    classifier = TextClassifier(frozen, load_tokenizer(), 64)
    familiar = familiar_from(vectors_of(classifier, headlines[:200]))
    same = is_far(classifier, familiar, headlines[200:400]).mean()
    other = is_far(classifier, familiar, docstrings(200)).mean()
    assert same < 0.07
    assert other > 0.8
    report("of 200 sentences about Python, flagged as unlike 200 headlines (frozen encoder)", f"{other:.0%}")
    report("of 200 other headlines, flagged too", f"{same:.0%}")
