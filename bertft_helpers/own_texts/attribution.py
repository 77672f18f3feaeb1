"""Which words of a text spoke for an answer: integrated gradients from the masked text (Sundararajan et al. 2017)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, cast

import torch
from torch import nn
from transformers import BatchEncoding, PreTrainedModel, PreTrainedTokenizerBase

from bertft_helpers.batching import Batch, move_batch, pad_batch, truncate
from bertft_helpers.first_token import first_token_only
from bertft_helpers.inference import batches_within
from bertft_helpers.losses import forward_logits

__all__ = ["POINTS", "Odds", "WordShare", "log_odds", "log_odds_alone", "shares_of", "without_words", "word_shares"]

Odds = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # as log_odds, with a label for each text
POINTS = 8  # on the way from the masked text to the text


class WordShare(NamedTuple):
    """A word, where it stands in the text (``text[start:end]``), and its share of an answer's log-odds."""

    word: str
    share: float
    start: int
    end: int


def log_odds(logits: torch.Tensor, label: int | torch.Tensor) -> torch.Tensor:
    """ln(p / (1 - p)) ``[texts]`` of one label, or of a label for each text, from ``logits`` ``[texts, labels]``.

    Exact also where p rounds to 1.
    """
    labels = torch.as_tensor(label, device=logits.device).reshape(-1, 1)
    own = torch.arange(logits.shape[1], device=logits.device) == labels  # [texts or 1, labels]
    return (logits * own).sum(dim=1) - torch.logsumexp(logits.masked_fill(own, -torch.inf), dim=1)


def log_odds_alone(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """ln(p / (1 - p)) ``[texts]`` of a label for each text, where a label's p is the sigmoid of its own logit."""
    return logits.gather(1, labels.reshape(-1, 1)).squeeze(1)


def word_shares(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    text: str,
    label: int,
    max_length: int,
    points: int = POINTS,
) -> list[WordShare]:
    """Each word's share of the way from the masked text to the text, measured in the log-odds of ``label``.

    Every piece but [CLS] and [SEP] starts as [MASK]. The gradient is taken at ``points`` places between there and the
    text and averaged; times the way, summed over the pieces of a word, it is the word's share. The shares add up to the
    difference of the log-odds, the more exactly the more points. Words beyond ``max_length`` tokens have none.
    """
    return shares_of(model, tokenizer, [text], [label], max_length, points=points)[0]


def shares_of(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    labels: Sequence[int],
    max_length: int,
    policy: str = "head",
    token_budget: int = 1024,
    temperature: float = 1.0,
    points: int = POINTS,
    odds: Odds = log_odds,
) -> list[list[WordShare]]:
    """What ``word_shares`` gives for each of some texts with a label each, in batches of ``token_budget`` tokens.

    Texts are cut by ``policy`` (``batching.truncate``), and logits divided by ``temperature``; ``odds`` are what is
    shared out.
    """
    if not texts:
        return []  # tokenizers refuse an empty list
    device = next(model.parameters()).device
    encoded = tokenizer(list(texts), verbose=False)
    kept = [truncate(list(range(len(ids))), max_length, policy) for ids in encoded["input_ids"]]  # the pieces' places
    ids = [[own[place] for place in places] for own, places in zip(encoded["input_ids"], kept, strict=True)]
    found: list[list[WordShare]] = [[] for _ in texts]
    for rows in batches_within([len(own) for own in ids], token_budget):
        batch = move_batch(pad_batch([{"input_ids": ids[row]} for row in rows], tokenizer.pad_token_id), device)
        of_batch = torch.tensor([labels[row] for row in rows], device=device)
        pieces = _piece_shares(model, batch, of_batch, tokenizer.mask_token_id, temperature, points, odds)
        for row, own in zip(rows, pieces.tolist(), strict=True):
            found[row] = _by_word(texts[row], encoded, row, kept[row], own)
    return found


def _piece_shares(
    model: PreTrainedModel,
    batch: Batch,
    labels: torch.Tensor,
    mask_id: int,
    temperature: float,
    points: int,
    odds: Odds,
) -> torch.Tensor:
    """The share of each piece ``[texts, length]``; [CLS], [SEP] and padding have 0."""
    table = cast(nn.Embedding, model.get_input_embeddings())
    ids, lengths = batch["input_ids"], batch["attention_mask"].sum(dim=1, keepdim=True)
    place = torch.arange(ids.shape[1], device=ids.device)
    inner = (place > 0) & (place < lengths - 1)
    vectors = table(ids).detach()  # [texts, length, width]
    masked = table(ids.masked_fill(inner, mask_id)).detach()
    way, summed = vectors - masked, torch.zeros_like(vectors)
    for point in range(points):
        between = (masked + (point + 0.5) / points * way).requires_grad_()
        with _without_dropout(model), _reading(table, between), first_token_only(model):
            logits = forward_logits(model, batch) / temperature
        summed += torch.autograd.grad(odds(logits, labels).sum(), between)[0]
    return (summed / points * way).sum(dim=-1)


@contextlib.contextmanager
def _without_dropout(model: nn.Module) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


@contextlib.contextmanager
def _reading(table: nn.Embedding, vectors: torch.Tensor) -> Iterator[None]:
    """Let the table answer with these vectors inside, whatever it is asked."""
    handle = table.register_forward_hook(lambda *_: vectors)
    try:
        yield
    finally:
        handle.remove()


def _by_word(
    text: str, encoded: BatchEncoding, row: int, places: Sequence[int], shares: Sequence[float]
) -> list[WordShare]:
    """The words of a text with the sums over their pieces, which stand at ``places``; ``shares`` may go on, padded."""
    word_of, totals = encoded.word_ids(row), dict[int, float]()
    for place, share in zip(places, shares, strict=False):
        if (word := word_of[place]) is not None:  # None marks [CLS] and [SEP]
            totals[word] = totals.get(word, 0.0) + share
    spans = {word: encoded.word_to_chars(row, word) for word in totals}
    return [WordShare(text[s.start : s.end], totals[word], s.start, s.end) for word, s in spans.items()]


def without_words(text: str, words: Sequence[WordShare]) -> str:
    """The text with these words cut out."""
    for found in sorted(words, key=lambda word: -word.start):  # from the end, so that earlier places hold
        text = text[: found.start] + text[found.end :]
    return text
