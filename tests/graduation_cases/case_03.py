"""Lesson 03: device, precision and seeds. Other machines are played by replacing what torch answers."""

import random
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from graduation import Case, Functions

ONES, ANY_DEVICE = torch.ones, {"cuda", "mps"}


def tried(functions: Functions) -> Any:
    works = functions["device_works"]
    real = [works(name) for name in ("cpu", "cuda:99", "meta", "nonsense")]
    with patch("torch.ones", lambda *size, device: 0 * ONES(*size)):  # computes, and computes wrongly
        return [*real, works("cpu")]


def picked(functions: Functions) -> Any:
    pick, found = functions["pick_device"], []
    for cuda, mps, working in ((0, 0, ()), (1, 1, ()), (1, 1, ANY_DEVICE), (1, 1, {"mps"}), (0, 1, ANY_DEVICE)):
        with (
            patch("torch.cuda.is_available", lambda cuda=cuda: bool(cuda)),
            patch("torch.backends.mps.is_available", lambda mps=mps: bool(mps)),
            patch("torch.ones", lambda *size, device, working=working: played(size, device, working)),
        ):
            found.append(str(pick()))
            found.append(refused(pick, "mps"))
    return [*found, str(pick("cpu"))]


def played(size: tuple[int, ...], device: str, working: set[str]) -> torch.Tensor:
    """Ones on the CPU where the played machine's device works, else the error of one that does not."""
    if device in working or device == "cpu":
        return ONES(*size)
    raise RuntimeError("no kernel image is available for execution on the device")


def refused(pick: Any, name: str) -> str:
    try:
        return str(pick(name))
    except RuntimeError:
        return "refused"


def precisions(functions: Functions) -> Any:
    pick, found = functions["pick_precision"], []
    for native in (True, False):
        with patch("torch.cuda.is_bf16_supported", lambda including_emulation=True, n=native: n or including_emulation):
            found += [str(pick(torch.device(name))) for name in ("cpu", "mps", "cuda")]
    return found


def products(functions: Functions) -> Any:
    square, found = torch.linspace(0, 1, 64).reshape(8, 8), []
    for dtype in (torch.float32, torch.bfloat16):
        with functions["mixed_precision"](torch.device("cpu"), dtype):
            found.append(square @ square)
    return found


def drawn(functions: Functions) -> Any:
    functions["set_seeds"](2**33 + 5)
    return [random.random(), np.random.rand(3), torch.rand(3)]  # noqa: NPY002


CASES = [
    Case("runtime.device_works", tried, {"asked, not computed": (".sum().item() == 512.0", ".shape == (8, 8)")}),
    Case(
        "runtime.pick_device",
        picked,
        {
            "the report believed": ("if reported and device_works(name)", "if reported"),
            "the wish believed": ("if not device_works(preferred)", "if False"),
            "the report not asked": ("if reported and device_works(name)", "if device_works(name)"),
        },
    ),
    Case(
        "runtime.pick_precision",
        precisions,
        {
            "emulation counts": ("including_emulation=False", ""),
            "the CPU too": ('if device.type != "cuda"', 'if device.type == "mps"'),
        },
    ),
    Case(
        "runtime.mixed_precision",
        products,
        {
            "always full": ("dtype == torch.float32", "True"),
            "the wrong way round": ("dtype == torch.float32", "dtype != torch.float32"),
            "another format": ("dtype=dtype", "dtype=torch.float16"),
        },
    ),
    Case(
        "runtime.set_seeds",
        drawn,
        {
            "numpy forgotten": ("np.random.seed(seed % 2**32)", "pass"),
            "torch forgotten": ("torch.manual_seed(seed)", "pass"),
            "python forgotten": ("random.seed(seed)\n    np", "np"),
        },
    ),
]
