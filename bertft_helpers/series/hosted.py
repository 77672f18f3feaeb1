"""What a lesson says of a hosted machine (Colab, Kaggle) before it starts: device, memory, minutes, what to change.

Used by the set-up cell of every lesson, so it needs no more than the core's own packages.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import torch
from packaging.version import Version

from bertft_helpers.runtime import pick_device, pick_precision
from bertft_helpers.series.costs import measured_costs
from bertft_helpers.series.doctor import declared_bounds

__all__ = [
    "Machine",
    "advice",
    "examine_machine",
    "expectation",
    "free_memory_mb",
    "introduce",
    "outdated_package",
]

_SPARE = 1.2  # memory that must be free, as a multiple of the measured peak


class Machine(NamedTuple):
    """What the lesson will run on; free memory in MB, unknown (None) outside Linux."""

    device: torch.device
    name: str
    free_mb: float | None
    broken_gpu: str = ""
    outdated: str = ""  # an installed package that is older than the lesson needs


def introduce(lesson: str) -> None:
    """Print device, memory and the expected minutes of the lesson called ``19``, and what to change if anything."""
    machine, (minutes, peak_mb) = examine_machine(), measured_costs().get(lesson, (None, None))
    free = "" if machine.free_mb is None else f" · {machine.free_mb / 1000:.1f} GB of memory free"
    print(f"{machine.name}{free} · {expectation(minutes)}")
    if sentence := advice(machine, peak_mb):
        print(sentence)


def expectation(minutes: float | None) -> str:
    """The measured minutes in words."""
    if minutes is None:
        return "the minutes of this lesson are not measured yet"
    return f"about {max(1, round(minutes))} min at the values below (measured on two CPU cores)"


def advice(machine: Machine, peak_mb: float | None) -> str:
    """One sentence on what to change, the most pressing thing first; empty when nothing need be changed."""
    if machine.outdated:
        return f"Too old here: {machine.outdated}. Update it with %pip install --upgrade, then restart the kernel."
    if peak_mb and machine.free_mb is not None and machine.free_mb < _SPARE * peak_mb:
        return (
            f"The lesson takes up to {peak_mb / 1000:.1f} GB: shut down other notebooks, or lower the numbers in the "
            "cell of parameters and set SMOKE = True there."
        )
    if machine.broken_gpu:
        return f"The {machine.broken_gpu} cannot run this PyTorch; the lesson uses the CPU. Choose another accelerator."
    if machine.device.type == "cuda":
        return 'This GPU can take BERT-base: set CHECKPOINT = "bert-base-uncased" where the lesson has that parameter.'
    return ""


def examine_machine() -> Machine:
    """The machine of this kernel, after a trial operation on its device."""
    device = pick_device()
    broken = torch.cuda.get_device_name() if device.type == "cpu" and torch.cuda.is_available() else ""
    return Machine(device, _device_name(device), free_memory_mb(), broken, outdated_package())


def _device_name(device: torch.device) -> str:
    if device.type != "cuda":
        return f"{device.type.upper()}, {torch.get_num_threads()} threads"
    precision = str(pick_precision(device)).removeprefix("torch.")
    return f"{torch.cuda.get_device_name(device)} ({torch.cuda.mem_get_info(device)[1] / 1e9:.0f} GB, {precision})"


def free_memory_mb() -> float | None:
    """Memory that a kernel can still take, in MB; None where the system does not say (not Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("MemAvailable:")), None)


def outdated_package() -> str:
    """The first package of the core that is missing or older than its lower bound, in words; empty when none is."""
    for name, bound in sorted(declared_bounds().items()):
        if bound.marker or not bound.specifier:
            continue  # tools for working on the series, which a hosted notebook brings itself
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            return f"{name} (not installed, needed is {bound.specifier})"
        if not bound.specifier.contains(Version(found), prereleases=True):
            return f"{name} {found} (needed is {bound.specifier})"
    return ""
