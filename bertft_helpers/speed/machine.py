"""The machine that figures of speed hold for: its processor with the instruction sets that matter, threads, device."""

from __future__ import annotations

import contextlib
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

__all__ = ["INSTRUCTIONS", "VERSIONED", "describe_machine", "processor_of"]

VERSIONED = ("torch", "transformers", "bertft-helpers")
# What a matrix product's speed hangs on; the names are the Linux kernel's, for x86 and ARM.
INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_fp16", "asimd", "bf16", "sve")


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Processor, instruction sets, threads, device and the versions that a measured speed depends on."""
    processor, instructions = processor_of(_cpuinfo())
    return {
        "processor": processor,
        "instructions": instructions,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "versions": {name: version(name) for name in VERSIONED},
    }


def processor_of(cpuinfo: str) -> tuple[str, list[str]]:
    """The processor's name and its instruction sets from Linux's ``/proc/cpuinfo``.

    Where there is no such file: the name that Python knows, and what torch says of its kernels.
    """
    facts: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            facts.setdefault(name.strip(), value.strip())
    flags = (facts.get("flags") or facts.get("Features") or "").split()
    if not flags:
        return platform.processor() or platform.machine(), [torch.backends.cpu.get_cpu_capability()]
    return facts.get("model name", platform.machine()), [name for name in INSTRUCTIONS if name in flags]


def _cpuinfo() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    return ""
