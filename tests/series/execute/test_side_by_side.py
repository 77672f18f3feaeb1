"""How many lessons run at once, and which of them first."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import torch

from bertft_helpers.cli.main import app
from bertft_helpers.series.catalogue import Lesson
from bertft_helpers.series.costs import Cost
from bertft_helpers.series.execute import side_by_side
from bertft_helpers.series.execute.kernels import kernel_environment
from bertft_helpers.series.execute.side_by_side import lessons_at_once, longest_first

COSTS = {"01": Cost(0.2, 700), "19": Cost(0.7, 2000), "30": Cost(1.1, 1800)}


@pytest.fixture(autouse=True)
def costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three lessons, of which the largest takes 2 GB."""
    monkeypatch.setattr(side_by_side, "measured_costs", lambda: COSTS)


@pytest.mark.parametrize(
    ("cores", "free_gb", "gpu", "expected"),
    [(2, 16, False, 2), (16, 16, False, 8), (4, 5, False, 2), (4, 0.5, False, 1), (16, 64, True, 1)],
)
def test_each_has_a_core_and_its_memory_and_a_gpu_has_one(
    monkeypatch: pytest.MonkeyPatch, cores: int, free_gb: float, gpu: bool, expected: int
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    monkeypatch.setattr(side_by_side.psutil, "virtual_memory", lambda: SimpleNamespace(available=free_gb * 1e9))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert lessons_at_once() == expected


def test_long_lessons_begin_first_and_those_without_a_measurement_last() -> None:
    lessons = [Lesson(Path(f"{name}.ipynb")) for name in ("01_a", "05_new", "19_b", "30_c")]
    assert [lesson.number for lesson in longest_first(lessons)] == ["30", "19", "01", "05"]


def test_a_kernel_has_the_threads_that_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    with kernel_environment() as env:
        assert env["OMP_NUM_THREADS"] == "7"
    with kernel_environment(threads=1) as env:
        assert env["OMP_NUM_THREADS"] == "1"


def test_two_ways_to_say_how_many_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "01_a.ipynb")
    with pytest.raises(SystemExit) as caught:
        app(["run", "--fast", "--jobs", "2", "--notebooks", str(tmp_path)])
    assert caught.value.code == 2
    assert "leave --jobs out" in capsys.readouterr().err
