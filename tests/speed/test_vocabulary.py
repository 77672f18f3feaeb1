"""A compact word-embedding table trains the very same model."""

from __future__ import annotations

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from bertft_helpers.batching import EncodedTexts, make_loader, pad_batch
from bertft_helpers.config import TrainConfig
from bertft_helpers.losses import classification_loss
from bertft_helpers.optim import build_optimizer
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


def steep_loss(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """A hundred times the loss: a gradient that the largest scale makes overflow. Clipping takes the factor out."""
    loss, targets = classification_loss(model, batch)
    return 100 * loss, targets


def trained(
    compact: bool, steps: int = 8, frozen: bool = False, scaler: torch.amp.GradScaler | None = None
) -> BertForSequenceClassification:
    """The model after a few steps with weight decay, clipping and dropout."""
    model = tiny_model()
    model.get_input_embeddings().requires_grad_(not frozen)
    stand_in = compact_vocabulary(model, TEXTS) if compact else None
    optimizer, schedule = build_optimizer(model, 5e-3, steps, weight_decay=0.3)
    if stand_in is not None:
        stand_in.follow(optimizer)
    batch = pad_batch([{"input_ids": ids, "labels": number % 3} for number, ids in enumerate(TEXTS)])
    model.train()
    torch.manual_seed(1)
    for _ in range(steps):
        train_step(model, [batch], optimizer, schedule, TrainConfig(), steep_loss, scaler)
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


def assert_equal_weights(compact: BertForSequenceClassification, plain: BertForSequenceClassification) -> None:
    restore_vocabulary(compact)
    found = compact.state_dict()
    for name, tensor in plain.state_dict().items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-6)


def test_steps_that_overflow_in_float16_decay_no_row() -> None:
    """A scale far too large makes the first steps overflow; fused AdamW is called all the same, and does nothing."""
    scalers = [torch.amp.GradScaler("cpu", init_scale=3e38, backoff_factor=1e-20) for _ in range(2)]
    plain, compact = (
        trained(is_compact, scaler=scaler) for is_compact, scaler in zip((False, True), scalers, strict=True)
    )
    assert scalers[0].get_scale() == scalers[1].get_scale() < 3e38  # some steps were skipped
    start = tiny_model().get_input_embeddings().weight[40]
    assert not torch.equal(plain.get_input_embeddings().weight[40], start)  # and some were not
    assert_equal_weights(compact, plain)


def test_a_frozen_table_stays_as_it_is() -> None:
    plain, compact = trained(compact=False, frozen=True), trained(compact=True, frozen=True)
    assert_equal_weights(compact, plain)
    assert torch.equal(compact.get_input_embeddings().weight, tiny_model().get_input_embeddings().weight)
    assert not compact.get_input_embeddings().weight.requires_grad


def test_a_table_that_is_frozen_between_two_steps_decays_no_further() -> None:
    model = tiny_model()
    stand_in = compact_vocabulary(model, TEXTS)
    optimizer, _ = build_optimizer(model, 5e-3, 8, weight_decay=0.3, warmup_share=0.0)
    stand_in.follow(optimizer)
    batch = pad_batch([{"input_ids": ids, "labels": number % 3} for number, ids in enumerate(TEXTS)])
    for decays in (True, False):
        model.get_input_embeddings().weight.requires_grad_(decays)
        before = stand_in.decay
        train_step(model, [batch], optimizer, None, TrainConfig())
        assert (stand_in.decay < before) == decays


def test_a_tokenizers_own_padding_id_needs_no_row_for_zero() -> None:
    config = BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        num_labels=3,
        pad_token_id=4,
    )
    model = BertForSequenceClassification(config).train()
    compact_vocabulary(model, TEXTS)
    (batch,) = make_loader(EncodedTexts(TEXTS, [0, 1, 2, 0], pad_id=4), batch_size=4)
    assert 4 in batch["input_ids"]
    assert 0 not in batch["input_ids"]
    model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])


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
