"""A study is never lost, never repeated, and the same on every executor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bertft_helpers.errors import RunError
from bertft_helpers.studies.catalogue import STUDIES, find_study
from bertft_helpers.studies.experiments import Study, grid, load_rows, run_study
from bertft_helpers.studies.recipes import MEASUREMENTS, Recipe


def measure(factors: dict[str, Any], seed: int) -> dict[str, Any]:
    """A run that takes no time: accuracy and loss follow from factors and seed."""
    if factors["rate"] == 9:
        raise FloatingPointError("the loss is nan")
    return {"accuracy": factors["rate"] / 10 + seed / 1000, "loss": 0.1 + factors["size"]}


def slowly(factors: dict[str, Any], seed: int) -> dict[str, Any]:
    time.sleep(0.02)
    return measure(factors, seed)


def study(**changes: Any) -> Study:
    cells = grid(rate=(1, 2, 3), size=(0.1, 0.2))
    return Study(
        **{
            "name": "tiny",
            "cells": cells,
            "seeds": range(4),
            "measure": measure,
            "measurements": ("accuracy", "loss"),
            **changes,
        }
    )


def quiet(notice: str) -> None:
    """Notices that a test does not read."""


def test_a_grid_holds_every_combination_in_order() -> None:
    assert grid(rate=(1, 2), size=(3,)) == [{"rate": 1, "size": 3}, {"rate": 2, "size": 3}]


def test_every_cell_and_seed_has_one_row(tmp_path: Path) -> None:
    rows = run_study(study(), tmp_path / "t.csv")
    assert len(rows) == 6 * 4
    assert not rows.duplicated(["rate", "size", "seed"]).any()
    chosen = rows[(rows["rate"] == 2) & (rows["size"] == 0.1) & (rows["seed"] == 3)]
    assert chosen["accuracy"].item() == pytest.approx(0.203)


def test_any_executor_gives_the_same_rows(tmp_path: Path) -> None:
    expected = run_study(study(), tmp_path / "here.csv")
    with ProcessPoolExecutor(2) as processes, ThreadPoolExecutor(3) as threads:
        for name, executor in {"processes": processes, "threads": threads}.items():
            rows = run_study(study(), tmp_path / f"{name}.csv", executor)
            assert rows.equals(expected), name


def test_one_failing_run_is_recorded_and_the_others_go_on(tmp_path: Path) -> None:
    rows = run_study(study(cells=grid(rate=(1, 9), size=(0.1,))), tmp_path / "t.csv")
    failed = rows[rows["rate"] == 9]
    assert set(failed["error"]) == {"FloatingPointError: the loss is nan"}
    assert rows[rows["rate"] == 1]["accuracy"].notna().all()


def test_a_study_goes_on_where_it_stopped(tmp_path: Path) -> None:
    run_study(study(seeds=range(2)), tmp_path / "t.csv")
    done: list[tuple[int, int]] = []
    run_study(study(), tmp_path / "t.csv", on_row=lambda there, of: done.append((there, of)))
    assert done[0] == (13, 24)
    assert len(done) == 12


@pytest.mark.slow
def test_a_killed_study_loses_and_repeats_nothing(tmp_path: Path) -> None:
    path, stored = tmp_path / "t.csv", []
    for _ in range(6):
        child = os.fork()
        if child == 0:
            run_study(study(measure=slowly), path, on_notice=quiet)
            os._exit(0)
        time.sleep(0.12)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        stored.append(stored_runs(path) if os.WIFSIGNALED(status) else 24)
    assert [runs for runs in stored if 0 < runs < 24], "no kill hit the study while it ran"
    rows = run_study(study(), path, on_notice=quiet)
    assert rows.equals(run_study(study(), tmp_path / "whole.csv"))
    assert len(path.read_text().splitlines()) == 2 + 24


def test_a_line_that_was_cut_off_is_removed_and_said(tmp_path: Path) -> None:
    path, notices = tmp_path / "t.csv", []
    expected = run_study(study(), path)
    path.write_bytes(path.read_bytes()[:-7])
    assert run_study(study(), path, on_notice=notices.append).equals(expected)
    assert notices == ["t.csv: the last line was cut off; removed it, its run is repeated"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"version": 2}, "version 1 there, 2 here"),
        ({"name": "other"}, "study 'tiny' there, 'other' here"),
        ({"settings": {"epochs": 3}}, "settings {} there, {'epochs': 3} here"),
        ({"measurements": ("accuracy",)}, "columns"),
    ],
)
def test_another_studys_file_is_refused_and_the_difference_named(tmp_path: Path, changes: dict, named: str) -> None:
    run_study(study(), tmp_path / "t.csv")
    before = (tmp_path / "t.csv").read_bytes()
    with pytest.raises(ValueError, match="made by another study or version") as refusal:
        run_study(study(**changes), tmp_path / "t.csv")
    assert named in str(refusal.value)
    assert (tmp_path / "t.csv").read_bytes() == before


@pytest.mark.slow
def test_a_killed_study_on_processes_loses_and_repeats_nothing(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from pathlib import Path\n"
        "from test_experiments import run_study, slowly, study\n"
        "with ProcessPoolExecutor(2) as pool:\n"
        f"    run_study(study(measure=slowly), Path({str(tmp_path / 't.csv')!r}), pool)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    process = subprocess.Popen([sys.executable, script], env=environment, start_new_session=True)
    try:
        wait_for(lambda: stored_runs(tmp_path / "t.csv") >= 5)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # the workers of the dead process
    assert 5 <= stored_runs(tmp_path / "t.csv") < 24
    rows = run_study(study(), tmp_path / "t.csv", on_notice=quiet)
    assert rows.equals(run_study(study(), tmp_path / "whole.csv"))
    assert stored_runs(tmp_path / "t.csv") == 24


def stored_runs(path: Path) -> int:
    return path.read_bytes().count(b"\n") - 2 if path.exists() else 0


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def dies_once(factors: dict[str, Any], seed: int) -> dict[str, Any]:
    """The first time that seed 3 runs, the worker is killed as the system does when memory runs out."""
    marker = Path(os.environ["MARKER"])
    if seed == 3 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return measure(factors, seed)


def test_a_worker_that_dies_costs_nothing_but_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKER", str(tmp_path / "died"))
    dying = study(measure=dies_once)
    with ProcessPoolExecutor(1) as pool, pytest.raises(RunError, match="a worker process died"):
        run_study(dying, tmp_path / "t.csv", pool)
    assert 0 < stored_runs(tmp_path / "t.csv") < 24
    with ProcessPoolExecutor(1) as pool:
        rows = run_study(dying, tmp_path / "t.csv", pool)
    assert rows.equals(run_study(study(), tmp_path / "whole.csv"))


def test_results_that_are_not_there_say_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="make them with bertft study freezing"):
        load_rows(tmp_path / "freezing.csv")


def test_an_unknown_study_or_factor_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no study 'tea'; there are bias_correction, freezing"):
        find_study("tea")
    with pytest.raises(ValueError, match="unknown factor beams; the factors are per_class, epochs"):
        Recipe.of(beams=4)
    with pytest.raises(ValueError, match="frozen is 'half'; choose one of nothing, embeddings"):
        Recipe(frozen="half")


def test_cells_need_the_same_factors() -> None:
    with pytest.raises(ValueError, match="all cells need the same factors"):
        study(cells=[{"rate": 1, "size": 1}, {"rate": 1}])


OTHER_MEASUREMENTS = ("early_stopping", "pretraining", "defaults", "further_defaults")


@pytest.mark.parametrize("name", STUDIES)
def test_the_series_studies_have_ten_seeds_and_distinct_cells(name: str) -> None:
    found = STUDIES[name]
    assert len(found.seeds) == 10
    assert len({tuple(cell.items()) for cell in found.cells}) == len(found.cells)
    if name not in OTHER_MEASUREMENTS:
        assert tuple(found.measurements) == MEASUREMENTS
        for cell in found.cells:
            Recipe.of(**cell)
