"""Lesson A1: stretches of stories, the rule of 80, 10 and 10, the loss at hidden places, blanks filled in."""

from typing import Any

import torch
from graduation import Case, Functions
from minimal import tiny_config
from transformers import BertForMaskedLM

from bertft_helpers.batching import encode, make_loader
from bertft_helpers.masking import MaskedTexts
from bertft_helpers.pretrained import load_tokenizer

TEXTS = ["shares in domecq rose", "the budget", "they beat arsenal in the final on sunday"]
BLANKS = ["the [MASK] rose on tuesday", "[MASK]", "a [MASK] and a [MASK]"]


def tiny_masked_model() -> BertForMaskedLM:
    torch.manual_seed(0)
    return BertForMaskedLM(tiny_config(vocab_size=30_522)).train()


def cut(functions: Functions) -> Any:
    return [functions["cut_stretches"]([list(range(count)), [0, 9]], 6) for count in range(2, 16)]


def hidden(functions: Functions) -> Any:
    ids = torch.arange(2, 602).reshape(20, 30)
    special, generator = ids % 10 == 0, torch.Generator().manual_seed(0)
    return [functions["mask_pieces"](ids, special, 4, 30_522, generator, share) for share in (0.15, 0.9)]


def lost(functions: Functions) -> Any:
    tokenizer, model = load_tokenizer("bundled"), tiny_masked_model().eval()
    (batch,) = make_loader(MaskedTexts(encode(TEXTS, tokenizer), tokenizer, 0, share=0.5), 3)
    summed, targets = functions["masked_word_loss"](model, batch)
    return summed.detach(), targets


def filled(functions: Functions) -> Any:
    model = tiny_masked_model()
    return functions["fill_blanks"](model, load_tokenizer("bundled"), BLANKS, 3), model.training


CASES = [
    Case("masking.cut_stretches", cut, {"[SEP] twice": ("len(ids) - 1)],", "len(ids))],")}),
    Case(
        "masking.mask_pieces",
        hidden,
        {
            "special pieces too": ("torch.where(special, 0.0, share)", "torch.full(special.shape, share)"),
            "a hidden one is swapped too": ("chosen & ~hidden &", "chosen &"),
            "only [MASK] is to be guessed": ("masked_fill(~chosen, IGNORE)", "masked_fill(~hidden, IGNORE)"),
        },
    ),
    Case(
        "masking.masked_word_loss",
        lost,
        {
            "a mean": ('reduction="sum"', 'reduction="mean"'),
            "every place counts": ("wanted.sum()", "torch.tensor(labels.numel())"),
        },
    ),
    Case(
        "blanks.fill_blanks",
        filled,
        {
            "dropout stays on": ("with evaluation_mode(model):", "with torch.no_grad():"),
            "in the order of the batches": ('batch["rows"][rows]', 'batch["rows"].sort().values[rows]'),
            "scores instead of probabilities": (".softmax(dim=-1)", ""),
        },
    ),
]
