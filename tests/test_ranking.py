"""Ranks and their scores, worked by hand; ties never help; the nearest are those of a full sort."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import label_ranking_average_precision_score, top_k_accuracy_score
from torch.nn.functional import normalize

from bertft_helpers.errors import UserError
from bertft_helpers.ranking import hit_at, mean_reciprocal_rank, nearest, put_first, ranks_of

SCORES = torch.tensor([[0.9, 0.1, 0.2], [0.5, 0.4, 0.1], [0.2, 0.9, 0.1]])  # right is the diagonal
OWN = torch.arange(3)


def some_scores(queries: int = 40, candidates: int = 12) -> torch.Tensor:
    return torch.randn(queries, candidates, generator=torch.Generator().manual_seed(1))


def test_ranks_hits_and_reciprocal_ranks_worked_by_hand() -> None:
    ranks = ranks_of(SCORES, OWN)
    assert ranks.tolist() == [1, 2, 3]
    assert [hit_at(ranks, places) for places in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])
    assert mean_reciprocal_rank(ranks) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_the_right_candidate_may_stand_in_any_column() -> None:
    assert ranks_of(SCORES, torch.tensor([2, 0, 1])).tolist() == [2, 1, 1]


def test_scores_that_are_all_equal_find_nothing() -> None:
    assert ranks_of(torch.zeros(2, 5), torch.tensor([0, 3])).tolist() == [5, 5]


def test_scores_agree_with_those_of_scikit_learn() -> None:
    scores, right = some_scores(), torch.arange(40) % 12
    ranks = ranks_of(scores, right)
    hit = top_k_accuracy_score(right, scores.numpy(), k=3, labels=range(12))
    assert hit_at(ranks, 3) == pytest.approx(hit)
    one_right = torch.nn.functional.one_hot(right, 12).numpy()
    assert mean_reciprocal_rank(ranks) == pytest.approx(
        label_ranking_average_precision_score(one_right, scores.numpy())
    )


def test_scores_that_are_no_numbers_are_refused_with_their_query() -> None:
    broken = SCORES.clone()
    broken[1, 2] = torch.nan
    with pytest.raises(UserError, match="query 1 "):
        ranks_of(broken, OWN)


def test_the_nearest_are_those_of_a_full_sort() -> None:
    texts, queries = normalize(torch.randn(30, 8), dim=1), normalize(torch.randn(3, 8), dim=1)
    values, rows = nearest(queries, texts, 5)
    cosines = torch.nn.functional.cosine_similarity(queries[:, None], texts[None], dim=2)
    assert torch.equal(rows, cosines.argsort(dim=1, descending=True)[:, :5])
    torch.testing.assert_close(values, cosines.gather(1, rows))
    assert nearest(queries, texts, 99)[1].shape == (3, 30)  # no more than there are


def test_a_re_ranker_orders_what_it_was_given_and_nothing_else() -> None:
    rows = torch.tensor([[0, 2], [0, 1], [1, 0]])
    better = torch.tensor([[0.1, 0.9], [0.3, 0.8], [0.0, 0.2]])
    order = put_first(SCORES, rows, better).argsort(dim=1, descending=True)
    assert order.tolist() == [[2, 0, 1], [1, 0, 2], [0, 1, 2]]
    assert SCORES[0, 0] == 0.9  # the first stage's scores stay


def test_re_ranking_cannot_bring_in_what_the_first_stage_left_out() -> None:
    scores = some_scores()
    right, rows = torch.zeros(40, dtype=torch.long), nearest(scores, torch.eye(12), 3)[1]
    perfect = (rows == 0).float()
    ranks = ranks_of(put_first(scores, rows, perfect), right)
    assert hit_at(ranks, 1) == hit_at(ranks_of(scores, right), 3)
