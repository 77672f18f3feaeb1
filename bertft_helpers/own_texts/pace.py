"""How quick a run is, and when it ends at the latest."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Pace", "roughly"]


class Pace:
    """Texts a second and the time left, from the steps since this call began; ``step`` takes them in.

    What a call before this did counts as done and says nothing about the pace. Validation counts as time.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self.done = self.planned = 0
        self._first = self._texts = 0
        self._begun = self._now = 0.0

    def step(self, done: int, planned: int, texts: int) -> None:
        """After a step: how many are done and are planned at most in all calls, and how many texts it had."""
        self.done, self.planned, self._now = done, planned, self.clock()
        if not self._first:  # the first step warms up, so the pace is measured from its end
            self._first, self._begun = done, self._now
        else:
            self._texts += texts

    @property
    def seconds(self) -> float:
        """Since the first step of this call."""
        return self._now - self._begun

    def __str__(self) -> str:
        known = f"step {self.done} of at most {self.planned}"
        if self.done == self._first or self.seconds <= 0:
            return known
        left = (self.planned - self.done) * self.seconds / (self.done - self._first)
        return f"{known}, {self._texts / self.seconds:.3g} texts a second, at most {roughly(left)} left"


def roughly(seconds: float) -> str:
    """A duration as one reads it: ``40 s``, ``12 min``, ``2.5 h``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
