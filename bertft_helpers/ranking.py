"""Rank candidates by scores: where the right one stands, how often it stands first, and which ones are nearest."""

from __future__ import annotations

import torch

from bertft_helpers.errors import UserError

__all__ = ["hit_at", "mean_reciprocal_rank", "nearest", "put_first", "ranks_of"]


def ranks_of(scores: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """The place, from 1, of each query's right candidate ``[queries]``, by scores ``[queries, candidates]``.

    ``right`` ``[queries]`` is its column. A tie counts against it: who scores everything alike has found nothing.
    Raises UserError for scores that are no numbers, which would compare as neither higher nor lower.
    Written out in lesson A4.
    """
    if scores.isnan().any():
        rows = scores.isnan().any(dim=1).nonzero().flatten().tolist()
        raise UserError(f"the scores of query {rows[0]} (counted from 0) hold NaN: look for empty texts or divergence")
    return (scores >= scores.gather(1, right[:, None])).sum(dim=1)


def hit_at(ranks: torch.Tensor, places: int) -> float:
    """The share of queries whose right candidate stands among the first ``places``. Written out in lesson A4."""
    return (ranks <= places).double().mean().item()


def mean_reciprocal_rank(ranks: torch.Tensor) -> float:
    """The mean of 1 / rank: 1 for a first place, a half for a second (Voorhees 1999). Written out in lesson A4."""
    return (1 / ranks.double()).mean().item()


def nearest(queries: torch.Tensor, index: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The highest ``count`` products of each query with an index's vectors, and their rows, both ``[queries, count]``.

    ``queries`` is ``[queries, width]``, ``index`` ``[texts, width]``; of unit vectors the products are cosines.
    Written out in lesson A4.
    """
    best = (queries @ index.T).topk(min(count, len(index)), dim=1)
    return best.values, best.indices


def put_first(scores: torch.Tensor, rows: torch.Tensor, better: torch.Tensor) -> torch.Tensor:
    """Scores in which the candidates ``rows`` ``[queries, count]`` lead, ordered by their scores ``better``.

    What a re-ranker leaves: it orders the candidates that it was given and cannot bring in others. ``better`` are at
    least 0; scores of the others keep their order. Written out in lesson A4.
    """
    return scores.scatter(1, rows, better + scores.max() + 1)
