"""What a run has cost over all calls that worked on it, also those that were killed."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch

from bertft_helpers.errors import RunError
from bertft_helpers.files import read_json, write_json
from bertft_helpers.runtime import peak_memory_mb, reset_peak_memory

WRITTEN_EVERY = 10  # seconds: what a kill can take from the sums


class Meter:
    """Seconds, processor seconds and peak memory of a run, kept in ``costs.json`` between its calls."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        self.path, self.device = folder / "costs.json", device
        self._earlier = self._read()
        reset_peak_memory()
        self._clock, self._processor = time.perf_counter(), time.process_time()
        self._written = self._clock

    def _read(self) -> dict[str, Any]:
        try:
            return read_json(self.path, "")
        except (RunError, OSError):  # the first call; or damaged, and then the sums begin anew: no result needs them
            return {}

    def tick(self) -> None:
        """Write the sums when they were not written for a while; a disk that refuses stops nothing."""
        if time.perf_counter() - self._written > WRITTEN_EVERY:
            self.write()

    def write(self) -> None:
        """Write the sums so far."""
        self._written = time.perf_counter()
        try:
            self.path.parent.mkdir(exist_ok=True)  # not the run's folder, when somebody has removed it
            write_json(self.path, self.sums())
        except OSError:
            return

    def sums(self) -> dict[str, Any]:
        """Seconds and peak memory over all calls; no memory where the system does not count it."""
        peak = peak_memory_mb(self.device)
        peaks = [own for own in (self._earlier.get("peak_memory_mb"), peak) if own is not None and not math.isnan(own)]
        seconds, processor = time.perf_counter() - self._clock, time.process_time() - self._processor
        return {
            "training_seconds": round(self._earlier.get("training_seconds", 0) + seconds, 1),
            "training_processor_seconds": round(self._earlier.get("training_processor_seconds", 0) + processor, 1),
            "peak_memory_mb": round(max(peaks)) if peaks else None,
            "calls": self._earlier.get("calls", 0) + 1,
        }
