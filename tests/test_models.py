"""Poolings and classifiers: padding has no say, the head written out is transformers' own, bad names are refused."""

from __future__ import annotations

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertModel

from bertft_helpers import models
from bertft_helpers.models import PooledClassifier, build_classifier, freeze, pool_cls, pool_mean, unfreeze

TINY = BertConfig(
    vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, num_labels=3
)


@pytest.fixture
def tiny_folder(tmp_path, monkeypatch):
    """A saved encoder of a few kilobytes, found instead of the bundled checkpoint."""
    torch.manual_seed(0)
    BertModel(TINY).save_pretrained(tmp_path)
    monkeypatch.setattr(models, "find_checkpoint", lambda name: tmp_path)
    return tmp_path


def test_the_mean_is_taken_over_real_tokens_only() -> None:
    hidden = torch.tensor([[[1.0, 4.0], [3.0, 0.0], [99.0, 99.0]]])
    assert pool_mean(hidden, torch.tensor([[1, 1, 0]])).tolist() == [[2.0, 2.0]]


def test_cls_is_the_first_token() -> None:
    hidden = torch.arange(12.0).reshape(2, 3, 2)
    assert pool_cls(hidden, torch.ones(2, 3)).tolist() == [[0.0, 1.0], [6.0, 7.0]]


def test_the_head_written_out_equals_transformers() -> None:
    reference = BertForSequenceClassification(TINY).eval()
    written_out = PooledClassifier(reference.bert, 3, lambda hidden, mask: reference.bert.pooler(hidden)).eval()
    written_out.classifier.load_state_dict(reference.classifier.state_dict())
    ids, mask = torch.tensor([[2, 7, 9, 3], [2, 8, 3, 0]]), torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    with torch.no_grad():
        torch.testing.assert_close(written_out(ids, mask).logits, reference(ids, mask).logits, rtol=0, atol=0)


def test_dropout_works_on_the_pooled_vector_in_training_only() -> None:
    model = PooledClassifier(BertModel(TINY).eval(), 3, dropout=0.5)
    ids, mask = torch.tensor([[2, 7, 9, 3]]), torch.ones(1, 4, dtype=torch.long)
    model.eval()
    assert torch.equal(model(ids, mask).logits, model(ids, mask).logits)
    model.dropout.train()
    assert not torch.equal(model(ids, mask).logits, model(ids, mask).logits)


def test_a_seed_fixes_the_head_and_the_names_are_kept(tiny_folder) -> None:
    first, again, other = (build_classifier("tiny", ["ham", "spam", "news"], seed) for seed in (0, 0, 1))
    assert torch.equal(first.classifier.weight, again.classifier.weight)
    assert not torch.equal(first.classifier.weight, other.classifier.weight)
    assert first.config.id2label == {0: "ham", 1: "spam", 2: "news"}
    assert first.config.label2id == {"ham": 0, "spam": 1, "news": 2}
    assert not first.training


@pytest.mark.parametrize("names", [["only"], [], ["twice", "twice"]])
def test_one_label_or_a_repeated_one_is_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match="at least two different names"):
        build_classifier("bundled", names, seed=0)


def trainable(model: torch.nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize(
    "model", [BertForSequenceClassification(TINY), PooledClassifier(BertModel(TINY), 3)], ids=["transformers", "ours"]
)
def test_freezing_everything_leaves_the_head(model) -> None:
    freeze(model)
    assert trainable(model) == {"classifier.weight", "classifier.bias"}


def test_freezing_one_layer_takes_the_embeddings_with_it_and_nothing_above() -> None:
    model = BertForSequenceClassification(TINY)
    everything = trainable(model)
    freeze(model, 1)
    frozen = everything - trainable(model)
    assert {name.split(".")[1] for name in frozen} == {"embeddings", "encoder"}
    assert all("embeddings" in name or ".layer.0." in name for name in frozen)
    assert not any("embeddings" in name or ".layer.0." in name for name in trainable(model))


def test_freezing_adds_to_what_was_frozen() -> None:
    model = BertForSequenceClassification(TINY)
    freeze(model)
    freeze(model, 0)
    assert trainable(model) == {"classifier.weight", "classifier.bias"}


@pytest.mark.parametrize("count", [0, 1, 2])
def test_unfreezing_from_the_top_meets_freezing_from_the_bottom(count) -> None:
    opened, closed = BertForSequenceClassification(TINY), BertForSequenceClassification(TINY)
    freeze(opened)
    unfreeze(opened, count)
    freeze(closed, TINY.num_hidden_layers - count)
    assert trainable(opened) == trainable(closed)


def test_unfreezing_returns_each_newly_free_parameter_once() -> None:
    model = BertForSequenceClassification(TINY)
    freeze(model)
    first, second, again = unfreeze(model, 1), unfreeze(model), unfreeze(model)
    returned = [id(parameter) for parameter in [*first, *second]]
    assert again == []
    assert sorted(returned) == sorted(id(parameter) for parameter in model.bert.parameters())
    assert {id(parameter) for parameter in model.bert.encoder.layer[1].parameters()} <= set(map(id, first))


def test_an_encoder_without_a_pooler_can_be_unfrozen() -> None:
    model = PooledClassifier(BertModel(TINY, add_pooling_layer=False), 3)
    freeze(model)
    assert len(unfreeze(model, 1)) == len(list(model.encoder.encoder.layer[1].parameters()))


@pytest.mark.parametrize("change", [freeze, unfreeze])
@pytest.mark.parametrize("layers", [-1, 3])
def test_layers_that_do_not_exist_are_refused(change, layers) -> None:
    with pytest.raises(ValueError, match=f"layers is {layers}; this encoder has 2, so 0 to 2"):
        change(BertForSequenceClassification(TINY), layers)


def test_a_model_without_a_bert_is_refused() -> None:
    with pytest.raises(ValueError, match="Linear has no BERT"):
        freeze(torch.nn.Linear(2, 2))
