"""The lower bounds that pyproject.toml declares are true: the core's quick tests pass with exactly those versions.

The oldest torch brings libraries for GPUs: 3 GB to download, 5 GB on the disk while the test runs, under a minute.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
ROOM_NEEDED = 8e9  # bytes
RUNNERS = ("pytest", "hypothesis", "nbformat")  # what the tests themselves import
CORE = "batching config evaluation features inference losses metrics models optim pretrained"  # names of test files

pytestmark = [
    pytest.mark.slow,
    pytest.mark.thorough,
    pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the oldest versions have wheels for Python 3.11"),
]


def lower_bounds() -> list[str]:
    """Every requirement of the core at its lowest version, and what runs its tests."""
    runners = [text for text in (*EXTRAS["dev"], *EXTRAS["lab"]) if Requirement(text).name in RUNNERS]
    return [text.replace(">=", "==") for text in (*PROJECT["dependencies"], *EXTRAS["offline"], *runners)]


@pytest.fixture
def python(tmp_path: Path) -> Iterator[Path]:
    """The interpreter of a clean environment with every package at its lower bound; removed afterwards."""
    if shutil.disk_usage(tmp_path).free < ROOM_NEEDED:
        pytest.skip("the oldest torch and its libraries need 8 GB of free disk")
    home = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    probe = pip(python, "install", "--dry-run", "--no-deps", *(text for text in lower_bounds() if "torch==" in text))
    if probe.returncode:
        pytest.skip(f"no package index answers: {probe.stderr.strip().splitlines()[-1]}")
    done = pip(python, "install", "--no-cache-dir", "--no-compile", *lower_bounds())
    assert done.returncode == 0, done.stderr
    yield python
    shutil.rmtree(home)


def pip(python: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [str(python), "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_core_passes_its_quick_tests_at_the_lower_bounds(python: Path) -> None:
    files = [f"tests/test_{name}.py" for name in CORE.split()]
    command = [str(python), "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "not slow", *files]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout
