"""A switch of the process: memory that is kept, and no other result."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from bertft_helpers.speed.throughput import keep_freed_memory

FAULTS = """
import resource, sys
import torch
from bertft_helpers.speed.throughput import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for step in range(16):
    if step == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.ones(12_000_000) for _ in range(2)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_freed_memory_is_used_again_without_page_faults() -> None:
    assert page_faults("keep") < page_faults("plain") / 10


def test_a_system_without_the_switch_says_so(monkeypatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert not keep_freed_memory()
