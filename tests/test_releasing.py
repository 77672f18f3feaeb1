"""What the workflows run, tried in a clone: each script of theirs is here or in the test that ``RUN_BY`` names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bertft_helpers.series.catalogue import select_lessons
from bertft_helpers.series.notebook import read_notebook
from bertft_helpers.series.stamp import UNSTAMPED, stamp_lessons, stamped_source
from bertft_helpers.series.tested import PYTHON

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
SITE, HERE, FILES = "tests/series/site", "tests/test_releasing.py", "tests/test_publishing.py"
RUN_BY = {  # how a script begins -> the test that runs it; `make test` runs them all
    "make test": "tests/test_packaging.py::test_ci_and_the_workflow_call_targets_that_exist",
    "make exercises": "tests/test_packaging.py::test_ci_and_the_workflow_call_targets_that_exist",
    "make applications": "tests/test_packaging.py::test_ci_compares_the_outputs_of_every_lesson",
    "make thorough": "tests/test_packaging.py::test_ci_and_the_workflow_call_targets_that_exist",
    "make run": "tests/cli/test_main.py::test_a_run_without_failures_exits_0_with_each_override_given",
    "make dist": f"{FILES}::test_the_distributions_install_and_the_list_names_what_they_need",
    "make bundle": "tests/series/teach/test_workshop.py::test_the_bundle_holds_what_a_workshop_needs_and_installs",
    "make web": f"{SITE}/test_site.py::test_a_hostile_data_sets_texts_stay_texts_and_the_book_is_offered",
    "make links": f"{SITE}/test_outside.py::test_dead_addresses_are_listed_with_their_page_and_the_command_fails",
    "make .venv/.ready": f"{HERE}::test_the_site_launches_lessons_as_they_were_in_the_newest_release",
    ".venv/bin/bertft stamp": f"{HERE}::test_a_release_stops_when_the_tag_holds_lessons_stamped_with_another",
    "python -m venv .venv": f"{HERE}::test_the_weekly_run_upgrades_everything_that_the_project_declares",
    "find release": f"{HERE}::test_every_file_of_the_build_is_attached_to_the_release",
}


def scripts() -> Iterator[tuple[str, str]]:
    """Workflow and text of each ``run:``."""
    for path in WORKFLOWS:
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values():
            yield from ((path.stem, step["run"]) for step in job["steps"] if "run" in step)


def script(beginning: str) -> str:
    (found,) = [text for _, text in scripts() if text.startswith(beginning)]
    return found


def test_every_script_of_a_workflow_is_run_by_a_test() -> None:
    unknown = [text for _, text in scripts() if not any(text.startswith(beginning) for beginning in RUN_BY)]
    assert unknown == []
    assert [x for x in RUN_BY if not any(text.startswith(x) for _, text in scripts())] == []
    for place in RUN_BY.values():
        path, _, name = place.partition("::")
        assert f"def {name}" in (ROOT / path).read_text(encoding="utf-8"), place


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone with two lessons, not stamped, and the environment of these tests as its ``.venv``."""
    folder = tmp_path / "project"
    git(tmp_path, "clone", "--quiet", str(ROOT), str(folder))
    kept = {lesson.path.name for lesson in select_lessons(ROOT / "notebooks", ["04", "A2"])}
    for path in (folder / "notebooks").rglob("*.ipynb"):
        if path.name not in kept:
            path.unlink()
    stamp_lessons(folder / "notebooks", UNSTAMPED)
    (folder / ".venv").mkdir()
    for path in Path(sys.prefix).iterdir():
        if not path.name.startswith("."):
            (folder / ".venv" / path.name).symlink_to(path)
    (folder / ".venv/.ready").touch()  # so that make doesn't install
    commit(folder)
    return folder


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


