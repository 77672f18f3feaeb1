"""The same study on a real Dask cluster of two worker processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster

from bertft_helpers.studies import recipes
from bertft_helpers.studies.experiments import Study, grid, run_study
from bertft_helpers.studies.recipes import MEASUREMENTS

pytestmark = pytest.mark.slow
MACHINE_DEPENDENT = ["seconds", "peak_memory_mb"]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Client]:
    where = str(tmp_path / "dask")
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=where) as workers,
        Client(workers) as client,
    ):
        yield client


def wait_a_little(factors: dict[str, Any], seed: int) -> dict[str, Any]:
    """A run that lasts long enough to be interrupted and says which process it ran in."""
    time.sleep(0.3)
    return {"product": factors["size"] * seed, "process": os.getpid()}


def test_a_cluster_gives_the_rows_of_a_run_in_place(cluster: Client, tmp_path: Path) -> None:
    cells = [{"per_class": 4, "frozen": "nothing"}, {"per_class": 4, "frozen": "5 layers"}]
    study = Study("tiny", [{**cell, "epochs": 1} for cell in cells], range(2), recipes.measure, MEASUREMENTS)
    here = run_study(study, tmp_path / "here.csv")
    there = run_study(study, tmp_path / "there.csv", cluster.get_executor())
    assert len(there) == 4
    assert there["error"].isna().all()
    assert there.drop(columns=MACHINE_DEPENDENT).equals(here.drop(columns=MACHINE_DEPENDENT))


def test_a_killed_worker_costs_nothing_but_time(cluster: Client, tmp_path: Path) -> None:
    study = Study("waiting", grid(size=(1, 2, 3)), range(6), wait_a_little, ("product", "process"))
    victim = next(iter(cluster.run(os.getpid).values()))
    killed_after: list[int] = []

    def kill(done: int, wanted: int) -> None:
        if not killed_after:
            killed_after.append(done)
            os.kill(victim, signal.SIGKILL)

    rows = run_study(study, tmp_path / "rows.csv", cluster.get_executor(), on_row=kill)
    assert killed_after == [1]
    assert rows["error"].isna().all()
    assert rows["product"].tolist() == [size * seed for size in (1, 2, 3) for seed in range(6)]
    assert victim not in rows["process"].tolist()[-4:]
