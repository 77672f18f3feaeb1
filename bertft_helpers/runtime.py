"""The machine that a run uses: device, precision, threads, seeds, quiet libraries."""

from __future__ import annotations

import contextlib
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import torch
from threadpoolctl import threadpool_limits

from bertft_helpers.errors import RunError


def device_works(name: str) -> bool:
    """Whether a small operation succeeds on the device called ``name``.

    A driver can report a device on which every kernel fails (an old GPU with a new build), so asking is not enough.
    Written out in lesson 03.
    """
    try:
        square = torch.ones(8, 8, device=name)
        return bool((square @ square).sum().item() == 512.0)
    except (RuntimeError, AssertionError, NotImplementedError):
        return False


def pick_device(preferred: str | None = None) -> torch.device:
    """The first device that works: ``preferred``, or CUDA, then Apple's MPS, then the CPU.

    Raises RuntimeError when ``preferred`` is given and does not work. Written out in lesson 03.
    """
    if preferred is not None:
        if not device_works(preferred):
            raise RunError(
                f"the device {preferred!r} was asked for, but a trial operation on it failed; "
                "use device=None to take the first one that works, or 'cpu'"
            )
        return torch.device(preferred)
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    for name, reported in available.items():
        if reported and device_works(name):
            return torch.device(name)
    return torch.device("cpu")


def pick_precision(device: torch.device) -> torch.dtype:
    """The number format for mixed precision on ``device``: bfloat16 or float16 on CUDA, float32 elsewhere.

    Emulated bfloat16 (as on a T4) is slower than float16, so it does not count. On CPUs and MPS float32 is the fast
    or the safe choice. Written out in lesson 03.
    """
    if device.type != "cuda":
        return torch.float32
    native_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if native_bfloat16 else torch.float16


@contextlib.contextmanager
def mixed_precision(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Run the forward pass in ``dtype``; with float32 this does nothing. Written out in lesson 03."""
    if dtype == torch.float32:
        yield
    else:
        with torch.autocast(device.type, dtype=dtype):
            yield


def set_seeds(seed: int) -> None:
    """Seed Python, NumPy and torch (all devices): initial weights and dropout follow from ``seed`` alone.

    Written out in lesson 03.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - libraries below us still draw from the global state
    torch.manual_seed(seed)


def quiet_libraries() -> None:
    """Switch off the progress bars of transformers, datasets and the Hub client, and idle threads.

    What these libraries report and warn of stays. NumPy's BLAS keeps one thread: its own and those of torch would keep
    each other waiting, and a logistic regression on what a model has just encoded takes ten times as long. Call it
    before models are loaded.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["HF_HUB_DISABLE_IMPLICIT_TOKEN"] = "1"
    import datasets
    from transformers.utils import logging as transformers_logging

    datasets.disable_progress_bars()
    transformers_logging.disable_progress_bar()
    threadpool_limits(1, user_api="blas")


def megabytes_kept(forward: Callable[[], torch.Tensor]) -> float:
    """Megabytes of activations that autograd keeps for the backward pass of what ``forward`` returns.

    Parameters don't count, since they are in memory anyway; what several operations keep counts once.
    """
    kept: dict[int, int] = {}  # address of a storage -> its bytes

    def count(tensor: torch.Tensor) -> torch.Tensor:
        owner = tensor if tensor._base is None else tensor._base  # a linear layer keeps its weight transposed, a view
        if not isinstance(owner, torch.nn.Parameter):
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # holds the numbers, so that no address is used twice, but not their graph

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        result = forward()  # held, so that its graph lives while we count
        megabytes = sum(kept.values()) / 1e6
        del result
    return megabytes


def reset_peak_memory() -> None:
    """Start a new measurement of ``peak_memory_mb`` from what the process holds now (Linux only, else do nothing)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mb(device: torch.device | None = None) -> float:
    """The largest amount of memory this process (or, with a CUDA ``device``, its GPU) has held, in megabytes."""
    if device is not None and device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    with contextlib.suppress(OSError):  # Linux: a peak that reset_peak_memory can set back
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    memory = psutil.Process().memory_info()
    if hasattr(memory, "peak_wset"):  # Windows
        return memory.peak_wset / 1e6
    import resource  # which Windows has not

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
