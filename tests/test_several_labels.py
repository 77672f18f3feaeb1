"""Several labels for one text: what is refused, the loss and scores of the field, and a folder that opens elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from minimal import RATE, parameters_of, tiny_classifier, tiny_examples
from sklearn.metrics import f1_score
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import AutoModelForSequenceClassification, pipeline

from bertft_helpers.batching import IGNORE, EncodedTexts, make_loader
from bertft_helpers.config import TrainConfig
from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import evaluate, predict
from bertft_helpers.losses import classification_loss
from bertft_helpers.optim import build_optimizer
from bertft_helpers.pretrained import load_tokenizer
from bertft_helpers.several_labels import (
    YesOrNo,
    build_multi_label,
    encode_labelled,
    f1_scores,
    label_rows,
    tune_thresholds,
)
from bertft_helpers.training import fit, steps_per_run, train_epoch

NAMES = ["sport", "money", "uk"]


def labelled(labels: list[list[int]]) -> EncodedTexts:
    """Tiny texts with the given rows of labels."""
    return EncodedTexts(tiny_examples(len(labels)).input_ids, labels)


def test_every_label_gets_its_answer_in_the_order_of_the_names() -> None:
    assert label_rows([["uk", "sport"], [], ["money"]], NAMES) == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize(
    ("lists", "says"),
    [
        ([["uk"], ["uk", "Money"]], "text 2: 'Money' is none of the labels sport, money, uk: mend the row"),
        ([["uk"], "money"], "text 2: the labels are the text 'money'; give a list of names, such as ['money']"),
    ],
)
def test_labels_that_nobody_named_are_refused_with_their_row(lists, says) -> None:
    with pytest.raises(UserError) as refused:
        label_rows(lists, NAMES)
    assert says in str(refused.value)


def test_encoded_texts_carry_a_label_row_and_keep_to_the_length() -> None:
    examples = encode_labelled(
        ["Shares fell in London today", "A win"], [["uk"], []], NAMES, load_tokenizer("bundled"), 5
    )
    assert examples.labels == [[0, 0, 1], [0, 0, 0]]
    assert examples.lengths == [5, 4]


def test_the_loss_is_the_binary_cross_entropy_and_an_unknown_label_counts_nowhere() -> None:
    model = tiny_classifier().eval()
    (batch,) = make_loader(labelled([[1, 0, 1], [0, 0, IGNORE]]), 2)
    with torch.no_grad():
        summed, count = classification_loss(YesOrNo(model), batch)
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    known = batch["labels"] != IGNORE
    expected = binary_cross_entropy_with_logits(logits[known], batch["labels"][known].float(), reduction="sum")
    torch.testing.assert_close(summed, expected)
    assert count == 5


def test_evaluation_counts_right_answers() -> None:
    model, labels = tiny_classifier(), [[1, 0, 1], [0, 0, 1], [1, 1, 0], [0, 1, 0]]
    loader = make_loader(labelled(labels), 3)
    measured = evaluate(YesOrNo(model), loader)
    answers = predict(model, loader).logits > 0
    assert measured.targets == 12
    assert measured.accuracy == pytest.approx((answers == np.array(labels)).mean())


def test_the_loop_of_lesson_19_trains_as_with_transformers_own_loss() -> None:
    examples = labelled([[1, 0, 1], [0, 0, 1], [1, 1, 0], [0, 1, 0], [1, 1, 1], [0, 0, 0]])
    asked, theirs = (tiny_classifier(problem_type="multi_label_classification") for _ in range(2))

    def library_loss(model, batch):
        kept = {name: batch[name] for name in ("input_ids", "attention_mask")}
        loss = model(**kept, labels=batch["labels"].float()).loss
        return loss * batch["labels"].numel(), torch.tensor(batch["labels"].numel())

    for model, run in (
        (asked, lambda *rest: fit(YesOrNo(asked), rest[0], make_loader(examples, 4), *rest[1:])),
        (theirs, lambda *rest: train_epoch(theirs, *rest, library_loss)),
    ):
        loader, config = make_loader(examples, 2, seed=0), TrainConfig(epochs=1)
        torch.manual_seed(0)  # the same dropout
        run(loader, *build_optimizer(model, RATE, steps_per_run(loader, config)), config)
    untrained, own, library = parameters_of(tiny_classifier()), parameters_of(asked), parameters_of(theirs)
    assert not torch.allclose(own["classifier.weight"], untrained["classifier.weight"])
    for name, weights in own.items():
        torch.testing.assert_close(weights, library[name])


def test_f1_by_hand_counts_answers_labels_and_texts() -> None:
    targets, said = [[1, 0], [1, 1], [0, 0]], [[1, 1], [0, 1], [0, 0]]
    scores = f1_scores(targets, said)
    assert scores.per_label.tolist() == [2 / 3, 2 / 3]  # one hit, one miss; one hit, one false alarm
    assert scores.micro == scores.macro == pytest.approx(2 / 3)
    assert scores.samples == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_f1_equals_scikit_learns() -> None:
    generator = np.random.default_rng(0)
    for share in (0.0, 0.1, 0.5):
        targets, said = (generator.random((40, 6)) < share for _ in range(2))
        scores = f1_scores(targets, said)
        for average, own in (("micro", 0), ("macro", 1), ("samples", 2), (None, 3)):
            np.testing.assert_allclose(scores[own], f1_score(targets, said, average=average, zero_division=0))


def test_a_threshold_lies_where_f1_is_highest_halfway_to_the_next_probability() -> None:
    targets = [[1, 0], [1, 1], [0, 0], [1, 0]]
    probabilities = [[0.9, 0.1], [0.4, 0.2], [0.2, 0.3], [0.3, 0.1]]
    # first label: 3 of 3 from 0.3 upwards, next is 0.2; second: 0.3 is a false alarm, with 0.2 one of two is right
    np.testing.assert_allclose(tune_thresholds(targets, probabilities), [0.25, 0.15])


def test_no_threshold_from_a_list_of_many_has_a_higher_f1() -> None:
    generator = np.random.default_rng(1)
    targets = generator.random((60, 3)) < 0.3
    probabilities = generator.random((60, 3)).round(2) * 0.5 + targets * 0.2
    tuned = f1_scores(targets, probabilities >= tune_thresholds(targets, probabilities)).per_label
    for threshold in np.linspace(0, 1, 201):
        assert (f1_scores(targets, probabilities >= threshold).per_label <= tuned + 1e-12).all()


def test_a_label_that_no_text_has_can_not_be_tuned() -> None:
    with pytest.raises(UserError, match=r"labels \[1\] \(counted from 0\) are the same for all 2 texts"):
        tune_thresholds([[1, 0], [0, 0]], [[0.5, 0.5], [0.2, 0.1]])


@pytest.mark.slow
def test_a_saved_model_gives_the_same_logits_loss_and_probabilities_in_transformers(tmp_path: Path) -> None:
    tokenizer, model = load_tokenizer("bundled"), build_multi_label("bundled", NAMES, seed=1).eval()
    torch.nn.init.normal_(model.classifier.weight, std=0.3)  # so that an untrained head says different things
    texts, lists = ["shares fell", "a late goal won the cup"], [["money", "uk"], ["sport"]]
    (batch,) = make_loader(encode_labelled(texts, lists, NAMES, tokenizer), 2)
    with torch.no_grad():
        summed, count = classification_loss(YesOrNo(model), batch)
        model.save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)
        opened = AutoModelForSequenceClassification.from_pretrained(tmp_path)
        kept = {name: batch[name] for name in ("input_ids", "attention_mask")}
        theirs = opened(**kept, labels=batch["labels"].float())
        torch.testing.assert_close(theirs.logits, model(**kept).logits, rtol=0, atol=1e-6)
    assert opened.config.problem_type == "multi_label_classification"
    torch.testing.assert_close(theirs.loss, summed / count)
    probabilities = torch.sigmoid(theirs.logits)[batch["rows"].argsort()]
    for row, answer in zip(
        probabilities, pipeline("text-classification", str(tmp_path), top_k=None)(texts), strict=True
    ):
        assert {one["label"]: pytest.approx(one["score"], abs=1e-5) for one in answer} == dict(
            zip(NAMES, row.tolist(), strict=True)
        )


def test_one_label_or_the_same_twice_is_no_choice() -> None:
    for names in (["sport"], ["sport", "sport"]):
        with pytest.raises(UserError, match="at least two different names"):
            build_multi_label("bundled", names, seed=0)
