"""The training of a run: the loop with this run's model, loss, pace and states, and its failures in its own words."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from torch import nn
from transformers import BertForSequenceClassification

from bertft_helpers.batching import make_loader
from bertft_helpers.errors import RunError
from bertft_helpers.failures import DivergedError, OutOfMemory, is_out_of_memory
from bertft_helpers.history import History
from bertft_helpers.losses import LossFn, balanced_weights, classification_loss, weighted_loss
from bertft_helpers.optim import build_optimizer
from bertft_helpers.own_texts.folder import Say
from bertft_helpers.own_texts.prepared import Prepared
from bertft_helpers.own_texts.settings import Plan, TaskSettings, plan
from bertft_helpers.resume.processes import AgreedStopping, Processes, require_equal, share_gradients, shared_loss
from bertft_helpers.resume.run import OnStep, Run, fit_resumable
from bertft_helpers.resume.states import states_in
from bertft_helpers.speed.choice import Choice, set_up, take_down
from bertft_helpers.speed.vocabulary import compact_vocabulary, restore_vocabulary
from bertft_helpers.tables import visible
from bertft_helpers.training import EarlyStopping, steps_per_run

__all__ = ["Objective", "one_label", "remedies_as_options", "train"]


class Objective(NamedTuple):
    """What is learned: the model as the loop asks it, the loss, and the column by which the best epoch is known.

    ``score`` is what the share of right answers is called.
    """

    asked: Callable[[BertForSequenceClassification], nn.Module]
    loss_fn: LossFn
    monitor: str
    score: str


def one_label(prepared: Prepared, settings: TaskSettings) -> Objective:
    """The classes exclude one another; rare ones weigh more where the settings say so."""
    return Objective(lambda model: model, _loss(prepared, settings), "validation_accuracy", "accuracy")


def train(
    model: BertForSequenceClassification,
    prepared: Prepared,
    settings: TaskSettings,
    choice: Choice,
    folder: Path,
    processes: Processes,
    objective: Objective,
    say: Say = print,
    on_step: OnStep | None = None,
) -> tuple[BertForSequenceClassification, History, Plan, int]:
    """The model with the weights of its best epoch, the history, how it was trained and the best epoch's number."""
    examples = prepared.examples
    planned = plan(settings, len(examples["train"]), choice.precision)
    config = planned.config
    model = model.to(processes.device)  # type: ignore[arg-type]  # transformers hides that it is a method
    set_up(model, choice, settings.seed)
    loader = make_loader(examples["train"], settings.batch_size, seed=settings.seed)
    compact = compact_vocabulary(model, examples["train"].input_ids)
    optimizer, schedule = build_optimizer(
        model, planned.learning_rate, steps_per_run(loader, config), planned.weight_decay, planned.warmup_share
    )
    compact.follow(optimizer)
    asked, loss_fn, monitor = objective.asked(model), objective.loss_fn, objective.monitor
    if prepared.windows is not None:
        asked = prepared.windows.over(asked, settings.batch_size, examples["train"].pad_id)
    stopping = EarlyStopping(planned.patience, monitor)
    if processes.count > 1:
        share_gradients(model)
        loss_fn, stopping = shared_loss(loss_fn, processes), AgreedStopping(planned.patience, monitor)
        names = [state.name for state in states_in(folder)]
        require_equal("saved states", names, processes, "--out must be a folder that all machines share")
    validation_loader = make_loader(examples["validation"], 64 if prepared.windows is None else settings.batch_size)
    folder.mkdir(exist_ok=True)  # not the run's folder, when somebody has removed it
    history = fit_resumable(
        Run(asked, loader, validation_loader, optimizer, schedule, config, loss_fn, stopping),
        folder,
        on_epoch=lambda row: say(_epoch_line(row, config.epochs, objective.score)),
        on_note=say,
        writes=processes.is_first,
        on_step=on_step,
    )
    restore_vocabulary(model)
    take_down(model)
    return model, history, planned, stopping.best_epoch


@contextlib.contextmanager
def remedies_as_options(prepared: Prepared) -> Iterator[None]:
    """What cannot be computed is told with the settings and the texts of this run, not with those of the loop."""
    try:
        yield
    except OutOfMemory as error:
        raise RunError(f"{error.told}. Lower --batch-size or --max-length, and name another --out.") from error
    except DivergedError as error:
        raise RunError(
            f"{error.told}. Look at {_texts_of_step(prepared, error.rows)}; if they are in order, lower "
            "--learning-rate, and name another --out."
        ) from error
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise RunError(
            "a batch of texts that are only predicted, or a baseline, does not fit into memory. Lower --max-length, "
            "and name another --out; or go on with more memory, or with --device cpu."
        ) from error


def _texts_of_step(prepared: Prepared, rows: Sequence[int]) -> str:
    """Some texts of the training part as a person finds them in the source: by their number or file, and beginning."""
    texts = prepared.parts["train"].select(rows)
    named = ", ".join(texts["id"][:8]) + (f" and {len(rows) - 8} more" if len(rows) > 8 else "")
    return f"the texts {named} (numbered as they were read), the first of which is {visible(texts['text'][0], 60)!r}"


def _loss(prepared: Prepared, settings: TaskSettings) -> LossFn:
    if not settings.class_weights:
        return classification_loss
    return weighted_loss(balanced_weights(prepared.examples["train"].labels, len(prepared.label_names)))


def _epoch_line(row: dict[str, float], epochs: int, score: str) -> str:
    return (
        f"epoch {row['epoch']} of at most {epochs}: training loss {row['train_loss']:.3f}, "
        f"validation loss {row['validation_loss']:.3f}, {score} {row['validation_accuracy']:.3f}"
    )
