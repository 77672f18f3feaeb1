"""Which words of a text spoke for an answer: integrated gradients from the masked text (Sundararajan et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from transformers import BertForSequenceClassification, PreTrainedTokenizerBase

__all__ = ["WordShare", "log_odds", "without_words", "word_shares"]


class WordShare(NamedTuple):
    """A word, where it stands in the text (``text[start:end]``), and its share of an answer's log-odds."""

    word: str
    share: float
    start: int
    end: int


def log_odds(logits: torch.Tensor, label: int) -> torch.Tensor:
    """ln(p / (1 - p)) of one label ``[texts]`` from ``logits`` ``[texts, labels]``; exact also where p rounds to 1."""
    others = torch.arange(logits.shape[1], device=logits.device) != label
    return logits[:, label] - torch.logsumexp(logits[:, others], dim=1)


def word_shares(
    model: BertForSequenceClassification,
    tokenizer: PreTrainedTokenizerBase,
    text: str,
    label: int,
    max_length: int,
    points: int = 8,
) -> list[WordShare]:
    """Each word's share of the way from the masked text to the text, measured in the log-odds of ``label``.

    Every piece but [CLS] and [SEP] starts as [MASK]. The gradient is taken at ``points`` places between there and the
    text and averaged; times the way, summed over the pieces of a word, it is the word's share. The shares add up to the
    difference of the log-odds, the more exactly the more points. Words beyond ``max_length`` tokens have none.
    """
    device = next(model.parameters()).device
    encoded = tokenizer(text, truncation=True, max_length=max_length, return_tensors="pt").to(device)
    table = cast(torch.nn.Embedding, model.get_input_embeddings())
    vectors = table(encoded["input_ids"]).detach()  # [1, length, width]
    masked = vectors.clone()
    masked[0, 1:-1] = table.weight[tokenizer.mask_token_id].detach()
    places = (torch.arange(points, device=device) + 0.5) / points
    way = (masked + places[:, None, None] * (vectors - masked)).requires_grad_()  # [points, length, width]
    gradient = _gradient(model, way, encoded["attention_mask"].expand(points, -1), label)
    pieces = (gradient.mean(dim=0) * (vectors - masked)[0]).sum(dim=-1).tolist()
    totals: dict[int, float] = {}
    for word, share in zip(encoded.word_ids(), pieces, strict=True):
        if word is not None:  # None marks [CLS] and [SEP]
            totals[word] = totals.get(word, 0.0) + share
    spans = {word: encoded.word_to_chars(word) for word in totals}
    return [WordShare(text[s.start : s.end], totals[word], s.start, s.end) for word, s in spans.items()]


def _gradient(
    model: BertForSequenceClassification, vectors: torch.Tensor, attention_mask: torch.Tensor, label: int
) -> torch.Tensor:
    """The gradient of the log-odds by the input vectors, without dropout; the model's mode comes back."""
    was_training = model.training
    model.eval()
    try:
        logits = model(inputs_embeds=vectors, attention_mask=attention_mask).logits
        return torch.autograd.grad(log_odds(logits, label).sum(), vectors)[0]
    finally:
        model.train(was_training)


def without_words(text: str, words: Sequence[WordShare]) -> str:
    """The text with these words cut out."""
    for found in sorted(words, key=lambda word: -word.start):  # from the end, so that earlier places hold
        text = text[: found.start] + text[found.end :]
    return text
