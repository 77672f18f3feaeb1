"""Training states on disk: written as a whole or not at all, verified when read, one writer at a time.

A state is a folder ``state-00000042`` (optimizer steps done) with safetensors files, ``facts.json`` and,
written last, ``manifest.json`` with the sha256 of the others. It is written under another name, flushed to disk and
renamed. No file is a pickle: reading one runs no code.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch.optim import Optimizer

from bertft_helpers.errors import RunError
from bertft_helpers.files import held, new_folder, remove_folder, sweep
from bertft_helpers.model_files.manifest import sha256_of

__all__ = [
    "MANIFEST",
    "DamagedStateError",
    "StateNotWritten",
    "Tensors",
    "join_optimizer",
    "one_writer",
    "prune_states",
    "random_state",
    "read_state",
    "set_random_state",
    "split_optimizer",
    "states_in",
    "write_state",
]

Tensors = dict[str, torch.Tensor]
MANIFEST = "manifest.json"


class DamagedStateError(RunError):
    """A state on disk is not what was written."""


class StateNotWritten(RunError):
    """The disk did not take a state: it is full, read-only, gone, or has a limit on the size of files."""


def write_state(folder: Path, step: int, tensors: dict[str, Tensors], facts: dict[str, Any]) -> Path:
    """Write one state atomically and return its folder.

    ``tensors`` maps a file's stem to its tensors. Raises StateNotWritten with the disk's own words, and then leaves
    nothing behind; nor does any other end, short of a kill.
    """
    final = folder / f"state-{step:08d}"
    try:
        sweep(folder)
        remove_folder(final)  # only a damaged one can be there: good ones are resumed from
        with new_folder(final) as draft:
            _fill(draft, tensors, facts)
    except OSError as error:
        raise StateNotWritten(str(error)) from error
    return final


def _fill(draft: Path, tensors: dict[str, Tensors], facts: dict[str, Any]) -> None:
    for stem, members in tensors.items():
        save_file({name: tensor.contiguous() for name, tensor in members.items()}, draft / f"{stem}.safetensors")
    (draft / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    digests = {path.name: sha256_of(path) for path in sorted(draft.iterdir())}
    (draft / MANIFEST).write_text(json.dumps(digests, indent=2), encoding="utf-8")


def read_state(path: Path) -> tuple[dict[str, Tensors], dict[str, Any]]:
    """The tensors and facts of one state. Raises DamagedStateError naming the file that is missing or altered."""
    try:
        digests = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedStateError(f"{path.name}: {MANIFEST} is missing or not readable") from error
    if not isinstance(digests, dict) or "facts.json" not in digests:
        raise DamagedStateError(f"{path.name}: {MANIFEST} is no list of the state's files")
    for name, digest in digests.items():
        if not (path / name).is_file():
            raise DamagedStateError(f"{path.name}: {name} is missing")
        if sha256_of(path / name) != digest:
            raise DamagedStateError(f"{path.name}: {name} is truncated or altered (its sha256 differs)")
    tensors = {Path(name).stem: load_file(path / name) for name in digests if name.endswith(".safetensors")}
    return tensors, json.loads((path / "facts.json").read_text(encoding="utf-8"))


def states_in(folder: Path) -> list[Path]:
    """The finished states of a run, oldest first."""
    return sorted(folder.glob("state-????????"))


def prune_states(folder: Path, keep: int, best_step: int | None) -> None:
    """Remove all states but the newest ``keep`` and the best one."""
    for path in states_in(folder)[:-keep]:
        if best_step is None or path.name != f"state-{best_step:08d}":
            remove_folder(path)


@contextlib.contextmanager
def one_writer(folder: Path, on_note: Callable[[str], None]) -> Iterator[None]:
    """Hold a run's folder; a second run is refused and told who holds it, see ``files.held``. Raises RuntimeError."""
    folder.mkdir(parents=True, exist_ok=True)
    with held(folder, on_note):
        yield


def split_optimizer(optimizer: Optimizer) -> tuple[Tensors, list[dict[str, Any]]]:
    """The optimizer's state as named tensors and its groups as plain values."""
    state = optimizer.state_dict()
    tensors = {f"{number}.{name}": value for number, values in state["state"].items() for name, value in values.items()}
    return tensors, state["param_groups"]


def join_optimizer(tensors: Tensors, groups: list[dict[str, Any]]) -> dict[str, Any]:
    """The optimizer's state dict from what ``split_optimizer`` gave."""
    state: dict[int, Tensors] = {}
    for key, value in tensors.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = value
    return {"state": state, "param_groups": groups}


def random_state(own: torch.Generator | None = None) -> Tensors:
    """The states of the generators that draw dropout, by device; ``own`` is that of a model which has one."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"cuda:{number}": state for number, state in enumerate(torch.cuda.get_rng_state_all())}
    if torch.backends.mps.is_available():
        states["mps"] = torch.mps.get_rng_state()
    if own is not None:
        states["own"] = own.get_state()
    return states


def set_random_state(states: Tensors, own: torch.Generator | None = None) -> list[str]:
    """Put the generators back where ``random_state`` found them; returns the devices that are not there any more."""
    absent = []
    for name, state in states.items():
        if name == "cpu":
            torch.set_rng_state(state)
        elif name == "own" and own is not None:
            own.set_state(state)
        elif name == "mps" and torch.backends.mps.is_available():
            torch.mps.set_rng_state(state)
        elif name.startswith("cuda:") and int(name.removeprefix("cuda:")) < torch.cuda.device_count():
            torch.cuda.set_rng_state(state, name)
        else:
            absent.append(name)
    return absent
