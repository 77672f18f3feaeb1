"""Spans and tags: read by the CoNLL rule, scored by hand, and never a path that BIO forbids."""

from __future__ import annotations

import itertools

import pytest
import torch

from bertft_helpers.spans import Span, best_path, may_follow, span_scores, spans_of

NAMES = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG"]


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("O O O", []),
        ("B-PER I-PER O", [("PER", 0, 2)]),
        ("B-PER B-PER I-PER", [("PER", 0, 1), ("PER", 1, 3)]),
        ("O B-PER", [("PER", 1, 2)]),
        ("O I-PER I-PER", [("PER", 1, 3)]),  # no beginning: it begins where it stands
        ("B-PER I-ORG I-ORG", [("PER", 0, 1), ("ORG", 1, 3)]),  # another kind begins another span
        ("B-PER ? I-PER", [("PER", 0, 1), ("PER", 2, 3)]),  # an unknown tag ends a span
        ("", []),
    ],
)
def test_a_span_begins_where_the_conll_rule_says(tags: str, spans: list[tuple[str, int, int]]) -> None:
    assert spans_of([None if tag == "?" else tag for tag in tags.split()]) == [Span(*span) for span in spans]


def test_legal_tags_become_spans_and_spans_the_same_tags_again() -> None:
    for tags in itertools.product(NAMES, repeat=4):
        if all(may_follow(before, tag) for before, tag in itertools.pairwise(["O", *tags])):
            again = ["O"] * 4
            for kind, start, end in spans_of(tags):
                again[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1)]
            assert again == list(tags)


def test_scores_worked_by_hand() -> None:
    labels = [[Span("PER", 0, 2), Span("ORG", 4, 5)], [Span("PER", 1, 2)]]
    found = [[Span("PER", 0, 2), Span("PER", 4, 5)], []]  # one right, one of the wrong kind, one missed
    assert span_scores(labels, found) == pytest.approx((1 / 2, 1 / 3, 2 / 5))
    assert span_scores([[Span("PER", 0, 2)]], [[Span("PER", 0, 1)]]) == (0, 0, 0)  # half a name is no name
    assert span_scores([[]], [[]]) == (0, 0, 0)


def test_the_best_path_is_the_best_of_all_that_are_allowed() -> None:
    scores = torch.randn(5, len(NAMES), generator=torch.Generator().manual_seed(3)) * 2
    allowed = [
        path
        for path in itertools.product(range(len(NAMES)), repeat=5)
        if all(may_follow(a, b) for a, b in itertools.pairwise(["O", *(NAMES[number] for number in path)]))
    ]
    best = max(allowed, key=lambda path: sum(scores[word, tag].item() for word, tag in enumerate(path)))
    assert best_path(scores, NAMES) == [NAMES[number] for number in best]
    assert [NAMES[number] for number in scores.argmax(dim=1)] != best_path(scores, NAMES)


def test_a_sentence_of_one_word_does_not_begin_inside_a_span() -> None:
    assert best_path(torch.tensor([[0.0, -1.0, 9.0, -1.0, 8.0]]), NAMES) == ["O"]
