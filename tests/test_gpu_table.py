"""``make gpu`` without a GPU says so and writes nothing; its table is read from what the two runs leave behind."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import gpu


def test_without_a_gpu_nothing_is_run_and_why_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gpu, "pick_device", lambda: torch.device("cpu"))
    monkeypatch.setattr(gpu, "OUT", tmp_path / "gpu")
    with pytest.raises(SystemExit, match="no GPU that PyTorch can use through CUDA is here"):
        gpu.main()
    assert not (tmp_path / "gpu").exists()


def test_skipped_and_broken_tests_are_not_counted_as_passed(tmp_path: Path) -> None:
    report = tmp_path / "tests.xml"
    report.write_text('<testsuites><testsuite tests="10" failures="1" errors="2" skipped="3"/></testsuites>')
    assert gpu.read_tests(report) == {"passed": 4, "failed": 3, "skipped": 3}


def test_the_table_names_the_machine_the_tests_and_each_lesson() -> None:
    lessons = [
        {"lesson": "04_load", "status": "ok", "seconds": 61.4, "peak_mb": 2345.6},
        {"lesson": "19_loop", "status": "failed", "seconds": 9.0, "peak_mb": 800.0},
    ]
    text = gpu.table("T4", {"passed": 9, "failed": 0}, {"profile": "gpu", "lessons": lessons})
    assert text.splitlines()[2:5] == ["T4", "", "Tests: 9 passed, 0 failed."]
    assert "| 04_load | ok | 61 | 2,346 |\n| 19_loop | failed | 9 | 800 |\n" in text
