"""Summarizing by sentences: marked by a reference, scored one by one, and what does not fit is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from minimal import RATE, tiny_classifier
from transformers import pipeline

from bertft_helpers.batching import make_loader
from bertft_helpers.config import TrainConfig
from bertft_helpers.errors import UserError
from bertft_helpers.models import build_classifier
from bertft_helpers.optim import build_optimizer
from bertft_helpers.pretrained import load_tokenizer
from bertft_helpers.summarizing import (
    best_sentences,
    draw_pairs,
    encode_sentences,
    label_stories,
    sentence_scores,
    sentences_of,
)
from bertft_helpers.training import fit, steps_per_run

STORY = ["Shares rose.", "It rained.", "Domecq gained most."]


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("bundled")


def test_a_text_is_cut_at_line_ends_and_after_marks_that_a_capital_follows() -> None:
    text = 'Shares rose 3.5% on Monday. "It is early," he said. "We wait."\n\nThe U.S. dollar fell.\n…\nIt rained!'
    assert sentences_of(text) == [
        "Shares rose 3.5% on Monday.",
        '"It is early," he said.',
        '"We wait."',
        "The U.S. dollar fell.",
        "It rained!",
    ]
    assert sentences_of("–\n") == []


def test_each_marked_sentence_gets_another_of_its_story() -> None:
    labels = [[1, 0, 0, 0], [0, 0, 0], [0, 1, 1, 0, 0], [1]]
    pairs = draw_pairs(labels, seed=0)
    rows = [[place for row, place in pairs if row == number] for number in range(4)]
    assert rows[0][0] == 0
    assert rows[0][1] in (1, 2, 3)
    assert rows[1] == []  # no sentence shares a word with its reference
    assert sorted(rows[2][:2]) == [1, 2]
    assert len({*rows[2][2:]} & {0, 3, 4}) == 2
    assert rows[3] == [0]  # there is no other
    assert draw_pairs(labels, seed=0) == pairs
    assert len({tuple(draw_pairs(labels, seed)) for seed in range(20)}) > 1


@pytest.mark.parametrize(
    ("stories", "says"),
    [
        (["Shares rose. It rained."], "story 1 is 'Shares rose. It rained.': give a list of sentences"),
        ([STORY, []], "story 2 is []: give a list of sentences, as sentences_of cuts a text"),
        ([["Shares rose.", " "]], "story 1, sentence 2 is ' ': remove it, or give its text"),
        ([STORY, [None]], "story 2, sentence 1 is None: remove it, or give its text"),
    ],
)
def test_what_is_no_story_is_refused_with_its_row_and_what_to_do(tokenizer, stories, says) -> None:
    for call in (
        lambda: label_stories(stories, ["Rates"] * len(stories), 1),
        lambda: sentence_scores(tiny_classifier(), tokenizer, stories),
    ):
        with pytest.raises(UserError) as refused:
            call()
        assert says in str(refused.value)


@pytest.mark.parametrize(
    ("references", "says"),
    [
        (["Domecq gains", "…"], "the reference of story 2 is '…', without a word of a to z: leave it out"),
        (["Domecq gains"], "2 stories but 1 references: give one for each story"),
    ],
)
def test_a_reference_without_a_word_is_refused_with_its_story(references, says) -> None:
    with pytest.raises(UserError) as refused:
        label_stories([STORY, STORY], references, 1)
    assert says in str(refused.value)


def test_labels_are_the_greedy_ones_of_each_story() -> None:
    assert label_stories([STORY, STORY[:2]], ["Domecq gained", "Rain: it rained"], 1) == [[0, 0, 1], [0, 1]]


def test_a_long_sentence_is_read_as_far_as_the_length_allows(tokenizer) -> None:
    examples = encode_sentences(["a " * 700, *STORY], [1, 0, 0, 0], tokenizer, max_length=16)
    assert examples.lengths == [16, 5, 5, 8]
    assert examples.labels == [1, 0, 0, 0]


def test_scores_come_back_in_the_order_of_the_stories_one_for_each_sentence(tokenizer) -> None:
    stories, model = [STORY, ["It rained."], STORY[::-1]], tiny_classifier(vocab_size=30_522, num_labels=2).train()
    together = sentence_scores(model, tokenizer, stories)
    assert model.training
    assert [len(scores) for scores in together] == [3, 1, 3]
    torch.testing.assert_close(together[0], together[2].flip(0))  # each sentence is read by itself
    torch.testing.assert_close(together[0][1:2], together[1])


def test_the_best_sentences_come_in_the_order_of_the_text() -> None:
    scores = torch.tensor([0.2, 0.9, 0.1, 0.9, 0.8])
    assert [best_sentences(scores, most) for most in (1, 2, 3, 9)] == [[1], [1, 3], [1, 3, 4], [0, 1, 2, 3, 4]]


def test_the_loop_of_lesson_19_teaches_which_sentence_to_take(tokenizer) -> None:
    stories = [["It rained.", f"Shares in {name} rose.", "He left."] for name in ("allied", "domecq", "sony", "nokia")]
    labels = [[0, 1, 0]] * 4
    pairs = draw_pairs(labels, seed=0)
    texts, own = [stories[row][place] for row, place in pairs], [labels[row][place] for row, place in pairs]
    examples = encode_sentences(texts, own, tokenizer)
    model, config = tiny_classifier(vocab_size=30_522, num_labels=2), TrainConfig(epochs=15)
    loader = make_loader(examples, 2, seed=0)
    optimizer, schedule = build_optimizer(model, RATE, steps_per_run(loader, config))
    fit(model, loader, make_loader(examples, 4), optimizer, schedule, config)
    assert [best_sentences(scores, 1) for scores in sentence_scores(model, tokenizer, stories)] == [[1]] * 4


def test_a_saved_model_gives_the_same_scores_in_transformers_pipeline(tokenizer, tmp_path: Path) -> None:
    model = build_classifier("bundled", ["leave out", "take"], seed=1)
    torch.nn.init.normal_(model.classifier.weight, std=0.5)  # so that untrained scores differ from sentence to sentence
    (own,) = sentence_scores(model, tokenizer, [STORY])
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    answers = pipeline("text-classification", model=str(tmp_path), top_k=None)(STORY)
    theirs = [label["score"] for labels in answers for label in labels if label["label"] == "take"]
    torch.testing.assert_close(own, torch.tensor(theirs), atol=1e-5, rtol=0)
