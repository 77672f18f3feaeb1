"""Prediction in any order and length, and saved folders that other tools open with the same scores."""

from __future__ import annotations

import copy
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, pipeline

from bertft_helpers.data import repair
from bertft_helpers.errors import UserError
from bertft_helpers.inference import Prediction, TextClassifier, batches_within, text_logits
from bertft_helpers.model_files.card import model_card
from bertft_helpers.pretrained import load_tokenizer

NAMES = ["ham", "news", "spam"]
TEXTS = ["a bank", "the river rose and the boats went out to sea " * 3, "x", "tax cuts announced", "late goal wins cup"]


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer()


@pytest.fixture(scope="module")
def model(tokenizer) -> BertForSequenceClassification:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        initializer_range=0.5,
        id2label=dict(enumerate(NAMES)),
        label2id={name: number for number, name in enumerate(NAMES)},
    )
    return BertForSequenceClassification(config).eval()


@pytest.fixture
def classifier(model, tokenizer) -> TextClassifier:
    return TextClassifier(model, tokenizer, token_budget=40)


def close(first: list[Prediction], second: list[Prediction]) -> bool:
    pairs = list(zip(first, second, strict=True))
    return all(a.label == b.label and a.probabilities == pytest.approx(b.probabilities, abs=1e-5) for a, b in pairs)


def test_together_or_one_by_one_a_text_gets_the_same_answer(classifier) -> None:
    together = classifier.predict(TEXTS)
    assert close(together, [classifier.predict([text])[0] for text in TEXTS])
    assert len({round(prediction.probability, 4) for prediction in together}) == len(TEXTS)  # they can be told apart


def test_answers_follow_the_order_of_the_texts(classifier) -> None:
    order = random.Random(0).sample(range(len(TEXTS)), len(TEXTS))
    expected = classifier.predict(TEXTS)
    assert close(classifier.predict([TEXTS[row] for row in order]), [expected[row] for row in order])


def test_a_prediction_names_the_most_probable_label(classifier) -> None:
    for prediction in classifier.predict(TEXTS):
        assert list(prediction.probabilities) == NAMES
        assert sum(prediction.probabilities.values()) == pytest.approx(1)
        assert prediction.probability == max(prediction.probabilities.values())
        assert prediction.probabilities[prediction.label] == prediction.probability


def test_the_top_layer_computes_one_token_of_each_text(classifier, model) -> None:
    lengths = []
    handle = model.bert.encoder.register_forward_hook(
        lambda module, inputs, output: lengths.append(output.last_hidden_state.shape[1])
    )
    classifier.predict(TEXTS)
    handle.remove()
    assert set(lengths) == {1}


def test_in_16_bits_probabilities_change_a_little(classifier, model, tokenizer) -> None:
    exact = classifier.predict(TEXTS)
    found = TextClassifier(model, tokenizer, precision="bfloat16").predict(TEXTS)
    pairs = zip(exact, found, strict=True)
    differences = [abs(a.probabilities[name] - b.probabilities[name]) for a, b in pairs for name in NAMES]
    assert 1e-5 < max(differences) < 0.05
    with pytest.raises(UserError, match="precision is 'int8'; it must be one of float32, bfloat16, float16"):
        TextClassifier(model, tokenizer, precision="int8")


def test_texts_are_cut_where_the_model_ends(classifier, model, tokenizer) -> None:
    assert classifier.max_length == 64
    long = "word " * 500
    assert close(classifier.predict([long]), classifier.predict(["word " * 62]))
    assert text_logits(model, tokenizer, [long], max_length=10).shape == (1, 3)


def test_the_mode_of_the_model_comes_back(classifier, model) -> None:
    model.train()
    classifier.predict(TEXTS)
    assert model.training
    model.eval()


def test_no_batch_is_larger_than_the_budget_unless_one_text_is() -> None:
    lengths = [5, 90, 3, 7, 7, 20, 4]
    batches = batches_within(lengths, token_budget=21)
    assert batches == [[2, 6, 0], [3, 4], [5], [1]]  # 3 x 5, 2 x 7, 1 x 20, and the text of 90 alone


def test_every_row_is_in_one_batch() -> None:
    lengths = random.Random(1).choices(range(1, 60), k=200)
    batches = batches_within(lengths, token_budget=100)
    assert sorted(row for rows in batches for row in rows) == list(range(200))
    assert all(len(rows) * max(lengths[row] for row in rows) <= 100 for rows in batches)


