"""What is quicker on a CPU and changes no number: memory that is kept, and the kernel of attention in 16 bits."""

from __future__ import annotations

import ctypes

from transformers import PreTrainedModel

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


def quick_attention(model: PreTrainedModel, precision: str) -> None:
    """Give a model that predicts in ``precision`` the attention that is quicker there.

    In 16 bits on a CPU transformers' plain attention is: the fused one takes 5 to 9 % more of a forward pass, and three
    times as long on short texts where there are matrix units (AMX).
    """
    if precision != "float32" and model.device.type == "cpu":
        model.set_attn_implementation("eager")
