"""What publishes the series: valid files, pinned actions, few rights, and commands that exist and work.

The workflows cannot run here. GitHub's own schemas check their form, and tests/test_releasing.py names the test that
runs each of their commands.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
SCHEMAS = {  # name of the schema -> the files that it describes
    "vendor.github-workflows": WORKFLOWS,
    "custom.github-workflows-require-timeout": WORKFLOWS,
    "vendor.dependabot": [GITHUB / "dependabot.yml"],
    "vendor.github-issue-forms": sorted(
        set((GITHUB / "ISSUE_TEMPLATE").glob("*.yml")) - {GITHUB / "ISSUE_TEMPLATE/config.yml"}
    ),
    "vendor.github-issue-config": [GITHUB / "ISSUE_TEMPLATE/config.yml"],
    "vendor.citation-file-format": [ROOT / "CITATION.cff"],
}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_files_for_github_have_the_form_that_it_asks_for(schema: str) -> None:
    assert SCHEMAS[schema]
    assert wrong_by_schema(schema, SCHEMAS[schema]) == ""


def test_a_workflow_with_a_wrong_key_is_noticed(tmp_path: Path) -> None:
    damaged = tmp_path / "test.yml"
    damaged.write_text(WORKFLOWS[0].read_text().replace("runs-on:", "run-on:"))
    assert "run-on" in wrong_by_schema("vendor.github-workflows", [damaged])


def wrong_by_schema(schema: str, files: list[Path]) -> str:
    """What the checker says against the files; empty when it is content."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


def test_every_action_is_pinned_by_hash_and_says_its_version() -> None:
    used = [line for path in WORKFLOWS for line in path.read_text().splitlines() if "uses:" in line]
    assert len(used) > 10
    assert [line for line in used if not re.search(r"uses: [\w/-]+@[0-9a-f]{40} # v[\d.]+$", line)] == []


def test_one_action_has_one_hash() -> None:
    pinned = {(name, sha) for path in WORKFLOWS for name, sha in re.findall(r"uses: ([\w/-]+)@(\w+)", path.read_text())}
    assert len({name for name, _ in pinned}) == len(pinned)


def test_a_workflow_may_only_read_and_a_job_says_what_more_it_needs() -> None:
    for path in WORKFLOWS:
        assert yaml.safe_load(path.read_text())["permissions"] == {"contents": "read"}, path
    more = {
        f"{path.stem}.{name}": job["permissions"]
        for path in WORKFLOWS
        for name, job in yaml.safe_load(path.read_text())["jobs"].items()
        if "permissions" in job
    }
    assert more == {
        "pages.deploy": {"pages": "write", "id-token": "write"},
        "release.pypi": {"id-token": "write"},
        "release.github": {"contents": "write"},
    }


def test_no_text_of_an_outsider_is_pasted_into_a_script() -> None:
    for path in WORKFLOWS:
        scripts = re.findall(r"run: (.*)", path.read_text())
        assert [script for script in scripts if "${{" in script] == [], path


def test_make_knows_every_target_that_workflows_and_guides_call() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    texts = [path.read_text() for path in (*WORKFLOWS, *GITHUB.glob("*.md"), ROOT / ".devcontainer/devcontainer.json")]
    called = {target for text in texts for target in re.findall(r"\bmake ([a-z]+)\b(?=[\s`\";&]|$)", text)}
    assert {"test", "web", "dist", "bundle", "links", "quick"} <= called
    assert called - set(phony.split()) == set()


def test_the_version_is_the_same_wherever_it_is_written() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert citation["version"] == version
    assert newest is not None
    assert newest[1] == version


def test_hooks_name_commands_that_are_installed() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    programs = {hook["entry"].split()[0] for hook in repository["hooks"]}
    folder = Path(sys.executable).parent
    assert [name for name in programs if not list(folder.glob(f"{name}*"))] == []


@pytest.mark.slow
def test_hooks_pass_a_lesson_as_it_is_stored() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    folder = Path(sys.executable).parent
    for hook in repository["hooks"]:
        program, *arguments = hook["entry"].split()
        command = [str(folder / program), *arguments, "notebooks/06_inspect_bert.ipynb"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (hook["id"], done.stdout, done.stderr)


@pytest.mark.slow
def test_the_distributions_install_and_the_list_names_what_they_need(tmp_path: Path) -> None:
    source = tmp_path / "source"
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    (tmp_path / "source.tar").write_bytes(archive)
    with tarfile.open(tmp_path / "source.tar") as tar:
        tar.extractall(source, filter="data")
    for recipe in recipes("dist"):
        done = subprocess.run(recipe.split(), cwd=source, capture_output=True, text=True, check=False)
        if done.returncode and "No matching distribution" in done.stdout + done.stderr:
            pytest.skip("no package index answers")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "deprecated" not in done.stdout + done.stderr
    (wheel,) = (source / "build/dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "bertft_helpers/py.typed" in names
    assert "bertft_helpers/series/site/static/print.css" in names
    assert not [name for name in names if name.startswith(("tests/", "notebooks/"))]
    assert list((source / "build/dist").glob("*.tar.gz"))
    components = {part["name"] for part in yaml.safe_load((source / "build/sbom.json").read_text())["components"]}
    assert {"torch", "transformers"} <= components
    assert_a_clean_environment_runs_what_the_wheel_brings(wheel, tmp_path / "env")


def assert_a_clean_environment_runs_what_the_wheel_brings(wheel: Path, env: Path) -> None:
    """Its dependencies are lent from the environment of these tests; the package itself is the wheel's."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(env)], check=True)
    python = env / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([*install, str(wheel)], env=clean, check=True)
    (packages,) = env.glob("**/site-packages")
    (packages / "lent.pth").write_text(sysconfig.get_path("purelib"))
    done = subprocess.run([str(python.with_name("bertft")), "--help"], env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "doctor" in done.stdout
    where = [str(python), "-c", "import bertft_helpers; print(bertft_helpers.__file__)"]
    found = subprocess.run(where, env=clean, capture_output=True, text=True, cwd=env).stdout
    assert Path(found.strip()).is_relative_to(packages)


def recipes(target: str) -> list[str]:
    """The commands of a make target, with the environment that runs these tests."""
    (body,) = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    return [line.strip().replace("$(BIN)", str(Path(sys.executable).parent)) for line in body.splitlines()]
