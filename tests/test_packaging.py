"""pyproject.toml, requirements.lock, environment.yml, the Makefile and the README agree with each other."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib.metadata import distributions
from itertools import chain, product
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from bertft_helpers.series.catalogue import find_lessons

ROOT = Path(__file__).parents[1]
TOML = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = TOML["project"]
EXTRAS = PROJECT["optional-dependencies"]


def locked() -> dict[str, Requirement]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonical(requirement.name): requirement for requirement in requirements}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> list[Requirement]:
    return [Requirement(text) for text in [*PROJECT["dependencies"], *chain(*EXTRAS.values())]]


def pinned_version(requirement: Requirement) -> str:
    (specifier,) = requirement.specifier
    assert specifier.operator == "==", f"{requirement} is not pinned"
    return specifier.version


def test_every_declared_package_is_locked_at_a_version_that_its_bound_allows() -> None:
    lock = locked()
    missing = [str(r) for r in declared() if canonical(r.name) not in lock]
    assert missing == []
    unfit = [str(r) for r in declared() if not r.specifier.contains(pinned_version(lock[canonical(r.name)]))]
    assert unfit == []


def test_the_project_declares_lower_bounds_only() -> None:
    operators = {str(r): [s.operator for s in r.specifier] for r in declared()}
    assert {text: found for text, found in operators.items() if found != [">="]} == {}


def test_the_lock_is_exact_sorted_and_free_of_local_builds_and_paths() -> None:
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    assert lines == sorted(lines, key=str.lower)
    assert [line for line in lines if "+" in line or "@" in line or "/" in line or "==" not in line] == []
    assert pinned_version(locked()["torch"]) == "2.13.0"


def test_what_locked_packages_need_is_locked_too() -> None:
    """Else the newest version of it is installed, and tomorrow's environment is not today's."""
    lock, here = locked(), {canonical(one.metadata["Name"]): one for one in distributions()}
    needed = {
        canonical(Requirement(text).name): name
        for name in lock.keys() & here.keys()
        for text in here[name].requires or []
        if (marker := Requirement(text).marker) is None or marker.evaluate({"extra": ""})
    }
    assert {name: by for name, by in needed.items() if name not in lock} == {}


def test_every_locked_package_installs_on_the_oldest_python_that_the_project_allows() -> None:
    """Debian 12 has Python 3.11.2, and a lock that was made on 3.11.7 once held a package for 3.11.5 and newer."""
    oldest = f"{PROJECT['requires-python'].removeprefix('>=')}.0"
    here = {canonical(one.metadata["Name"]): one.metadata for one in distributions()}
    wanted = {name: here[name].get("Requires-Python") or "" for name in locked() if name in here}
    assert len(wanted) > 200
    assert {name: needs for name, needs in wanted.items() if not SpecifierSet(needs).contains(oldest)} == {}


def test_every_file_of_the_package_is_packed() -> None:
    setup = TOML["tool"]["setuptools"]
    packed = {path for name in setup["packages"] for path in folder_of(name).glob("*.py")}
    for name, patterns in setup["package-data"].items():
        packed |= {path for pattern in patterns for path in folder_of(name).glob(pattern)}
    listed = subprocess.run(["git", "ls-files", "bertft_helpers"], cwd=ROOT, capture_output=True, text=True, check=True)
    there = {ROOT / line for line in listed.stdout.splitlines()}
    assert len(there) > 50
    assert sorted(map(str, there - packed)) == [str(ROOT / "bertft_helpers/README.md")]


def folder_of(package: str) -> Path:
    return ROOT / TOML["tool"]["setuptools"]["package-dir"].get(package, package.replace(".", "/"))


def test_conda_installs_this_package_with_all_its_extras() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, nested = environment["dependencies"]
    assert pip == "pip"
    assert f">={python.removeprefix('python=')}" == PROJECT["requires-python"]
    (editable,) = nested["pip"]
    assert set(re.fullmatch(r"-e \.\[(.*)\]", editable)[1].split(",")) == set(EXTRAS)


def make_targets() -> set[str]:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    return set(phony.split())


def test_every_make_command_that_the_readme_names_exists() -> None:
    assert commands_without_target((ROOT / "README.md").read_text(), make_targets()) == set()


def test_a_make_command_that_does_not_exist_is_noticed() -> None:
    assert commands_without_target("`make run`, `make tea`", {"run"}) == {"tea"}


def commands_without_target(readme: str, targets: set[str]) -> set[str]:
    return set(re.findall(r"(?:`|^\s*|\$ )make ([a-z]+)", readme, flags=re.MULTILINE)) - targets


def test_ci_and_the_workflow_call_targets_that_exist() -> None:
    for path in (".ci/run", ".github/workflows/test.yml"):
        called = set(re.findall(r"^(?:exec | *- run: )?make ([a-z]+)", (ROOT / path).read_text(), flags=re.MULTILINE))
        assert {"test", "exercises", "applications"} <= called
        assert called <= make_targets(), path


def test_ci_runs_every_test_that_is_not_thorough_once() -> None:
    chosen = [re.findall(r'-m "(.*)"', dry_run(target, ROOT)) for target in ("test", "exercises", "applications")]
    for exercises, applications in product((False, True), repeat=2):
        marks = {"thorough": False, "exercises": exercises, "applications": applications}
        assert [eval(one, {}, marks) for (one,) in chosen].count(True) == 1, marks


def test_ci_compares_the_outputs_of_every_lesson() -> None:
    compared: list[Path] = []
    for target in ("test", "applications"):
        (patterns,) = re.findall(r"check --execute --jobs \d+ (.*)$", dry_run(target, ROOT), flags=re.MULTILINE)
        compared += [path for pattern in patterns.split() for path in ROOT.glob(pattern)]
    assert sorted(compared) == sorted(lesson.path for lesson in find_lessons(ROOT / "notebooks"))


def test_a_target_that_is_set_up_does_not_set_up_again(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    for name in ("requirements.lock", "pyproject.toml", ".venv/.ready"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert "pip" not in dry_run("run", tmp_path)
    (tmp_path / "requirements.lock").write_text("newer")
    (tmp_path / ".venv/.ready").unlink()
    assert "pip install" in dry_run("run", tmp_path)


def dry_run(target: str, folder: Path) -> str:
    return subprocess.run(["make", "-n", target], cwd=folder, capture_output=True, text=True, check=True).stdout


def test_make_with_an_old_python_says_which_one_is_needed(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    old = tmp_path / "oldpython"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    old.chmod(0o755)
    done = subprocess.run(["make", "run", f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "is Python 3.9.2, but Python 3.11 or newer is needed" in done.stdout
    assert not (tmp_path / ".venv").exists()
