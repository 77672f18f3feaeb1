"""Lessons side by side: how many at once on this machine, and which of them first."""

from __future__ import annotations

from collections.abc import Sequence

import psutil

from bertft_helpers.series.catalogue import Lesson
from bertft_helpers.series.costs import Cost, measured_costs

__all__ = ["lessons_at_once", "longest_first"]


def lessons_at_once() -> int:
    """One for each thread that torch would have, while the memory lasts; one at a time where they would share a GPU.

    A lesson with one thread takes less than twice as long as with two, since loading a model, cutting texts and drawing
    have one thread anyway.
    """
    import torch  # takes a second, which the processes that run lessons need not spend

    if torch.cuda.is_available():
        return 1
    largest = max(cost.peak_mb for cost in measured_costs().values()) * 1e6
    return max(1, min(torch.get_num_threads(), int(psutil.virtual_memory().available // largest)))


def longest_first(lessons: Sequence[Lesson]) -> list[Lesson]:
    """Lessons in the order in which their side-by-side run ends soonest: no long one is left for the end."""
    costs = measured_costs()
    return sorted(lessons, key=lambda lesson: -costs.get(lesson.number, Cost(0, 0)).minutes)
