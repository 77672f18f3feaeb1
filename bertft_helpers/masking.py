"""Train BERT on masked words: what is hidden from it, the head that guesses, and its loss.

The rule of Devlin et al. 2019: of the pieces that are chosen to be guessed, 80 % become [MASK], 10 % a random piece,
and 10 % stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch.nn.functional import cross_entropy
from transformers import BertForMaskedLM, PreTrainedTokenizerBase

from bertft_helpers.batching import IGNORE, Batch, EncodedTexts, column_of
from bertft_helpers.errors import UserError
from bertft_helpers.model_files.contents import require_kind
from bertft_helpers.model_files.loading import HEADS, POOLER, load_model
from bertft_helpers.models import encoder_of
from bertft_helpers.pretrained import find_checkpoint
from bertft_helpers.runtime import set_seeds

__all__ = ["SHARE", "MaskedTexts", "build_masked_model", "cut_stretches", "mask_pieces", "masked_word_loss"]

SHARE = 0.15  # of the pieces are chosen to be guessed, as in BERT's own pre-training


def build_masked_model(checkpoint: str, seed: int) -> BertForMaskedLM:
    """transformers' BERT with the head that guesses words, tied to its word embeddings.

    The head is the checkpoint's where it has one, and drawn from ``seed`` where it has none. Raises UserError for
    another architecture and what ``loading.load_model`` raises.
    """
    folder = find_checkpoint(checkpoint)
    require_kind(folder, "bert")
    set_seeds(seed)
    return cast(BertForMaskedLM, load_model(BertForMaskedLM, folder, new=("cls.",), unused=(*HEADS, *POOLER)))


def cut_stretches(input_ids: Sequence[list[int]], length: int) -> list[list[int]]:
    """Texts' ids in stretches of at most ``length``, each between the text's own [CLS] and [SEP]; nothing is left out.

    Raises UserError for a length without room for a piece. Written out in lesson A1.
    """
    if length < 3:
        raise UserError(f"length is {length}; [CLS], [SEP] and one piece need at least 3")
    room = length - 2
    return [
        [ids[0], *ids[start : min(start + room, len(ids) - 1)], ids[-1]]
        for ids in input_ids
        for start in range(1, len(ids) - 1, room)
    ]


def mask_pieces(
    input_ids: torch.Tensor,
    special: torch.Tensor,
    mask_id: int,
    vocab_size: int,
    generator: torch.Generator | None = None,
    share: float = SHARE,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids with some hidden, and labels: the true piece where one is to be guessed, -100 elsewhere.

    Both have the shape of ``input_ids``; where ``special`` is True nothing is hidden. The same draws give the same
    pieces as transformers' ``DataCollatorForLanguageModeling``. Written out in lesson A1.
    """
    chosen = torch.bernoulli(torch.where(special, 0.0, share), generator=generator).bool()
    hidden = chosen & torch.bernoulli(torch.full(input_ids.shape, 0.8), generator=generator).bool()
    others = chosen & ~hidden & torch.bernoulli(torch.full(input_ids.shape, 0.5), generator=generator).bool()
    random_pieces = torch.randint(vocab_size, input_ids.shape, generator=generator)
    seen = torch.where(others, random_pieces, input_ids.masked_fill(hidden, mask_id))
    return seen, input_ids.masked_fill(~chosen, IGNORE)


class MaskedTexts(EncodedTexts):
    """Encoded texts of which each is masked anew every epoch; what is hidden depends on (seed, epoch, row) alone.

    Raises UserError for a share outside (0, 1].
    """

    def __init__(
        self, input_ids: list[list[int]], tokenizer: PreTrainedTokenizerBase, seed: int, share: float = SHARE
    ) -> None:
        if not 0 < share <= 1:
            raise UserError(f"share is {share}; it must be above 0 and at most 1, such as {SHARE}")
        super().__init__(input_ids, input_ids, cast(int, tokenizer.pad_token_id))  # a piece is its own label
        self.special = torch.tensor(tokenizer.all_special_ids)
        self.mask_id, self.vocab_size = cast(int, tokenizer.mask_token_id), len(tokenizer)
        self.seed, self.share, self.epoch = seed, share, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose masks come next."""
        self.epoch = epoch

    def __getitem__(self, row: int) -> dict:
        generator = torch.Generator().manual_seed((self.seed * 10_007 + self.epoch) * 1_000_003 + row)
        ids = torch.tensor(self.input_ids[row])
        special = torch.isin(ids, self.special)
        seen, labels = mask_pieces(ids, special, self.mask_id, self.vocab_size, generator, self.share)
        return {"input_ids": seen.tolist(), "labels": labels.tolist(), "rows": row}


def masked_word_loss(model: BertForMaskedLM, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy summed over the hidden pieces, and their number; the head is run on those places alone.

    Written out in lesson A1.
    """
    labels = column_of(batch, "labels")
    hidden = encoder_of(model)(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
    wanted = labels != IGNORE
    scores = model.cls(hidden[wanted]).float()  # [hidden pieces, vocabulary] instead of [batch, length, vocabulary]
    return cross_entropy(scores, labels[wanted], reduction="sum"), wanted.sum()
