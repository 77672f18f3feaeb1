"""From texts to batches: encode, truncate, pad, group by length, load."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from datasets import Dataset as TextDataset
from torch.utils.data import DataLoader, Dataset, Sampler
from transformers import PreTrainedTokenizerBase

from bertft_helpers.errors import UserError

Batch = dict[str, torch.Tensor]
POLICIES = ("head", "tail", "head+tail")
IGNORE = -100  # a label that no loss counts
CHUNK = 256  # texts for the tokenizer at a time: what it makes beside the ids never piles up


def encode(texts: Collection[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """The token ids of each text, [CLS] first and [SEP] last, at full length. Written out in lesson 10."""
    options = {"truncation": False, "padding": False, "return_attention_mask": False, "verbose": False}
    texts = list(texts)
    chunks = (texts[start : start + CHUNK] for start in range(0, len(texts), CHUNK))
    return list(itertools.chain.from_iterable(tokenizer(chunk, **options)["input_ids"] for chunk in chunks))


def truncate(ids: list[int], max_length: int, policy: str = "head") -> list[int]:
    """At most ``max_length`` ids, [CLS] and [SEP] kept; the text's head, its tail, or a quarter head and the rest tail.

    Head and tail together follow Sun et al. 2019 (128 + 382 of 510). Raises ValueError for another policy or a length
    that leaves no room for text. Written out in lesson 11.
    """
    if policy not in POLICIES:
        raise UserError(f"there is no truncation policy {policy!r}; choose one of {', '.join(POLICIES)}")
    if max_length < 3:
        raise UserError(f"max_length is {max_length}; [CLS], [SEP] and one token need at least 3")
    if len(ids) <= max_length:
        return ids
    first, text, last = ids[:1], ids[1:-1], ids[-1:]
    room = max_length - 2
    head = {"head": room, "tail": 0, "head+tail": room // 4}[policy]
    tail = room - head
    return first + text[:head] + text[len(text) - tail :] + last


def pad_batch(examples: Sequence[dict], pad_id: int = 0) -> Batch:
    """Examples of several lengths as one rectangular batch.

    Returns ``input_ids`` and ``attention_mask`` ``[batch, longest]``, and ``[batch]`` vectors of the single numbers
    that the examples hold (``labels``, ``rows``). Labels of each token become ``[batch, longest]``, filled with -100.
    Written out in lesson 11.
    """
    longest = max(len(example["input_ids"]) for example in examples)
    input_ids = torch.full((len(examples), longest), pad_id, dtype=torch.long)
    attention_mask = torch.zeros_like(input_ids)
    for row, example in enumerate(examples):
        length = len(example["input_ids"])
        input_ids[row, :length] = torch.tensor(example["input_ids"])
        attention_mask[row, :length] = 1
    others = {name: [example[name] for example in examples] for name in examples[0] if name != "input_ids"}
    columns = {name: pad_column(values, IGNORE if name == "labels" else 0) for name, values in others.items()}
    return {"input_ids": input_ids, "attention_mask": attention_mask, **columns}


def pad_column(values: Sequence, filler: int) -> torch.Tensor:
    """One value an example as a tensor: ``[batch]`` for numbers, ``[batch, longest]`` for lists, filled at the end."""
    if not isinstance(values[0], list):
        return torch.tensor(values)
    longest = max(map(len, values))
    return torch.tensor([value + [filler] * (longest - len(value)) for value in values])


class EncodedTexts(Dataset):
    """Encoded examples for a DataLoader: token ids, a label and the row number each; ``pad_id`` fills their batches.

    A label may be a list: one number for each token.
    """

    def __init__(self, input_ids: list[list[int]], labels: Sequence[int | list[int]], pad_id: int = 0) -> None:
        if len(input_ids) != len(labels):
            raise UserError(f"{len(input_ids)} texts but {len(labels)} labels")
        self.input_ids = input_ids
        self.labels: list[Any] = list(labels)  # each a number, or a list of them
        self.pad_id = pad_id

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitem__(self, row: int) -> dict:
        return {"input_ids": self.input_ids[row], "labels": self.labels[row], "rows": row}

    @property
    def lengths(self) -> list[int]:
        """The number of tokens of each text."""
        return [len(ids) for ids in self.input_ids]


def encode_dataset(
    dataset: TextDataset, tokenizer: PreTrainedTokenizerBase, max_length: int = 512, policy: str = "head"
) -> EncodedTexts:
    """A data set's texts, encoded and truncated, with their labels."""
    encoded = encode(dataset["text"][:], tokenizer)
    shortened = [truncate(ids, max_length, policy) for ids in encoded]
    return EncodedTexts(shortened, dataset["label"][:], tokenizer.pad_token_id or 0)


