"""A frozen BERT with a head on its mean, as transformers' own files: equal answers there and here, or none there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from minimal import tiny_encoder
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from bertft_helpers.batching import encode, pad_batch
from bertft_helpers.errors import UserError
from bertft_helpers.inference import TextClassifier
from bertft_helpers.losses import forward_logits
from bertft_helpers.mean_pooled import has_mean, mean_classifier
from bertft_helpers.models import PooledClassifier
from bertft_helpers.pretrained import load_encoder, load_tokenizer

NAMES = ["birds", "fruit", "tools"]
TEXTS = ["an owl", "apples and pears, plums and cherries", "the saw and the drill of a carpenter in the next house"]


def head(width: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(len(NAMES), width, generator=generator), torch.randn(len(NAMES), generator=generator)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A small classifier, saved as a folder; its inner layers are narrower than XLM's."""
    tokenizer = load_tokenizer()
    encoder = tiny_encoder(vocab_size=len(tokenizer), initializer_range=0.5)
    classifier = TextClassifier(mean_classifier(encoder, *head(16), NAMES), tokenizer, max_length=32)
    classifier.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("bundled", [pytest.param(True, marks=pytest.mark.slow), False])
def test_its_logits_are_those_of_the_encoder_with_the_same_head_in_a_padded_batch(bundled: bool) -> None:
    tokenizer = load_tokenizer()
    encoder = load_encoder("bundled") if bundled else tiny_encoder(vocab_size=len(tokenizer), initializer_range=0.5)
    weight, bias = head(encoder.config.hidden_size)
    written_out = PooledClassifier(encoder, len(NAMES)).eval()
    written_out.classifier.load_state_dict({"weight": weight, "bias": bias})
    batch = pad_batch([{"input_ids": ids} for ids in encode(TEXTS, tokenizer)])
    with torch.inference_mode():
        expected = forward_logits(written_out, batch)
        found = forward_logits(mean_classifier(encoder, weight, bias, NAMES), batch)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)


def test_transformers_opens_the_folder_by_itself_and_gives_equal_answers(saved: Path) -> None:
    answers = TextClassifier.load(saved).predict(TEXTS)
    found = pipeline("text-classification", model=str(saved), top_k=None)(TEXTS)
    for own, theirs in zip(answers, found, strict=True):
        assert {row["label"]: row["score"] for row in theirs} == pytest.approx(own.probabilities, abs=1e-5)
    assert json.loads((saved / "config.json").read_text())["architectures"] == ["XLMForSequenceClassification"]
    assert not AutoModelForSequenceClassification.from_pretrained(saved).training


def test_a_batch_in_which_padding_would_count_is_refused_by_transformers(saved: Path) -> None:
    with pytest.raises(ValueError, match="without pad_token cannot do batching"):
        pipeline("text-classification", model=str(saved))(TEXTS, batch_size=2)
    with pytest.raises(ValueError, match="does not have a padding token"):
        AutoTokenizer.from_pretrained(saved)(TEXTS, padding=True)
    assert "`batch_size` is refused" in (saved / "README.md").read_text()


def test_answers_do_not_depend_on_the_batch(saved: Path) -> None:
    classifier = TextClassifier.load(saved)
    together = classifier.predict(TEXTS)
    for text, expected in zip(TEXTS, together, strict=True):
        assert classifier.predict([text])[0].probabilities == pytest.approx(expected.probabilities, abs=1e-6)


def test_what_was_loaded_is_saved_again_as_it_was(saved: Path, tmp_path: Path) -> None:
    TextClassifier.load(saved).save(tmp_path / "again")
    assert {path.name: path.read_bytes() for path in saved.iterdir() if path.name != "manifest.json"} == {
        path.name: path.read_bytes() for path in (tmp_path / "again").iterdir() if path.name != "manifest.json"
    }
    assert has_mean(tmp_path / "again")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"hidden_act": "silu"}, "activation is 'silu', and only gelu and relu"),
        ({"intermediate_size": 65}, "more than 4 times as wide"),
        ({"is_decoder": True}, "it is a decoder"),
    ],
)
def test_a_bert_that_cannot_be_written_so_is_refused_with_the_reason(changes: dict, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        mean_classifier(tiny_encoder(**changes), *head(16), NAMES)
