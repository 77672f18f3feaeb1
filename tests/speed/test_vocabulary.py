"""A compact word-embedding table trains the very same model."""

from __future__ import annotations

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from bertft_helpers.batching import pad_batch
from bertft_helpers.config import TrainConfig
from bertft_helpers.optim import linear_warmup, parameter_groups
from bertft_helpers.speed.vocabulary import CompactEmbedding, compact_vocabulary, restore_vocabulary
from bertft_helpers.training import train_step

TEXTS = [[2, 11, 12, 3], [2, 13, 3], [2, 11, 14, 15, 3], [2, 16, 12, 13, 11, 3]]
UNSEEN = torch.tensor([[2, 40, 41, 3]])


def tiny_model() -> BertForSequenceClassification:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, num_labels=3
    )
    return BertForSequenceClassification(config)


def trained(compact: bool, steps: int = 8) -> BertForSequenceClassification:
    """The model after a few steps with weight decay, clipping and dropout."""
    model = tiny_model()
    stand_in = compact_vocabulary(model, TEXTS) if compact else None
    config = TrainConfig(learning_rate=5e-3, weight_decay=0.3)
    optimizer = torch.optim.AdamW(parameter_groups(model, config.learning_rate, config.weight_decay), fused=True)
    if stand_in is not None:
        stand_in.follow(optimizer)
    schedule = linear_warmup(optimizer, steps)
    batch = pad_batch([{"input_ids": ids, "labels": number % 3} for number, ids in enumerate(TEXTS)])
    model.train()
    torch.manual_seed(1)
    for _ in range(steps):
        train_step(model, [batch], optimizer, schedule, config)
    return model.eval()


def logits(model: BertForSequenceClassification, input_ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=input_ids, attention_mask=torch.ones_like(input_ids)).logits


def test_training_in_a_compact_vocabulary_gives_the_same_parameters() -> None:
    plain, compact = trained(compact=False), trained(compact=True)
    restore_vocabulary(compact)
    expected = plain.state_dict()
    found = compact.state_dict()
    assert found.keys() == expected.keys()
    assert max((found[name] - expected[name]).abs().max().item() for name in expected) < 1e-6


def test_the_rows_that_never_occur_are_decayed_and_not_forgotten() -> None:
    start, compact = tiny_model(), trained(compact=True)
    restore_vocabulary(compact)
    before = start.get_input_embeddings().weight[40]
    after = compact.get_input_embeddings().weight[40]
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after / before, torch.full_like(before, (after / before)[0].item()))


def test_unseen_word_pieces_are_read_right_before_the_table_is_restored() -> None:
    compact = trained(compact=True)
    in_place = logits(compact, UNSEEN)
    restore_vocabulary(compact)
    torch.testing.assert_close(in_place, logits(compact, UNSEEN))


def test_a_training_text_outside_the_vocabulary_is_refused_by_its_ids() -> None:
    model = tiny_model().train()
    compact_vocabulary(model, TEXTS)
    with pytest.raises(ValueError, match=r"token ids \[40, 41\] are not in the compact vocabulary"):
        model(input_ids=UNSEEN)


def test_an_optimizer_from_before_is_refused() -> None:
    model = tiny_model()
    optimizer = torch.optim.AdamW(model.parameters())
    with pytest.raises(ValueError, match="build it afterwards"):
        compact_vocabulary(model, TEXTS).follow(optimizer)


def test_only_the_used_rows_are_trainable() -> None:
    model = tiny_model()
    compact_vocabulary(model, TEXTS)
    table = model.get_input_embeddings()
    assert isinstance(table, CompactEmbedding)
    assert [name for name, p in table.named_parameters() if p.requires_grad] == ["weight"]
    assert table.weight.shape == (len({0}.union(*TEXTS)), 16)


def test_restoring_twice_changes_nothing_more() -> None:
    model = trained(compact=True)
    restore_vocabulary(model)
    once = model.get_input_embeddings().weight.clone()
    restore_vocabulary(model)
    assert torch.equal(model.get_input_embeddings().weight, once)
