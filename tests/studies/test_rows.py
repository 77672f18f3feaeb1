"""A results file survives kills at any byte, full disks and second writers, and refuses what it does not understand."""

from __future__ import annotations

import errno
import math
import multiprocessing
import os
import random
import resource
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bertft_helpers.cli.main import app
from bertft_helpers.errors import RunError
from bertft_helpers.files import held
from bertft_helpers.studies import rows as results
from bertft_helpers.studies.experiments import Study, grid, run_study
from bertft_helpers.studies.rows import append_row, load_rows, open_rows

HEADER = {"study": "tiny", "version": 1, "settings": {}, "columns": ["rate", "seed", "accuracy", "error"]}


def measure(factors: dict[str, Any], seed: int) -> dict[str, Any]:
    if seed == 2:
        raise ValueError("sizes differ:\nbert.pooler has 384,\n\n  here are 768")
    return {"accuracy": random.Random(seed).random()}


def study(seeds: range = range(6)) -> Study:
    return Study("tiny", grid(rate=(1e-4, 3e-4)), seeds, measure, ("accuracy",))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tiny.csv"


def test_numbers_come_back_to_the_last_bit(path: Path) -> None:
    rows = run_study(study(range(100, 200)), path)
    assert list(rows["accuracy"]) == [random.Random(seed).random() for _ in range(2) for seed in range(100, 200)]


def test_an_error_of_several_lines_stays_one_row(path: Path) -> None:
    rows = run_study(study(), path)
    assert len(path.read_text().splitlines()) == 2 + 12
    assert rows["error"].dropna().unique() == ["ValueError: sizes differ: bert.pooler has 384,    here are 768"]


@pytest.mark.slow
def test_a_kill_at_any_byte_costs_one_run_at_most(path: Path) -> None:
    expected = run_study(study(range(1, 3)), path)
    whole, notices = path.read_bytes(), []
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        found = run_study(study(range(1, 3)), path, on_notice=notices.append)
        assert found.equals(expected), f"cut after {length} bytes"
        assert path.read_bytes().count(b"\n") == 2 + 4
    assert set(notices) == {"tiny.csv: the last line was cut off; removed it, its run is repeated"}


def test_a_full_disk_loses_no_stored_row(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_study(study(range(2)), path)
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(results.os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            run_study(study(), path)
    assert path.read_bytes() == before
    assert len(run_study(study(), path)) == 12


def run_within(path: Path, bytes_allowed: int) -> None:
    """In a process of its own: the system cuts a write short at the limit, as a full disk does."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_allowed, bytes_allowed))
    try:
        run_study(study(), path)
    except OSError as error:
        os._exit(error.errno)


@pytest.mark.parametrize("bytes_allowed", [40, 200, 300])
def test_a_write_that_the_system_cuts_short_leaves_whole_rows(path: Path, bytes_allowed: int) -> None:
    process = multiprocessing.get_context("fork").Process(target=run_within, args=(path, bytes_allowed))
    process.start()
    process.join()
    assert process.exitcode == errno.EFBIG
    assert len(path.read_bytes()) <= bytes_allowed
    assert path.read_bytes().endswith(b"\n") or path.read_bytes() == b""
    assert len(run_study(study(), path, on_notice=pytest.fail)) == 12


def hold(path: Path, begun: Any) -> None:
    with held(path):
        begun.set()
        time.sleep(60)


def test_a_second_writer_is_refused_until_the_first_is_gone_even_killed(path: Path) -> None:
    context = multiprocessing.get_context("fork")
    begun = context.Event()
    first = context.Process(target=hold, args=(path, begun))
    first.start()
    assert begun.wait(30)
    with pytest.raises(RunError, match=r"another process writes to .*tiny\.csv: process"):
        run_study(study(), path)
    first.kill()
    first.join()
    assert len(run_study(study(), path)) == 12


def test_a_file_of_something_else_is_refused_and_kept(path: Path) -> None:
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="is not a results file"):
        open_rows(path, HEADER)
    path.write_text("# {broken\na,b\n")
    with pytest.raises(ValueError, match="its first line is damaged"):
        open_rows(path, HEADER)
    assert path.read_text() == "# {broken\na,b\n"


def test_a_row_with_missing_fields_is_named(path: Path) -> None:
    open_rows(path, HEADER)
    append_row(path, [1e-4, 0, 0.8, ""])
    append_row(path, [1e-4, 1, 0.8])
    with pytest.raises(ValueError, match="row 4 has 3 fields instead of 4; delete it"):
        open_rows(path, HEADER)


def test_a_run_that_is_there_twice_is_named(path: Path) -> None:
    run_study(study(), path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, lines[4]]))
    with pytest.raises(ValueError, match="holds the same run twice, again in row 15"):
        run_study(study(), path)


def test_rows_come_in_the_order_of_factors_and_seeds(path: Path) -> None:
    open_rows(path, HEADER)
    for rate, seed in [(3e-4, 1), (1e-4, 2), (3e-4, 0), (1e-4, 10)]:
        append_row(path, [rate, seed, math.nan, ""])
    assert list(zip(*load_rows(path)[["rate", "seed"]].to_numpy().T, strict=True)) == [
        (1e-4, 2),
        (1e-4, 10),
        (3e-4, 0),
        (3e-4, 1),
    ]


def test_the_command_says_why_it_cannot_write(path: Path) -> None:
    context = multiprocessing.get_context("fork")
    begun = context.Event()
    first = context.Process(target=hold, args=(path.parent / "freezing.csv", begun))
    first.start()
    assert begun.wait(30)
    answer = CliRunner().invoke(app, ["study", "freezing", "--out", str(path.parent)])
    first.kill()
    first.join()
    assert answer.exit_code == 1
    assert "another process writes to" in answer.stderr
