"""A trial chooses what is quickest on a machine; machines that are not here are simulated by the times they take."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from minimal import parameters_of, tiny_batch, tiny_classifier
from transformers import BertModel

from bertft_helpers.speed import choice, trial
from bertft_helpers.speed.choice import EXACT, Choice, find_choice, set_up, take_down, try_out
from bertft_helpers.speed.dropout import byte_generator
from bertft_helpers.speed.machine import describe_machine, processor_of
from bertft_helpers.speed.trial import EXACT_WAY, Way, quickest

CPU = torch.device("cpu")
# seconds of a step by (precision, dropout), as such machines took them for 16 x 128 tokens
AMX = {("float32", "torch"): 1.35, ("float32", "bytes"): 0.9, ("bfloat16", "torch"): 0.8, ("bfloat16", "bytes"): 0.3}
OLD = {("float32", "torch"): 1.0, ("float32", "bytes"): 0.8, ("bfloat16", "torch"): 1.9, ("bfloat16", "bytes"): 1.6}
EQUAL = {("float32", "torch"): 1.0, ("float32", "bytes"): 0.97, ("bfloat16", "torch"): 1.0, ("bfloat16", "bytes"): 0.96}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[tuple[str, str], float]]:
    """A machine whose steps take what the test writes into this table; nothing is computed."""
    table: dict[tuple[str, str], float] = {}
    monkeypatch.setattr(trial, "_step_seconds", lambda layer, way, ids, clock: table[way])
    return table


@pytest.mark.parametrize(
    ("times", "expected", "gain"),
    [(AMX, ("bfloat16", "bytes"), 4.5), (OLD, ("float32", "bytes"), 1.25), (EQUAL, ("float32", "torch"), 1.0)],
    ids=["matrix units for bfloat16", "bfloat16 is emulated", "less than 5 % is no gain"],
)
def test_the_quickest_way_is_chosen(
    machine: dict, times: dict[tuple[str, str], float], expected: tuple[str, str], gain: float
) -> None:
    machine.update(times)
    found = try_out(CPU)
    assert (found.precision, found.dropout) == expected
    assert found.gain == pytest.approx(gain)
    assert found.note == ""


def test_a_way_must_be_quicker_over_the_lengths_together() -> None:
    seconds = {EXACT_WAY: [1.0, 1.0], Way("bfloat16", "torch"): [0.5, 4.0], Way("float32", "bytes"): [0.9, 0.8]}
    assert quickest(seconds) == Way("float32", "bytes")
    assert trial.gain_of(seconds, Way("bfloat16", "torch")) == pytest.approx(1 / math.sqrt(2))


def test_instructions_that_lie_are_left_out_and_named(machine: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def lying(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
        wrong = dtype == torch.bfloat16
        handle = torch.nn.modules.module.register_module_forward_hook(
            lambda module, _, output: output * 3 if wrong and isinstance(module, torch.nn.Linear) else None
        )
        yield
        handle.remove()

    machine.update(AMX)
    monkeypatch.setattr(trial, "mixed_precision", lying)
    found = try_out(CPU)
    assert (found.precision, found.dropout) == ("float32", "bytes")
    assert found.note.startswith("bfloat16 is left out: a layer in it gives wrong numbers here")


def test_a_format_that_breaks_is_left_out_and_named(machine: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    real = trial.mixed_precision

    @contextmanager
    def breaking(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
        if dtype == torch.bfloat16:
            raise RuntimeError("no kernel image is available\nsecond line")
        with real(device, dtype):
            yield

    machine.update(AMX)
    monkeypatch.setattr(trial, "mixed_precision", breaking)
    found = try_out(CPU)
    assert found.precision == "float32"
    assert found.note == "bfloat16 is left out: a layer in it fails here (no kernel image is available)"


def test_a_device_that_breaks_in_a_step_gets_the_exact_way_and_is_tried_again_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(layer: BertModel, way: Way, ids: torch.Tensor, clock: trial.Clock) -> float:
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nmore")

    monkeypatch.setattr(trial, "_step_seconds", broken)
    found = find_choice(CPU, tmp_path)
    assert dataclasses.replace(found, note="") == EXACT
    assert found.note == (
        "no trial of speed: a step failed on this device (CUDA error: an illegal memory access was encountered)"
    )
    monkeypatch.setattr(choice, "try_out", lambda device: Choice(gain=2.0))
    assert find_choice(CPU, tmp_path).gain == 2.0


def test_instructions_that_lie_in_the_backward_pass_are_found() -> None:
    class Doubling(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
            return values.clone()

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
            return gradient * 2 if gradient.dtype == torch.bfloat16 else gradient

    layer = trial.one_layer(CPU)
    layer.encoder.layer[0].intermediate.dense.register_forward_hook(lambda _, inputs, output: Doubling.apply(output))
    assert trial.trouble_with(layer, "bfloat16").startswith("a layer in it gives wrong numbers here")


@pytest.mark.parametrize(("with_all", "with_half", "chosen"), [(1.0, 0.8, 4), (1.0, 0.97, 8)])
def test_half_the_threads_only_where_they_are_quicker(
    with_all: float, with_half: float, chosen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = [8]
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[0])
    monkeypatch.setattr(torch, "set_num_threads", lambda count: threads.__setitem__(0, count))
    monkeypatch.setattr(trial, "_step_seconds", lambda *_: with_all if threads[0] == 8 else with_half)
    assert trial.quickest_threads(trial.one_layer(CPU), EXACT_WAY, time.perf_counter) == chosen
    assert threads == [8]
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert trial.quickest_threads(trial.one_layer(CPU), EXACT_WAY, time.perf_counter) == 8


def test_no_round_begins_after_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Way] = []
    ticks = itertools.count(step=1)  # a machine on which looking at the clock takes a second

    def step(layer: BertModel, way: Way, ids: torch.Tensor, clock: trial.Clock) -> float:
        calls.append(way)
        return 1.0

    monkeypatch.setattr(trial, "_step_seconds", step)
    trial.seconds_of_steps(trial.one_layer(CPU), [EXACT_WAY], 16, lambda: float(next(ticks)))
    assert len(calls) == 2  # one to warm up, one that counts


def test_a_real_trial_ends_soon_draws_nothing_and_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_rng_state()
    found = find_choice(CPU, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert found.precision in ("float32", "bfloat16")
    assert found.token_budget in trial.BUDGETS["cpu"]
    monkeypatch.setattr(choice, "try_out", lambda device: pytest.fail("the kept choice was not used"))
    assert find_choice(CPU, tmp_path) == found


def test_another_machine_or_version_is_tried_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described = describe_machine(CPU)
    answers = [Choice(gain=2.0), Choice(gain=3.0)]
    monkeypatch.setattr(choice, "try_out", lambda device: answers.pop(0))
    assert find_choice(CPU, tmp_path).gain == 2.0
    monkeypatch.setattr(choice, "describe_machine", lambda device: {**described, "threads": 64})
    assert find_choice(CPU, tmp_path).gain == 3.0


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"choice": {"speed": 3}}', '{"choice": null}', "\0"])
def test_a_damaged_cache_costs_a_trial_and_no_more(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "try_out", lambda device: Choice(gain=2.0))
    find_choice(CPU, tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_text(content)
    monkeypatch.setattr(choice, "try_out", lambda device: Choice(gain=3.0))
    assert find_choice(CPU, tmp_path).gain == 3.0
    assert json.loads(kept.read_text())["choice"] == dataclasses.asdict(Choice(gain=3.0))


def test_a_cache_that_cannot_be_written_costs_a_trial_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "try_out", lambda device: Choice(gain=2.0))
    (tmp_path / "a file").write_text("")
    assert find_choice(CPU, tmp_path / "a file" / "below it").gain == 2.0


@pytest.mark.parametrize("chosen", [EXACT, Choice("bfloat16", "bytes")])
def test_a_model_set_up_and_taken_down_is_what_it_was(chosen: Choice) -> None:
    model, batch = tiny_classifier(), tiny_batch()
    weights, plain = parameters_of(model), model.eval()(**inputs_of(batch)).logits
    set_up(model, chosen, seed=0)
    assert (byte_generator(model) is not None) == (chosen.dropout == "bytes")
    torch.testing.assert_close(model.eval()(**inputs_of(batch)).logits, plain)
    take_down(model)
    assert byte_generator(model) is None
    assert torch.equal(model.eval()(**inputs_of(batch)).logits, plain)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in parameters_of(model).items())


def test_the_exact_way_changes_no_draw_of_dropout_and_no_threads() -> None:
    model, batch = tiny_classifier(dropout=0.5), tiny_batch()
    threads, logits = torch.get_num_threads(), []
    for way in (None, EXACT, Choice("float32", "bytes")):
        if way is not None:
            set_up(model, way, seed=0)
        torch.manual_seed(0)
        logits.append(model.train()(**inputs_of(batch)).logits)
        take_down(model)
    assert torch.get_num_threads() == threads
    assert torch.equal(logits[0], logits[1])
    assert not torch.equal(logits[0], logits[2])  # a way that does change them is noticed here


def inputs_of(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: batch[name] for name in ("input_ids", "attention_mask")}


@pytest.mark.parametrize(
    ("cpuinfo", "processor", "instructions"),
    [
        ("model name\t: Xeon\nflags\t: fpu avx2 amx_bf16\n\nmodel name\t: X\n", "Xeon", ["avx2", "amx_bf16"]),
        ("processor: 0\nFeatures\t: fp asimd bf16\n", None, ["asimd", "bf16"]),
        ("", None, [torch.backends.cpu.get_cpu_capability()]),
    ],
    ids=["x86", "ARM", "no /proc"],
)
def test_a_processor_is_described(cpuinfo: str, processor: str | None, instructions: Sequence[str]) -> None:
    name, found = processor_of(cpuinfo)
    assert found == instructions
    assert name == processor if processor else name != ""
