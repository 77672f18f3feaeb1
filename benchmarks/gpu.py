"""``python -m benchmarks.gpu``: the tests that need a GPU, every lesson at the GPU's profile, and a table of both.

What is run is what ``pytest tests/gpu`` and ``bertft run --profile gpu`` run; the first use downloads BERT-base.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch

from bertft_helpers.runtime import pick_device, pick_precision
from bertft_helpers.speed.machine import describe_machine

ROOT = Path(__file__).parents[1]
OUT = ROOT / "build" / "gpu"
CELL_TIMEOUT = 3600  # seconds; full data and more seeds than on a CPU


def main() -> None:
    """Run, write ``build/gpu/table.md``, and end with 1 where a test or a lesson failed or no GPU is there."""
    device = pick_device()
    if device.type != "cuda":
        raise SystemExit(
            "no GPU that PyTorch can use through CUDA is here, so there is nothing to measure; bertft doctor says what "
            "is wrong with one that should be"
        )
    OUT.mkdir(parents=True, exist_ok=True)
    _call("pytest", str(ROOT / "tests" / "gpu"), f"--junitxml={OUT / 'tests.xml'}")
    _call("bertft_helpers", "run", "--profile", "gpu", "--out", str(OUT), "--cell-timeout", str(CELL_TIMEOUT))
    tests, lessons = read_tests(OUT / "tests.xml"), json.loads((OUT / "run.json").read_text(encoding="utf-8"))
    (OUT / "table.md").write_text(table(_machine(device), tests, lessons), encoding="utf-8")
    print(f"see {OUT / 'table.md'}")
    failed = tests["failed"] or any(lesson["status"] != "ok" for lesson in lessons["lessons"])
    raise SystemExit(1 if failed else 0)


def _call(module: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT, check=False)  # a failure is in what it writes


def _machine(device: torch.device) -> str:
    facts, precision = describe_machine(device), str(pick_precision(device)).removeprefix("torch.")
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    return f"{facts['device']} ({precision}), {facts['processor']}; {versions}"


def read_tests(report: Path) -> dict[str, int]:
    """How many tests passed, failed and were skipped, from the report that pytest writes as JUnit's XML."""
    suites = ElementTree.parse(report).getroot().iter("testsuite")
    counts = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for suite in suites:
        counts = {name: counts[name] + int(suite.get(name, 0)) for name in counts}
    failed = counts["failures"] + counts["errors"]
    return {"passed": counts["tests"] - failed - counts["skipped"], "failed": failed, "skipped": counts["skipped"]}


def table(machine: str, tests: dict[str, int], run: dict[str, Any]) -> str:
    """The figures as Markdown: the machine, the tests, and a row for each lesson."""
    rows = [
        f"| {lesson['lesson']} | {lesson['status']} | {lesson['seconds']:.0f} | {lesson['peak_mb']:,.0f} |"
        for lesson in run["lessons"]
    ]
    counted = ", ".join(f"{count} {name}" for name, count in tests.items())
    head = ["| lesson | status | seconds | memory of the process, MB |", "|---|---|---:|---:|"]
    lines = [f"# Lessons at the profile {run['profile']}", "", machine, "", f"Tests: {counted}.", "", *head, *rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
