"""ROUGE: worked by hand, against every subsequence, and against what the field's program says."""

from __future__ import annotations

import itertools
import random

import pytest

from bertft_helpers.rouge import Rouge, greedy_labels, longest_common, rouge_1, rouge_l, shares, words_of

HEADLINE = "Telegraph newspapers axe 90 jobs"
LEAD = "The Daily and Sunday Telegraph newspapers are axing 90 journalist jobs - 17% of their editorial staff."


def test_words_are_runs_of_letters_and_digits_made_small() -> None:
    assert words_of("UK's £150m plan: 'axed'") == ["uk", "s", "150m", "plan", "axed"]
    assert words_of("–! ") == []


def test_scores_worked_by_hand() -> None:
    # telegraph, newspapers, 90 and jobs: 4 of the sentence's 16 words, 4 of the headline's 5; 2 · 4 / (16 + 5)
    assert rouge_1(LEAD, HEADLINE) == rouge_l(LEAD, HEADLINE) == pytest.approx((4 / 16, 4 / 5, 8 / 21))
    # other order: all four are still there, but of "jobs … 90 … telegraph newspapers" only two stand in order
    turned = "90 jobs at Telegraph newspapers"
    assert rouge_1(turned, HEADLINE) == pytest.approx((4 / 5, 4 / 5, 4 / 5))
    assert rouge_l(turned, HEADLINE) == pytest.approx((2 / 5, 2 / 5, 2 / 5))


def test_a_word_counts_as_often_as_both_have_it() -> None:
    assert rouge_1("rates rates rates", "rates rise, rates fall") == pytest.approx((2 / 3, 2 / 4, 4 / 7))


def test_without_a_word_every_score_is_zero() -> None:
    assert rouge_1("", HEADLINE) == rouge_l("…", HEADLINE) == rouge_1("", "") == shares(0, 0, 0) == (0, 0, 0)


@pytest.mark.parametrize(
    ("summary", "reference", "one", "longest"),
    [  # precision, recall and F1 that rouge-score 0.1.2 gives without its stemmer
        ("police killed the gunman", "the gunman kill police", (3 / 4, 3 / 4, 3 / 4), (2 / 4, 2 / 4, 2 / 4)),
        ("Café prices up 3.5%", "Prices of café food rise 3.5%", (4 / 5, 4 / 7, 2 / 3), (3 / 5, 3 / 7, 1 / 2)),
    ],
)
def test_scores_are_those_of_the_fields_program(summary: str, reference: str, one: Rouge, longest: Rouge) -> None:
    assert rouge_1(summary, reference) == pytest.approx(one)
    assert rouge_l(summary, reference) == pytest.approx(longest)


def by_trying(one: str, other: str) -> int:
    """The length of the longest common sequence, from all of them."""
    its, others = (
        {kept for size in range(len(word) + 1) for kept in itertools.combinations(word, size)} for word in (one, other)
    )
    return max(map(len, its & others))


def test_the_longest_common_sequence_is_the_longest_of_all() -> None:
    draw = random.Random(0)
    for _ in range(60):
        one, other = ("".join(draw.choices("abc", k=draw.randrange(8))) for _ in range(2))
        assert longest_common(one, other) == longest_common(other, one) == by_trying(one, other)


def test_greedy_takes_what_raises_the_score_and_stops_when_nothing_does() -> None:
    sentences = ["It rained.", "Rates rise in May.", "Banks fear rates.", "Rates rise."]
    # alone 0, 4/9, 6/8 and 4/7; with the third 6/10, 8/12 and 8/10; all but "It rained." 8/14
    assert greedy_labels(sentences, "Banks fear that rates rise", 1) == [0, 0, 1, 0]
    assert greedy_labels(sentences, "Banks fear that rates rise", 3) == [0, 0, 1, 1]
    assert greedy_labels(sentences, "Snow", 3) == [0, 0, 0, 0]
    assert greedy_labels([], "Snow", 3) == []


def test_greedy_may_miss_the_best_set() -> None:
    sentences, reference = ["a b c", "a b", "c d"], "a b c d"
    # alone 6/7, 4/6, 4/6: the first is taken, and with "c d" it has four of four words in five; the other two have all
    assert greedy_labels(sentences, reference, 2) == [1, 0, 1]
    assert rouge_1("a b c c d", reference).f1 == pytest.approx(8 / 9)
    assert rouge_1("a b c d", reference).f1 == 1
