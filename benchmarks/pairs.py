"""Sides of a comparison, run in turn on the same work, and the ratio of their seconds round by round."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from typing import Any

import numpy as np

Row = dict[str, Any]
Side = Callable[[Mapping[str, Any], int], Row]
OURS = "bertft_helpers"
BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}


@dataclasses.dataclass(frozen=True)
class Goal:
    """At least ``ratio`` times as fast as the side called ``against``; ``amx`` times on a processor with AMX.

    None: no goal for such a machine.
    """

    against: str
    ratio: float | None
    amx: float | None = None

    def on(self, instructions: Collection[str]) -> float | None:
        """The ratio to reach on a processor with these instruction sets."""
        return self.amx if self.amx is not None and "amx_bf16" in instructions else self.ratio


@dataclasses.dataclass(frozen=True)
class Topic:
    """One line of the results: the work in words, its size, the sides by name (ours among them), the goals.

    A side is a function ``(size, seed) -> row`` with the ``seconds`` it took and, where there are any, an ``accuracy``
    and ``figures`` by name. ``same`` names what all sides must agree on, each number within its tolerance;
    ``needs_bfloat16`` names the sides that are left out where the processor has no such numbers; ``spent`` says where
    profiling found the time.
    """

    name: str
    work: str
    size: Mapping[str, Any]
    tiny: Mapping[str, Any]
    sides: Mapping[str, Side]
    goals: Sequence[Goal]
    spent: str
    same: Mapping[str, float] = dataclasses.field(default_factory=dict)
    needs_bfloat16: Sequence[str] = ()

    def on(self, instructions: Collection[str]) -> Topic:
        """The topic with the sides that run on a processor with these instruction sets."""
        left_out = () if BFLOAT16 & set(instructions) else self.needs_bfloat16
        return dataclasses.replace(
            self, sides={name: side for name, side in self.sides.items() if name not in left_out}
        )


class Stopwatch:
    """Seconds between start and now, by the clock or of this process's processor time."""

    def __init__(self, clock: str) -> None:
        self.read = {"wall": time.perf_counter, "processor": time.process_time}[clock]
        self.start = self.read()

    @property
    def seconds(self) -> float:
        """The seconds so far."""
        return self.read() - self.start


def run_rounds(topic: Topic, rounds: int, clock: str) -> dict[str, list[Row]]:
    """Rows of each side, one a round. Every side has a process of its own, so that no switch of one helps another.

    A first, tiny round warms up and is not counted. The order turns from round to round, so that a machine which
    becomes slower or busier does not favour a side. Each round has its own seed, the same for all sides.
    """
    size = {**topic.size, "clock": clock}
    rows: dict[str, list[Row]] = {side: [] for side in topic.sides}
    with ExitStack() as stack:
        workers = {side: stack.enter_context(own_process()) for side in topic.sides}
        for side, work in topic.sides.items():
            workers[side].submit(work, {**topic.tiny, "clock": clock}, 0).result()
        for number in range(rounds):
            for side in list(topic.sides)[:: 1 if number % 2 == 0 else -1]:
                rows[side].append(workers[side].submit(topic.sides[side], size, number).result())
    require_same(topic, rows)
    return rows


def run_tiny(topic: Topic, clock: str = "processor") -> dict[str, list[Row]]:
    """One tiny round of every side in this process: shows that all of them run, and measures nothing."""
    rows = {side: [work({**topic.tiny, "clock": clock}, 0)] for side, work in topic.sides.items()}
    require_same(topic, rows)
    return rows


def own_process() -> ProcessPoolExecutor:
    """A process that has imported nothing yet and does one work after the other."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_hide_gpus)


def _hide_gpus() -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # a library that takes a GPU where it finds one would not be comparable


def require_same(topic: Topic, rows: Mapping[str, Sequence[Row]]) -> None:
    """Raise ValueError when sides do not agree on what ``topic.same`` names; those in 16 bits cannot."""
    for key, tolerance in topic.same.items():
        for side in rows.keys() - set(topic.needs_bfloat16):
            for ours, theirs in zip(rows[OURS], rows[side], strict=True):
                difference = np.abs(np.subtract(ours[key], theirs[key])).max()
                if difference > tolerance:
                    raise ValueError(f"{topic.name}: {key} of {side} differs by {difference}; {tolerance} is allowed")


def summarize(topic: Topic, rows: Mapping[str, Sequence[Row]], instructions: Collection[str] = ()) -> Row:
    """Median seconds and mean accuracy of each side; median, lowest and highest ratio against each other side."""
    sides = {side: _side(found) for side, found in rows.items()}
    return {"work": topic.work, "rounds": len(rows[OURS]), "sides": sides, "ratios": _ratios(topic, rows, instructions)}


def _side(rows: Sequence[Row]) -> Row:
    accuracies = [row["accuracy"] for row in rows if "accuracy" in row]
    return {
        "seconds": float(f"{np.median([row['seconds'] for row in rows]):.3g}"),
        "accuracy": round(float(np.mean(accuracies)), 3) if accuracies else None,
        "figures": {
            name: round(float(np.median([row["figures"][name] for row in rows])), 1)
            for name in rows[0].get("figures", {})
        },
    }


def _ratios(topic: Topic, rows: Mapping[str, Sequence[Row]], instructions: Collection[str]) -> dict[str, Row]:
    goals = {goal.against: ratio for goal in topic.goals if (ratio := goal.on(instructions)) is not None}
    found = {}
    for side in rows:
        if side == OURS:
            continue
        ratios = [them["seconds"] / us["seconds"] for us, them in zip(rows[OURS], rows[side], strict=True)]
        median = float(np.median(ratios))
        found[side] = {
            "median": round(median, 2),
            "lowest": round(min(ratios), 2),
            "highest": round(max(ratios), 2),
            "goal": goals.get(side),
            "reached": None if side not in goals else round(median, 2) >= goals[side],
        }
    return found
