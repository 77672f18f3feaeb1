"""What a lesson says of a hosted machine: device, memory, minutes, and the one thing to change."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement

from bertft_helpers.series import hosted
from bertft_helpers.series.costs import COSTS, costs_text, measured_costs
from bertft_helpers.series.hosted import Machine, advice, examine_machine, introduce, outdated_package

ROOT = Path(__file__).parents[2]
CPU, GPU = Machine(torch.device("cpu"), "CPU, 2 threads", 12_000.0), Machine(torch.device("cuda"), "Tesla T4", 12_000.0)


def on(monkeypatch: pytest.MonkeyPatch, machine: Machine, costs: dict[str, tuple[float, float]]) -> None:
    monkeypatch.setattr(hosted, "examine_machine", lambda: machine)
    monkeypatch.setattr(hosted, "measured_costs", lambda: costs)


def test_a_lesson_is_introduced_by_device_memory_and_minutes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on(monkeypatch, CPU, {"19": (1.6, 1400.0)})
    introduce("19")
    assert capsys.readouterr().out == (
        "CPU, 2 threads · 12.0 GB of memory free · about 2 min at the values below (measured on two CPU cores)\n"
    )


def test_a_lesson_that_was_never_measured_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on(monkeypatch, CPU._replace(free_mb=None), {})
    introduce("19")
    assert capsys.readouterr().out == "CPU, 2 threads · the minutes of this lesson are not measured yet\n"


@pytest.mark.parametrize(
    ("machine", "says"),
    [
        (CPU, ""),
        (GPU, "This GPU can take BERT-base"),
        (CPU._replace(free_mb=1_500.0), "The lesson takes up to 1.4 GB: shut down other notebooks"),
        (CPU._replace(broken_gpu="Tesla P100"), "The Tesla P100 cannot run this PyTorch; the lesson uses the CPU"),
        (GPU._replace(outdated="transformers 4.53 (needed is >=5.0)"), "Too old here: transformers 4.53"),
    ],
)
def test_the_most_pressing_change_is_advised(machine: Machine, says: str) -> None:
    assert advice(machine, 1400.0).startswith(says)
    assert bool(advice(machine, 1400.0)) == bool(says)


def gpu(monkeypatch: pytest.MonkeyPatch, name: str, *, bfloat16: bool) -> None:
    """A simulated GPU: reported by the driver, with its name and memory, native bfloat16 or not."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: name)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device=None: (15e9, 15.8e9))
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or bfloat16
    )


@pytest.mark.parametrize(
    ("name", "bfloat16", "described"),
    [
        ("Tesla T4", False, "Tesla T4 (16 GB, float16)"),
        ("NVIDIA A100-SXM4-40GB", True, "NVIDIA A100-SXM4-40GB (16 GB, bfloat16)"),
    ],
)
def test_a_gpu_is_named_with_its_precision(
    monkeypatch: pytest.MonkeyPatch, name: str, bfloat16: bool, described: str
) -> None:
    gpu(monkeypatch, name, bfloat16=bfloat16)
    monkeypatch.setattr(hosted, "pick_device", lambda: torch.device("cuda"))
    assert examine_machine().name == described


def test_a_p100_that_fails_its_trial_operation_is_named_as_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu(monkeypatch, "Tesla P100-PCIE-16GB", bfloat16=False)  # its driver answers; an operation here raises
    machine = examine_machine()
    assert machine.device == torch.device("cpu")
    assert machine.broken_gpu == "Tesla P100-PCIE-16GB"


def test_without_a_gpu_the_threads_of_the_cpu_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    machine = examine_machine()
    assert machine.name == f"CPU, {torch.get_num_threads()} threads"
    assert machine.broken_gpu == ""


def test_a_package_below_its_bound_is_named_and_tools_are_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = {"pip": Requirement("pip>=999"), "papermill": Requirement("papermill>=999; extra == 'lab'")}
    monkeypatch.setattr(hosted, "declared_bounds", lambda: {"papermill": bounds["papermill"]})
    assert outdated_package() == ""
    monkeypatch.setattr(hosted, "declared_bounds", lambda: bounds)
    assert outdated_package().startswith("pip ")
    assert outdated_package().endswith("(needed is >=999)")


def test_the_costs_in_the_package_are_written_by_the_map() -> None:
    assert COSTS.read_text(encoding="utf-8") == costs_text(measured_costs())


def test_the_introduction_needs_no_tool_that_a_hosted_machine_may_lack() -> None:
    allowed = {"__future__", "csv", "importlib", "pathlib", "typing", "torch", "packaging", "bertft_helpers"}
    tree = ast.parse(Path(hosted.__file__).read_text(encoding="utf-8"))
    imported = {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {
        name.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    }
    assert imported <= allowed