def commit(folder: Path) -> None:
    git(folder, "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "--all", "--quiet", "-m", "Ready")


def run_script(folder: Path, text: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """As a runner does: by bash, which ends at the first command that fails."""
    env = {**os.environ, "GITHUB_REPOSITORY": "ada/lessons", **environment}
    return subprocess.run(["bash", "-e", "-c", text], cwd=folder, env=env, capture_output=True, text=True)


def sources(folder: Path) -> set[str | None]:
    return {stamped_source(read_notebook(path)) for path in (folder / "notebooks").rglob("*.ipynb")}


@pytest.mark.slow
def test_a_release_stops_when_the_tag_holds_lessons_stamped_with_another(checkout: Path) -> None:
    check = script(".venv/bin/bertft stamp")
    stamp_lessons(checkout / "notebooks", "git+https://github.com/ada/lessons@v1.2")
    commit(checkout)
    right = run_script(checkout, check, GITHUB_REF_NAME="v1.2")
    assert right.returncode == 0, right.stderr
    forgotten = run_script(checkout, check, GITHUB_REF_NAME="v1.3")
    assert forgotten.returncode == 1
    assert "blob/v1.2/" in forgotten.stdout


@pytest.mark.slow
def test_the_site_launches_lessons_as_they_were_in_the_newest_release(checkout: Path) -> None:
    stamp = script("make .venv/.ready")
    for tag in ("draft", "v0.9", "v0.10"):
        git(checkout, "tag", tag)
    done = run_script(checkout, stamp)
    assert done.returncode == 0, done.stderr
    assert sources(checkout) == {"git+https://github.com/ada/lessons@v0.10"}


@pytest.mark.slow
def test_before_the_first_release_the_site_has_no_launch_links(checkout: Path) -> None:
    assert run_script(checkout, script("make .venv/.ready")).returncode == 0
    assert sources(checkout) == {UNSTAMPED}


def test_the_weekly_run_upgrades_everything_that_the_project_declares() -> None:
    (extras,) = re.findall(r'pip install --upgrade -e "\.\[([\w,]+)\]"', script("python -m venv .venv"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(extras.split(",")) == set(project["optional-dependencies"])


def test_every_file_of_the_build_is_attached_to_the_release(tmp_path: Path) -> None:
    built = ["dist/x.whl", "dist/x.tar.gz", "extras/book/a book.pdf", "extras/sbom.json", "extras/bundle.zip"]
    for name in built:
        (tmp_path / "release" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "release" / name).touch()
    recorder = tmp_path / "gh"  # GitHub's program cannot run here: what it would be told is written down
    recorder.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > told\n')
    recorder.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = run_script(tmp_path, script("find release"), PATH=path, GITHUB_REF_NAME="v1.2")
    assert done.returncode == 0, done.stderr
    told = (tmp_path / "told").read_text().splitlines()
    assert told[:6] == ["release", "create", "v1.2", "--repo", "ada/lessons", "--verify-tag"]
    assert sorted(word for word in told if word.startswith("release/")) == sorted(f"release/{name}" for name in built)


def test_a_container_is_made_by_commands_that_the_project_has() -> None:
    """Docker is not asked for here: this reads the file as far as its mistakes can be read."""
    lines = (ROOT / ".devcontainer/Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
    steps = [line.split(maxsplit=1) for line in lines.splitlines() if line and not line.startswith("#")]
    assert steps[0][0] == "FROM"
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", steps[0][1])  # never `latest`
    (target,) = [text.removeprefix("make ") for word, text in steps if word == "RUN" and text.startswith("make ")]
    assert subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True).returncode == 0
    assert [text for word, text in steps if word == "USER"][-1] != "root"
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ".venv" in ignored  # of another system, it would be taken for the container's own
    container = yaml.safe_load((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))["build"]
    assert (ROOT / ".devcontainer" / container["dockerfile"]).is_file()
    assert (ROOT / ".devcontainer" / container["context"]).resolve() == ROOT


def test_every_python_that_a_host_is_told_is_one_that_the_lessons_were_run_with() -> None:
    container = (ROOT / ".devcontainer/Dockerfile").read_text(encoding="utf-8")
    workflows = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    told = {
        "Docker": re.findall(r"^FROM python:([\d.]+)-", container, flags=re.MULTILINE),
        "Binder": re.findall(r"python-([\d.]+)", (ROOT / "binder/runtime.txt").read_text(encoding="utf-8")),
        "conda": re.findall(r"python=([\d.]+)", (ROOT / "environment.yml").read_text(encoding="utf-8")),
        "GitHub": re.findall(r'"(3\.\d+)"', workflows),
    }
    assert all(told.values())
    assert {host: untried for host, versions in told.items() if (untried := {*versions} - {*PYTHON})} == {}