def test_a_saved_folder_gives_the_same_answers(classifier, tmp_path) -> None:
    classifier.save(tmp_path / "model")
    loaded = TextClassifier.load(tmp_path / "model")
    assert loaded.predict(TEXTS) == TextClassifier(classifier.model, classifier.tokenizer).predict(TEXTS)
    assert loaded.label_names == NAMES
    assert loaded.max_length == 64


def test_transformers_opens_the_folder_with_equal_scores(classifier, tmp_path) -> None:
    classifier.save(tmp_path / "model")
    classify = pipeline("text-classification", model=str(tmp_path / "model"), truncation=True, top_k=None, device="cpu")
    texts = [*TEXTS, "word " * 500]
    for ours, theirs in zip(classifier.predict(texts), classify(texts), strict=True):
        assert ours.probabilities == pytest.approx({row["label"]: row["score"] for row in theirs}, abs=1e-5)


def test_a_saved_folder_is_a_standard_one(classifier, tmp_path) -> None:
    classifier.save(tmp_path / "model", {"training texts": 1257, "limits": "headlines | English"})
    assert {"config.json", "model.safetensors", "README.md"} <= {file.name for file in (tmp_path / "model").iterdir()}
    assert json.loads((tmp_path / "model/config.json").read_text())["id2label"] == {
        "0": "ham",
        "1": "news",
        "2": "spam",
    }
    card = (tmp_path / "model/README.md").read_text()
    assert "ham, news, spam" in card
    assert "| training texts | 1257 |" in card
    assert "| limits | headlines / English |" in card


def test_a_text_is_read_as_in_training(model, tokenizer) -> None:
    dirty, repaired = "AT&amp;T  wins\ta&#32;bid", "AT&T wins a bid"
    classifier = TextClassifier(model, tokenizer)
    assert classifier.predict([dirty]) == classifier.predict([repaired])
    as_it_is = TextClassifier(model, tokenizer, preprocessing="none")
    assert as_it_is.predict([repaired]) == classifier.predict([repaired])
    assert as_it_is.predict([dirty]) != classifier.predict([dirty])
    once = TextClassifier(model, tokenizer).predict(["&amp;lt;"])  # repaired twice this would be another sign
    assert once == as_it_is.predict(["&lt;"])


def test_a_text_that_is_blank_once_repaired_is_refused(classifier) -> None:
    with pytest.raises(ValueError, match="an empty text in row 2"):
        classifier.predict(["fine", "&nbsp;"])


def use_of(card: str, folder: Path) -> dict[str, Any]:
    """What the code in a card defines, run as it stands there."""
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    names: dict[str, Any] = {}
    exec(code.replace("<this folder>", str(folder)), names)
    return names


def test_the_lines_of_the_card_give_any_transformers_user_the_same_answers(classifier, tmp_path) -> None:
    classifier.save(tmp_path / "model")
    there = use_of((tmp_path / "model/README.md").read_text(), tmp_path / "model")
    for text in ("AT&amp;T wins a bid", "caf\u0065\u0301&nbsp;&#163;8bn\n", "plain"):
        assert there["repair"](text) == repair(text)
        (ours,), (theirs,) = classifier.predict([text]), there["classify"](there["repair"](text))
        assert (theirs["label"], theirs["score"]) == (ours.label, pytest.approx(ours.probability, abs=1e-5))


def test_a_card_of_texts_as_they_are_repairs_nothing() -> None:
    card = model_card(NAMES, 64, {}, "none")
    assert "repair" not in card
    assert "as they are" in card


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("[here](javascript:x)", r"\[here\](javascript:x)"),
        ("**big** `code` ~~no~~ _so_", r"\*\*big\*\* \`code\` \~\~no\~\~ \_so\_"),
        ("R&D &amp; more", "R&amp;D &amp;amp; more"),
        ("red\x1b[31m", r"red<U+001B>\[31m".replace("<", "&lt;").replace(">", "&gt;")),
        ("a\n---\nlicense: mine\n---", "a --- license: mine ---"),
        ("a|b", "a/b"),
        ("back\\slash", r"back\\slash"),
        ("c1\x9b", "c1&lt;U+009B&gt;"),
    ],
)
def test_names_and_facts_are_text_in_a_card_and_nothing_else(name: str, shown: str) -> None:
    card = model_card(["ham", name], 64, {name: name})
    assert f"2 labels: ham, {shown}." in card
    assert f"| {shown} | {shown} |" in card
    assert card.startswith("---\nlibrary_name: transformers\npipeline_tag: text-classification\n---\n# Text")


