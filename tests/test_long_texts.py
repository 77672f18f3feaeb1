"""Texts far longer than a model: all of them is encoded in pieces, and read in windows in the memory of one batch."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from own_data import tiny_checkpoint
from torch import nn
from transformers import AutoModelForSequenceClassification

from bertft_helpers import long_texts
from bertft_helpers.batching import encode
from bertft_helpers.errors import DamagedFileError
from bertft_helpers.inference import TextClassifier, mean_over_windows, whole_logits
from bertft_helpers.long_texts import PIECE, encode_whole, held_together, pieces_of
from bertft_helpers.pretrained import load_tokenizer

SHORT = ["apple and plum", "a saw", "the heron and the gull on a wire", "fig"]
LONG = [f"{word} " * count + "in the end a heron" for word, count in (("apple", 70), ("saw", 21), ("owl", 5))]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> AutoModelForSequenceClassification:
    """A classifier with three labels and positions for 64 tokens, in evaluation mode."""
    folder = tiny_checkpoint(tmp_path_factory.mktemp("checkpoint"))
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3).eval()


class Widths(nn.Module):
    """Answers each row with its number of tokens, and keeps the shapes of its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SimpleNamespace:
        self.shapes.append(tuple(input_ids.shape))
        return SimpleNamespace(logits=attention_mask.sum(dim=1, keepdim=True).float() * self.weight)


def test_a_text_in_pieces_is_the_text_and_no_word_is_in_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_texts, "PIECE", 8)
    assert list(pieces_of("abc def ghi\njk  lmnopqr stu")) == ["abc def ", "ghi\njk  ", "lmnopqr ", "stu"]
    assert list(pieces_of("abcdefghijk l")) == ["abcdefgh", "ijk l"]  # no white space for so long
    assert list(pieces_of("")) == [""]


def test_a_long_text_encoded_in_pieces_has_the_ids_of_the_text_encoded_at_once() -> None:
    words = "Größe naïve £5.50 don't 株価 e\u0301te\u0301 U.S. [SEP] 🙂 antidisestablishmentarianism"
    texts = ["short", " ".join(f"{words} {n}" for n in range(700)), "", "x" * (PIECE // 2)]
    assert len(texts[1]) > 5 * PIECE
    tokenizer = load_tokenizer()
    assert encode_whole(texts, tokenizer) == encode(texts, tokenizer)


def test_no_more_texts_are_held_together_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_texts, "HELD", 6)
    texts = ["abc", "de", "f", "ghijklmno", "p", ""]
    assert [list(group) for group in held_together(texts)] == [["abc", "de", "f"], ["ghijklmno"], ["p", ""]]
    assert list(held_together([])) == []


def test_the_mean_over_windows_by_hand() -> None:
    windows = [[[2, 5, 5, 3], [2, 5, 3]], [[2, 3]], [[2, 5, 5, 3], [2, 5, 5, 3], [2, 3]]]
    found = mean_over_windows(lambda batch: Widths()(**batch).logits, windows, token_budget=8)
    torch.testing.assert_close(found, torch.tensor([[3.5], [2.0], [10 / 3]]))


def test_a_text_of_100000_words_needs_no_more_than_a_batch() -> None:
    model = Widths()
    texts = ["word " * 100_000, "a few words"]
    found = whole_logits(model, load_tokenizer(), texts, max_length=64, stride=8, token_budget=1024)  # type: ignore[arg-type]
    assert max(rows * length for rows, length in model.shapes) <= 1024
    assert sum(rows for rows, _ in model.shapes) == 1 + -(-(100_000 - 8) // 54)
    assert found[1].item() == 5  # with [CLS] and [SEP]


def test_a_long_text_gets_the_mean_of_the_logits_of_the_tokenizers_windows(model: nn.Module) -> None:
    tokenizer = load_tokenizer()
    classifier = TextClassifier(model, tokenizer, 16, stride=3)  # type: ignore[arg-type]
    options = {"max_length": 16, "stride": 3, "truncation": True, "return_overflowing_tokens": True, "padding": True}
    for text, one in zip(LONG, classifier.predict(LONG), strict=True):
        batch = tokenizer(text, return_tensors="pt", **options)
        batch.pop("overflow_to_sample_mapping")
        with torch.inference_mode():
            wanted = model(**batch).logits.mean(dim=0).softmax(dim=0)
        torch.testing.assert_close(torch.tensor(list(one.probabilities.values())), wanted, atol=1e-5, rtol=0)


def test_short_texts_get_the_same_numbers_with_windows_as_without(model: nn.Module) -> None:
    one, other = (TextClassifier(model, load_tokenizer(), 16, stride=stride) for stride in (None, 3))  # type: ignore[arg-type]
    assert one.predict(SHORT) == other.predict(SHORT)
    assert one.predict(LONG) != other.predict(LONG)


def test_windows_are_saved_with_the_model_and_its_card_says_what_other_tools_do(
    model: nn.Module, tmp_path: Path
) -> None:
    classifier = TextClassifier(model, load_tokenizer(), 16, policy="windows", stride=3)  # type: ignore[arg-type]
    classifier.save(tmp_path / "model")
    loaded = TextClassifier.load(tmp_path / "model")
    assert (loaded.policy, loaded.stride) == ("windows", 3)
    assert loaded.predict(LONG) == classifier.predict(LONG)
    card = (tmp_path / "model" / "README.md").read_text()
    assert "in windows of 16 tokens that share 3 with the one before" in card
    assert "read the first window\nalone" in card or "read the first window alone" in card
    assert "Texts are cut" not in card


@pytest.mark.parametrize("stride", [-1, 14, True, "3", 2.5])
def test_a_manifest_with_a_stride_that_cannot_be_is_damaged(model: nn.Module, tmp_path: Path, stride: object) -> None:
    TextClassifier(model, load_tokenizer(), 16, policy="windows", stride=3).save(tmp_path / "model")  # type: ignore[arg-type]
    path = tmp_path / "model" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "stride": stride}))
    with pytest.raises(DamagedFileError, match="its stride is"):
        TextClassifier.load(tmp_path / "model")


def test_only_a_classifier_without_windows_says_where_it_cuts(model: nn.Module) -> None:
    one, other = (TextClassifier(model, load_tokenizer(), 16, stride=stride) for stride in (None, 3))  # type: ignore[arg-type]
    assert (one.cut_after, other.cut_after) == (16, None)
