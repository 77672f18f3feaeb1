"""A small disk of its own for a test that fills it: a real one, in memory, where this process may mount."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest


class Disk(NamedTuple):
    """The folder at which a small file system is mounted."""

    path: Path

    def fill(self, left: int = 0) -> None:
        """Take what is free, but for ``left`` bytes."""
        free = os.statvfs(self.path)
        with contextlib.suppress(OSError), (self.path / "filler").open("wb", buffering=0) as file:
            wanted = free.f_bavail * free.f_frsize - left
            while wanted > 0:
                wanted -= file.write(bytes(min(wanted, 1 << 20)))

    def free(self) -> None:
        """Give back what ``fill`` took."""
        (self.path / "filler").unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Disk]]:
    """Mount a file system of so many bytes; where mounting is not allowed the test is skipped."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(size: int) -> Disk:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip(f"this process may not mount a small disk: {done.stderr.decode().strip()}")
        return Disk(place)

    yield mount
    subprocess.run(["umount", "--lazy", str(place)], capture_output=True, check=False)
