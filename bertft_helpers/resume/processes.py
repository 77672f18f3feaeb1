"""Several processes train one model, started by ``accelerate launch`` or ``torchrun``; alone, nothing here acts.

Every process goes through the same global batches and takes its rows of each; gradients, summed losses and numbers of
targets are added over all processes before they are divided once. So the steps, the history and the saved state are
those of one process with the same global batch, whatever the number of processes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from bertft_helpers.batching import Batch
from bertft_helpers.errors import RunError
from bertft_helpers.losses import IGNORE, LossFn
from bertft_helpers.runtime import pick_device
from bertft_helpers.training import EarlyStopping

__all__ = [
    "AgreedStopping",
    "Processes",
    "Result",
    "as_first",
    "joined",
    "require_equal",
    "rows_of",
    "share_gradients",
    "shared_loss",
]

Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True)
class Processes:
    """This process's number, counted from 0, among the ``count`` that train together; ``device`` is its own."""

    rank: int = 0
    count: int = 1
    device: torch.device = dataclasses.field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_first(self) -> bool:
        """Whether this is the process that speaks and writes."""
        return self.rank == 0


@contextlib.contextmanager
def joined(preferred: str | None = None) -> Iterator[Processes]:
    """The processes that a launcher started (it sets WORLD_SIZE, RANK, ...), or this one alone.

    ``preferred`` is a device's name; None takes the process's own GPU where one works, else the CPU.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    device = pick_device(preferred)
    if count == 1:
        yield Processes(device=device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), count, device)
    finally:
        dist.destroy_process_group()


def share_gradients(model: nn.Module) -> None:
    """Let each gradient be summed over all processes as soon as a backward pass has made it.

    One message per parameter: simple, and exact also when several batches are accumulated to one step.
    """
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.register_hook(_summed)


def _summed(gradient: torch.Tensor) -> torch.Tensor:
    total = gradient.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total


def shared_loss(loss_fn: LossFn, processes: Processes) -> LossFn:
    """``loss_fn`` on this process's rows of a global batch; gives the summed loss and targets of all processes.

    The loss has the value of all rows and the gradient of the process's own: ``share_gradients`` adds the rest.
    Dropout differs between the processes, but their generators stay equal, since each batch takes one number from
    them and seeds its dropout with it: the state that the first process saves is everyone's.
    """

    @functools.wraps(loss_fn)  # the same loss, for whoever asks for its name
    def loss_of_all(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        seed = int(torch.randint(2**31, ()))
        with torch.random.fork_rng([processes.device] if processes.device.type == "cuda" else []):
            torch.manual_seed(seed + processes.rank)
            own, targets = loss_fn(model, rows_of(batch, processes))
        total = torch.stack([own.detach().double(), targets.double()])
        dist.all_reduce(total)
        return own - own.detach() + total[0].to(own.dtype), total[1].long()

    return loss_of_all


def rows_of(batch: Batch, processes: Processes) -> Batch:
    """The process's rows of a global batch; where the batch has too few, one row with an ignored label."""
    own = {name: tensor[processes.rank :: processes.count] for name, tensor in batch.items()}
    if len(own["labels"]):
        return own
    first = {name: tensor[:1] for name, tensor in batch.items()}
    return {**first, "labels": torch.full_like(first["labels"], IGNORE)}


class AgreedStopping(EarlyStopping):
    """Early stopping by the first process's numbers, so that no process goes on alone for a last-bit difference."""

    def update(self, row: dict[str, float], model: nn.Module) -> bool:
        """Take in the first process's row of the epoch; True when the run should end."""
        agreed = [row]
        dist.broadcast_object_list(agreed, src=0)
        return super().update(agreed[0], model)


def as_first(work: Callable[[], Result], processes: Processes) -> Result:
    """What ``work`` gives in the first process, which alone does it, in all of them.

    When it raises there, the others raise RunError with the same words.
    """
    if processes.count == 1:
        return work()
    outcome: list[Any] = [None, None]
    if not processes.is_first:
        dist.broadcast_object_list(outcome, src=0)
        if outcome[1] is not None:
            raise RunError(outcome[1])
        return outcome[0]
    try:
        outcome[0] = work()
    except Exception as error:
        outcome[1] = str(error)
        raise
    finally:
        dist.broadcast_object_list(outcome, src=0)
    return outcome[0]


def require_equal(what: str, value: object, processes: Processes, remedy: str) -> None:
    """Raise RunError naming the processes in which ``value`` is another than in the first one."""
    if processes.count == 1:
        return
    values: list[object] = [None] * processes.count
    dist.all_gather_object(values, value)
    others = [str(rank) for rank, other in enumerate(values) if other != values[0]]
    if others:
        raise RunError(f"process {', '.join(others)} sees other {what} than process 0: {remedy}")