class BucketBatchSampler(Sampler[list[int]]):
    """Batches of texts of similar length, in an order that depends on (seed, epoch) and nothing else.

    All rows are shuffled and cut into windows of ``window`` batches; each window is sorted by length and cut into
    batches; the batches are shuffled. Every row comes once an epoch; one batch may be short. With ``seed=None`` rows
    are sorted by length without shuffling, which suits evaluation. Written out in lesson 13.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int | None, window: int = 50) -> None:
        if batch_size < 1 or len(lengths) == 0:
            raise UserError(f"batch_size is {batch_size} for {len(lengths)} texts; both must be at least 1")
        self.lengths = torch.tensor(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.window = window
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose which epoch's order the next iteration gives."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        if self.seed is None:
            return iter(self._batches(torch.arange(len(self.lengths))))
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        shuffled = torch.randperm(len(self.lengths), generator=generator)
        windows = shuffled.split(self.window * self.batch_size)
        batches = [batch for rows in windows for batch in self._batches(rows)]
        order = torch.randperm(len(batches), generator=generator)
        return iter([batches[position] for position in order])

    def _batches(self, rows: torch.Tensor) -> list[list[int]]:
        by_length = rows[torch.argsort(self.lengths[rows], stable=True)]
        return [batch.tolist() for batch in by_length.split(self.batch_size)]


def make_loader(
    examples: EncodedTexts, batch_size: int, seed: int | None = None, pad_id: int | None = None
) -> DataLoader:
    """A loader of padded batches: length buckets in an order by (seed, epoch), or sorted by length without a seed.

    Batches are filled with ``pad_id``, or with the examples' own. Use ``loader.batch_sampler.set_epoch(epoch)`` before
    each epoch. Written out in lesson 13.
    """
    sampler = BucketBatchSampler(examples.lengths, batch_size, seed)
    filler = examples.pad_id if pad_id is None else pad_id
    return DataLoader(examples, batch_sampler=sampler, collate_fn=partial(pad_batch, pad_id=filler))


def set_epoch(loader: DataLoader, epoch: int) -> None:
    """Choose the epoch whose order comes next, wherever a loader keeps it; a loader without epochs stays as it is."""
    keepers = (loader, *(getattr(loader, name, None) for name in ("batch_sampler", "sampler", "dataset")))
    for keeper in keepers:
        if callable(choose := getattr(keeper, "set_epoch", None)):
            choose(epoch)


def column_of(batch: Batch, name: str) -> torch.Tensor:
    """A column of a batch. Raises UserError naming the columns that are there instead."""
    if name not in batch:
        raise UserError(
            f"a batch has no {name!r}, only {', '.join(map(repr, batch))}; name the data set's column {name!r}, or "
            "give the loader a collate_fn that adds it (transformers' DataCollatorWithPadding turns label into labels)"
        )
    return batch[name]


def move_batch(batch: Batch, device: torch.device) -> Batch:
    """The batch with every tensor on ``device``; what is no tensor stays as it is. Raises UserError for no mapping."""
    if not isinstance(batch, Mapping):
        raise UserError(
            f"a batch is a {type(batch).__name__}; a dictionary of tensors is needed, with input_ids, attention_mask "
            "and labels, such as batching.make_loader or transformers' DataCollatorWithPadding give"
        )
    return {
        name: column.to(device, non_blocking=True) if isinstance(column, torch.Tensor) else column
        for name, column in batch.items()
    }
