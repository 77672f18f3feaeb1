"""What a word contributed: exact where the model is linear, and adding up to the answer where it is BERT."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from minimal import tiny_classifier

from bertft_helpers.mean_pooled import mean_classifier
from bertft_helpers.own_texts.attribution import WordShare, log_odds, shares_of, without_words, word_shares
from bertft_helpers.pretrained import load_tokenizer

TEXT = "Chelsea win the unbelievable cup"


class Linear(torch.nn.Module):
    """Two classes; the log-odds of class 1 are the sum of the first number of all input vectors."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(vocabulary, 3)

    def get_input_embeddings(self) -> torch.nn.Embedding:
        return self.table

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SimpleNamespace:
        score = (self.table(input_ids)[..., 0] * attention_mask).sum(dim=1)
        return SimpleNamespace(logits=torch.stack([torch.zeros_like(score), score], dim=1))


def test_log_odds_by_hand_also_where_the_probability_rounds_to_one() -> None:
    logits = torch.tensor([[0.0, 0.0, 0.0], [100.0, 0.0, 0.0]])
    two = torch.tensor(2.0)
    assert torch.allclose(log_odds(logits, 0), torch.stack([-two.log(), 100 - two.log()]))
    assert torch.allclose(log_odds(logits, torch.tensor([1, 0])), torch.stack([-two.log(), 100 - two.log()]))


def test_in_a_linear_model_a_word_has_what_its_pieces_add() -> None:
    tokenizer = load_tokenizer()
    model = Linear(len(tokenizer))
    with torch.no_grad():
        model.table.weight.zero_()
        model.table.weight[tokenizer.mask_token_id, 0] = 1.0
        for piece in ("un", "##bel"):
            model.table.weight[tokenizer.convert_tokens_to_ids(piece), 0] = 3.0
    pieces = tokenizer.tokenize("unbelievable")
    found = {own.word: own.share for own in word_shares(model, tokenizer, TEXT, 1, max_length=64, points=1)}
    assert found["win"] == pytest.approx(-1.0)  # from the mask's 1 to its own 0
    wanted = sum(model.table.weight[tokenizer.convert_tokens_to_ids(piece), 0].item() - 1 for piece in pieces)
    assert found["unbelievable"] == pytest.approx(wanted)


def test_the_shares_add_up_to_what_the_words_change_and_the_mode_comes_back() -> None:
    tokenizer = load_tokenizer()
    torch.manual_seed(0)
    model = tiny_classifier(vocab_size=len(tokenizer), num_labels=3, initializer_range=0.3).train()
    shares = word_shares(model, tokenizer, TEXT, 2, max_length=64, points=400)
    assert model.training
    model.eval()
    encoded = tokenizer(TEXT, return_tensors="pt")
    masked = encoded["input_ids"].clone()
    masked[0, 1:-1] = tokenizer.mask_token_id
    with torch.inference_mode():
        ends = [log_odds(model(input_ids=ids).logits, 2).item() for ids in (encoded["input_ids"], masked)]
    assert sum(own.share for own in shares) == pytest.approx(ends[0] - ends[1], abs=0.01)


@pytest.mark.parametrize("kind", ["fine-tuned", "frozen features"])
def test_a_text_has_the_same_shares_alone_and_among_longer_ones(kind: str) -> None:
    tokenizer = load_tokenizer()
    model = tiny_classifier(vocab_size=len(tokenizer), num_labels=3, initializer_range=0.3).eval()
    if kind == "frozen features":
        model = mean_classifier(model.bert, torch.randn(3, 16), torch.zeros(3), ["a", "b", "c"])
    texts = [TEXT, "an owl", f"{TEXT} {TEXT} {TEXT}"]
    together = shares_of(model, tokenizer, texts, [0, 1, 2], 16, token_budget=48, temperature=2.0)
    for text, label, found in zip(texts, range(3), together, strict=True):
        (alone,) = shares_of(model, tokenizer, [text], [label], 16, temperature=2.0)
        assert [own[0] for own in found] == [own[0] for own in alone]
        assert [own.share for own in found] == pytest.approx([own.share for own in alone], abs=1e-5)


def test_of_a_long_text_the_words_that_are_read_have_shares() -> None:
    tokenizer = load_tokenizer()
    model = tiny_classifier(vocab_size=len(tokenizer), num_labels=3)
    text = "one two three four five six seven eight nine ten"
    (found,) = shares_of(model, tokenizer, [text], [0], 6, policy="head+tail", points=1)  # a quarter of 4 from the head
    assert [text[own.start : own.end] for own in found] == ["one", "eight", "nine", "ten"]


def test_a_word_knows_where_it_stands_and_words_beyond_the_limit_have_no_share() -> None:
    tokenizer = load_tokenizer()
    model = tiny_classifier(vocab_size=len(tokenizer), num_labels=3)
    shares = word_shares(model, tokenizer, TEXT, 0, max_length=5, points=1)  # [CLS], three words, [SEP]
    assert [TEXT[own.start : own.end] for own in shares] == ["Chelsea", "win", "the"]


def test_words_are_cut_out_wherever_they_stand() -> None:
    words = [WordShare("win", 1.0, 8, 11), WordShare("Chelsea", 1.0, 0, 7)]
    assert without_words("Chelsea win the cup", words) == "  the cup"
