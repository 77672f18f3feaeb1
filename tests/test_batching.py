"""Batches: nothing lost, nothing doubled, little padding, and an order that depends on (seed, epoch) alone."""

from __future__ import annotations

import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bertft_helpers.batching import (
    CHUNK,
    POLICIES,
    BucketBatchSampler,
    EncodedTexts,
    encode,
    encode_dataset,
    make_loader,
    pad_batch,
    truncate,
)
from bertft_helpers.data import load_texts
from bertft_helpers.pretrained import load_tokenizer

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=200)
ID_LISTS = st.lists(st.lists(st.integers(1, 30_000), min_size=1, max_size=20), min_size=1, max_size=8)


@settings(deadline=None, max_examples=60)
@given(lengths=LENGTHS, batch_size=st.integers(1, 17), seed=st.none() | st.integers(0, 99), epoch=st.integers(0, 5))
def test_every_text_comes_exactly_once_an_epoch(
    lengths: list[int], batch_size: int, seed: int | None, epoch: int
) -> None:
    sampler = BucketBatchSampler(lengths, batch_size, seed, window=3)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert max(map(len, batches)) <= batch_size
    assert len(batches) == len(sampler)  # the schedule is planned by this number
    assert sum(len(batch) < batch_size for batch in batches) <= 1


@settings(deadline=None, max_examples=30)
@given(lengths=LENGTHS, seed=st.integers(0, 99), epoch=st.integers(0, 5))
def test_the_order_is_a_function_of_seed_and_epoch(lengths: list[int], seed: int, epoch: int) -> None:
    def order() -> list[list[int]]:
        sampler = BucketBatchSampler(lengths, 4, seed)
        sampler.set_epoch(epoch)
        torch.rand(3)  # whatever else draws numbers
        return list(sampler)

    assert order() == order()


def test_other_epochs_and_seeds_have_other_orders() -> None:
    lengths = [row % 13 + 3 for row in range(100)]
    orders = set()
    for seed in range(3):
        sampler = BucketBatchSampler(lengths, 4, seed)
        for epoch in range(3):
            sampler.set_epoch(epoch)
            orders.add(str(list(sampler)))
    assert len(orders) == 9


def test_buckets_pad_less_than_a_random_order() -> None:
    lengths = [(7 * row) % 50 + 1 for row in range(400)]
    batches = list(BucketBatchSampler(lengths, 8, seed=0))
    bucketed = sum(len(batch) * max(lengths[row] for row in batch) for batch in batches)
    random = sum(8 * max(lengths[start : start + 8]) for start in range(0, 400, 8))
    assert bucketed < 1.1 * sum(lengths) < random


@settings(deadline=None)
@given(ids=ID_LISTS, pad_id=st.integers(0, 5))
def test_padding_can_be_undone_by_the_mask(ids: list[list[int]], pad_id: int) -> None:
    batch = pad_batch([{"input_ids": row} for row in ids], pad_id)
    restored = [
        row[mask.bool()].tolist() for row, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
    ]
    assert restored == ids
    assert batch["input_ids"].shape == (len(ids), max(map(len, ids)))
    assert (batch["input_ids"][batch["attention_mask"] == 0] == pad_id).all()


def test_padding_equals_the_tokenizers() -> None:
    tokenizer = load_tokenizer()
    ids = encode(["Shares fall", "A much longer headline about shares", ""], tokenizer)
    expected = tokenizer.pad({"input_ids": ids}, return_tensors="pt")
    batch = pad_batch([{"input_ids": row} for row in ids], tokenizer.pad_token_id)
    assert torch.equal(batch["input_ids"], expected["input_ids"])
    assert torch.equal(batch["attention_mask"], expected["attention_mask"])


@pytest.mark.parametrize("count", [0, 1, CHUNK, 2 * CHUNK + 1])
def test_texts_are_encoded_one_by_one_whatever_their_number(count: int) -> None:
    tokenizer = load_tokenizer()
    texts = {number: f"Shares fall by {number} points" for number in range(count)}
    assert encode(texts.values(), tokenizer) == [tokenizer(text)["input_ids"] for text in texts.values()]


@settings(deadline=None)
@given(length=st.integers(2, 80), max_length=st.integers(3, 60), policy=st.sampled_from(POLICIES))
def test_truncation_keeps_both_ends_and_fills_the_limit(length: int, max_length: int, policy: str) -> None:
    ids = [101, *range(1, length - 1), 102]
    cut = truncate(ids, max_length, policy)
    assert len(cut) == min(length, max_length)
    assert (cut[0], cut[-1]) == (101, 102)
    text = cut[1:-1]
    assert text == sorted(text)
    if length > max_length:
        head = {"head": max_length - 2, "tail": 0, "head+tail": (max_length - 2) // 4}[policy]
        assert text[:head] == list(range(1, head + 1))
        assert text[head:] == list(range(length - 1 - (max_length - 2 - head), length - 1))


def test_an_unknown_policy_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no truncation policy 'middle'; choose one of head, tail, head"):
        truncate([1, 2, 3, 4], 3, "middle")


def test_a_loader_names_the_row_of_each_text() -> None:
    examples = EncodedTexts([[2, 3], [2, 5, 6, 3], [2, 5, 3]], [0, 1, 0])
    (batch,) = make_loader(examples, 8)
    assert batch["rows"].tolist() == [0, 2, 1]
    assert batch["labels"].tolist() == [0, 0, 1]
    assert batch["input_ids"].tolist() == [[2, 3, 0, 0], [2, 5, 3, 0], [2, 5, 6, 3]]  # 0 is BERT's [PAD]


def test_what_makes_batches_can_be_sent_to_a_worker_that_is_started_afresh() -> None:
    loader = make_loader(EncodedTexts([[101, 7, 102], [101, 102]], [0, 1], pad_id=9), 2)
    sent, collate = pickle.loads(pickle.dumps((loader.dataset, loader.collate_fn)))
    assert collate([sent[0], sent[1]])["input_ids"].tolist() == [[101, 7, 102], [101, 102, 9]]


def test_without_a_seed_the_order_is_by_length_and_never_changes() -> None:
    sampler = BucketBatchSampler([5, 2, 9, 2, 4], 2, seed=None)
    sampler.set_epoch(3)
    assert list(sampler) == list(sampler) == [[1, 3], [4, 0], [2]]


def test_a_data_set_is_encoded_with_its_labels_and_cut() -> None:
    news = load_texts("news").select([0, 900, 2000])
    examples = encode_dataset(news, load_tokenizer(), max_length=20, policy="tail")
    assert examples.lengths == [20, 20, 20]
    assert examples.labels == list(news["label"])