def test_another_padding_than_zero_changes_no_answer(classifier, model, tokenizer) -> None:
    padded = copy.deepcopy(tokenizer)
    padded.pad_token = "[unused7]"
    assert padded.pad_token_id != 0
    assert close(TextClassifier(model, padded, token_budget=400).predict(TEXTS), classifier.predict(TEXTS))


def test_a_card_without_facts_has_no_empty_table() -> None:
    assert "Facts" not in model_card(NAMES, 64, {})


def test_saving_never_mixes_two_models_and_leaves_nothing_half_done(classifier, tmp_path, monkeypatch) -> None:
    classifier.save(tmp_path / "model")
    with pytest.raises(UserError, match="is not empty"):
        classifier.save(tmp_path / "model")
    monkeypatch.setattr(type(classifier.model), "save_pretrained", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        classifier.save(tmp_path / "other")
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_saving_leaves_the_tokenizer_as_it_was(classifier, tmp_path) -> None:
    before = classifier.tokenizer.model_max_length
    classifier.save(tmp_path / "model")
    assert classifier.tokenizer.model_max_length == before != classifier.max_length


def test_a_temperature_divides_the_logits_and_changes_no_label(model, tokenizer) -> None:
    plain, cooled = (TextClassifier(model, tokenizer, temperature=value).predict(TEXTS) for value in (1.0, 2.0))
    for one, other in zip(plain, cooled, strict=True):
        roots = {name: value**0.5 for name, value in one.probabilities.items()}  # of exp(logit): exp(logit / 2)
        assert other.label == one.label
        assert other.probabilities == pytest.approx({n: v / sum(roots.values()) for n, v in roots.items()}, abs=1e-6)


def test_a_saved_temperature_comes_back_and_the_card_gives_its_probabilities(model, tokenizer, tmp_path) -> None:
    saved = TextClassifier(model, tokenizer, temperature=1.7)
    saved.save(tmp_path / "saved")
    loaded = TextClassifier.load(tmp_path / "saved")
    assert loaded.temperature == 1.7
    assert close(loaded.predict(TEXTS), saved.predict(TEXTS))
    card = (tmp_path / "saved" / "README.md").read_text()
    assert "its labels are the same, its probabilities\nare not" in card
    lines = card.split("```python\n")[2].split("```")[0].replace('"a text"', "text")
    classify = pipeline("text-classification", model=str(tmp_path / "saved"), truncation=True)
    for text, expected in zip(TEXTS, saved.predict(TEXTS), strict=True):
        found: dict[str, Any] = {"classify": classify, "text": repair(text)}
        exec(lines, found)  # what a reader of the card would run
        assert found["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)


def test_a_classifier_without_a_temperature_says_nothing_of_one(classifier, tmp_path) -> None:
    classifier.save(tmp_path / "saved")
    assert "temperature" not in (tmp_path / "saved" / "README.md").read_text()


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), "1"])
def test_a_temperature_must_be_a_number_above_0(model, tokenizer, value) -> None:
    with pytest.raises(UserError, match=r"temperature is .*; it must be a number above 0, and 1 changes nothing"):
        TextClassifier(model, tokenizer, temperature=value)


def test_no_texts_give_no_predictions(classifier) -> None:
    assert classifier.predict([]) == []


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ("one string", TypeError, "give a list of texts"),
        (["fine", None], ValueError, "no text in row 2"),
        (["fine", "  ", 3], ValueError, "row 3"),
        (["fine", "  "], ValueError, "an empty text in row 2"),
    ],
)
def test_what_is_no_text_is_refused_by_row(classifier, texts, error, message) -> None:
    with pytest.raises(error, match=message):
        classifier.predict(texts)


def test_a_folder_without_weights_is_refused(tmp_path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors missing"):
        TextClassifier.load(tmp_path)


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        batches_within([3], 0)
