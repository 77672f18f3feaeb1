"""Device, precision and seeds. No GPU is here: other machines are simulated by what torch would report on them."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from bertft_helpers import runtime


def simulate(
    monkeypatch: pytest.MonkeyPatch, *, reports_cuda: bool, works: bool, native_bfloat16: bool = False
) -> None:
    """Make torch answer as on a machine with the given GPU."""
    cpu_works = {"cpu": True}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: reports_cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(runtime, "device_works", lambda name: cpu_works.get(name, works))
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: native_bfloat16 or including_emulation
    )


def chosen() -> tuple[str, torch.dtype]:
    device = runtime.pick_device()
    return device.type, runtime.pick_precision(device)


def test_a_t4_that_only_emulates_bfloat16_gets_float16(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch, reports_cuda=True, works=True, native_bfloat16=False)
    assert chosen() == ("cuda", torch.float16)


def test_an_a100_gets_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch, reports_cuda=True, works=True, native_bfloat16=True)
    assert chosen() == ("cuda", torch.bfloat16)


def test_a_p100_that_reports_cuda_but_fails_its_trial_is_passed_over_for_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulate(monkeypatch, reports_cuda=True, works=False)
    assert chosen() == ("cpu", torch.float32)


def test_without_a_gpu_the_cpu_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch, reports_cuda=False, works=False)
    assert chosen() == ("cpu", torch.float32)


def test_apples_gpu_is_taken_when_it_works_and_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch, reports_cuda=False, works=True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert chosen() == ("mps", torch.float32)


def test_a_device_that_raises_or_computes_wrongly_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    assert runtime.device_works("cpu")
    assert not runtime.device_works("no such device")
    assert not runtime.device_works("meta")  # it exists, but no number comes out of it
    monkeypatch.setattr(torch, "ones", lambda *shape, device: torch.zeros(*shape))
    assert not runtime.device_works("cpu")


def test_a_preferred_device_that_fails_is_refused_with_the_remedy() -> None:
    with pytest.raises(
        RuntimeError, match=r"'meta' was asked for, but a trial operation on it failed; use device=None"
    ):
        runtime.pick_device("meta")
    assert runtime.pick_device("cpu") == torch.device("cpu")


def test_mixed_precision_changes_the_products_format_and_float32_changes_nothing() -> None:
    matrix, cpu = torch.ones(4, 4), torch.device("cpu")
    with runtime.mixed_precision(cpu, torch.bfloat16):
        assert (matrix @ matrix).dtype == torch.bfloat16
    with runtime.mixed_precision(cpu, torch.float32):
        assert (matrix @ matrix).dtype == torch.float32
        assert not torch.is_autocast_enabled("cpu")


def test_one_seed_fixes_python_numpy_and_torch() -> None:
    def draw(seed: int) -> list[float]:
        runtime.set_seeds(seed)
        return [random.random(), float(np.random.rand()), float(torch.rand(()))]  # noqa: NPY002

    first, again, other = draw(7), draw(7), draw(8)
    assert first == again
    assert all(one != two for one, two in zip(first, other, strict=True))


def test_a_seed_beyond_numpys_range_is_accepted() -> None:
    runtime.set_seeds(2**32 + 5)
    from_large = np.random.rand()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    assert from_large == np.random.rand()  # noqa: NPY002


def test_quiet_libraries_silence_bars_and_leave_reports(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets
    from transformers.utils import logging

    for name in ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_HUB_DISABLE_IMPLICIT_TOKEN", "TOKENIZERS_PARALLELISM"):
        monkeypatch.setenv(name, os.environ.get(name, "false"))  # so that the values set below are undone
    before = logging.get_verbosity(), datasets.logging.get_verbosity()
    runtime.quiet_libraries()
    datasets.Dataset.from_dict({"n": [1, 2]}).map(lambda row: {"n": row["n"] + 1})
    assert capfd.readouterr().err == ""
    assert not logging.is_progress_bar_enabled()
    assert (logging.get_verbosity(), datasets.logging.get_verbosity()) == before


def test_quiet_libraries_leave_the_threads_to_torch() -> None:
    before = torch.get_num_threads()
    with threadpool_limits(2, user_api="blas"):
        runtime.quiet_libraries()
        assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
    assert torch.get_num_threads() == before


def test_peak_memory_is_in_megabytes_and_not_below_what_is_held_now() -> None:
    held_now = psutil.Process().memory_info().rss / 1e6
    assert held_now <= runtime.peak_memory_mb() < 100 * held_now


def test_without_proc_and_the_resource_module_the_peak_is_what_windows_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(path: Path, *options: object) -> str:
        raise FileNotFoundError(str(path))

    counted = SimpleNamespace(memory_info=lambda: SimpleNamespace(rss=1, peak_wset=7_500_000))
    monkeypatch.setattr(Path, "read_text", absent)
    monkeypatch.setattr(Path, "write_text", absent)
    monkeypatch.setattr(psutil, "Process", lambda: counted)
    monkeypatch.setitem(sys.modules, "resource", None)  # importing it raises
    runtime.reset_peak_memory()
    assert runtime.peak_memory_mb() == 7.5


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux sets a peak back")
def test_a_new_measurement_forgets_an_earlier_peak() -> None:
    code = """
        import numpy as np
        from bertft_helpers.runtime import peak_memory_mb, reset_peak_memory
        held = np.ones(25_000_000)  # 200 MB
        high = peak_memory_mb()
        del held
        reset_peak_memory()
        assert peak_memory_mb() < high - 150
    """  # a process of its own: another test may have told this one to keep what is freed
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_on_a_gpu_its_own_peak_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3_500_000_000)
    assert runtime.peak_memory_mb(torch.device("cuda")) == 3500.0
    assert runtime.peak_memory_mb(torch.device("cpu")) != 3500.0


def test_an_old_gpu_on_which_no_kernel_runs_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_kernel(*shape: int, device: str) -> torch.Tensor:
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device (simulated)")

    monkeypatch.setattr(torch, "ones", no_kernel)
    assert not runtime.device_works("cuda")


def test_what_autograd_keeps_is_counted_once_and_without_parameters() -> None:
    inputs = torch.ones(1_000, 250)  # a megabyte
    linear = torch.nn.Linear(250, 250, bias=False)
    assert runtime.megabytes_kept(lambda: linear(inputs).sum()) == 1
    assert runtime.megabytes_kept(lambda: (linear(inputs) + linear(inputs)).sum()) == 1  # kept by two operations
    assert runtime.megabytes_kept(lambda: linear(inputs).tanh().sum()) == 2  # and the result of tanh
    linear.requires_grad_(False)
    assert runtime.megabytes_kept(lambda: linear(inputs).tanh().sum()) == 0


def test_a_weight_that_autograd_keeps_transposed_is_no_activation() -> None:
    inputs = torch.ones(1_000, 250)  # a megabyte
    first, second = torch.nn.Linear(250, 250), torch.nn.Linear(250, 250)  # a quarter of one each
    assert runtime.megabytes_kept(lambda: second(first(inputs)).sum()) == 2  # what enters each layer
