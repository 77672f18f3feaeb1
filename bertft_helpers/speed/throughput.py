"""Two switches of the process that make training on a CPU quicker; nothing here changes a model."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator

import torch

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # glibc's numbers for mallopt
LARGEST = 2**30


def keep_freed_memory() -> bool:
    """Let the process keep freed memory for its next allocation; True where that is possible (Linux with glibc).

    Gradients and activations are freed and allocated anew in every step. By default the C library gives such large
    blocks back, and the system hands them out again page by page, zeroed: thousands of page faults a step. The results
    are the same to the last bit; the process stays as large as it once was. See mallopt(3).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    kept = mallopt(MMAP_THRESHOLD, LARGEST) or mallopt(MMAP_THRESHOLD, LARGEST // 32)  # older glibc: at most 32 MB
    return bool(kept and mallopt(TRIM_THRESHOLD, LARGEST))


@contextlib.contextmanager
def quick_products() -> Iterator[None]:
    """Leave the choice of float32 matrix products to oneDNN inside; an option, since it changes the last digits.

    On a CPU with matrix units for bfloat16 (AMX) the factors are rounded to 8 bits of mantissa, the sums stay float32;
    on others the products are float32, by kernels that also suit processors other than Intel's. On CUDA it allows
    TF32. See ``torch.set_float32_matmul_precision``. It pays for float32 training with ``dropout.use_byte_dropout``;
    torch's fused attention, which predictions use, becomes up to seven times as slow on short texts.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
