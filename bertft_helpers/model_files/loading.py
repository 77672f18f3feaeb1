"""Models from a local folder: whole, or not at all, and never by running what lies there."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertft_helpers.errors import DamagedFileError, UserError
from bertft_helpers.model_files.contents import ANOTHER_COPY, CONFIG, in_plain_words, listed, read_config
from bertft_helpers.model_files.weights import weight_names

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

__all__ = ["COUNTERS", "HEADS", "POOLER", "load_config", "load_model"]

COUNTERS = ("position_ids",)  # numbers 0, 1, 2 … that older versions of transformers stored with the weights
HEADS = ("cls.", "classifier.", "qa_outputs.")  # of BERT's classes for other tasks
POOLER = ("pooler.", "bert.pooler.")  # not stored by BERT's classes that have no use for it


def load_config(folder: Path) -> PretrainedConfig:
    """transformers' view of ``config.json``, defaults filled in. Raises as ``read_config``, and UserError."""
    from transformers import AutoConfig

    read_config(folder)
    with in_plain_words(folder, "configuration"):
        return AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)


def load_model(
    model_class: Any, folder: Path, new: tuple[str, ...] = (), unused: tuple[str, ...] = (), **settings: Any
) -> PreTrainedModel:
    """``model_class.from_pretrained``, but every weight of the model comes from the folder and every weight is used.

    ``new`` are beginnings of names that the folder may lack (a head that will be trained), ``unused`` of those that it
    may hold in vain. Raises UserError counting and naming weights that do not fit, MissingError, and DamagedFileError
    for files that are truncated, empty or a git-lfs pointer and for weights that are no finite numbers.
    """
    folder = Path(folder)
    read_config(folder)
    weight_names(folder)  # refuses files that are not whole
    with _reports_kept(), in_plain_words(folder, "model"):
        model, report = model_class.from_pretrained(
            folder,
            use_safetensors=True,  # never a pickle, which runs code
            trust_remote_code=False,  # unsaid, transformers asks the person at the keyboard
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, together with what is missing
            **settings,
        )
    _require_fit(folder, report, new, unused)
    _require_finite(folder, model)
    return model


@contextlib.contextmanager
def _reports_kept() -> Iterator[None]:
    """transformers prints its report even when it also returns it; what it says is said by ``_require_fit``."""
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _require_fit(folder: Path, report: dict[str, Any], new: tuple[str, ...], unused: tuple[str, ...]) -> None:
    missing = [name for name in report["missing_keys"] if not name.startswith(new)]
    unexpected = [name for name in report["unexpected_keys"] if not name.startswith(unused)]
    unexpected = [name for name in unexpected if not name.endswith(COUNTERS)]
    mismatched = [
        f"{name} {list(stored)} instead of {list(asked)}"
        for name, stored, asked in report["mismatched_keys"]
        if not name.startswith(new)
    ]
    found = [
        f"{len(names)} {what} ({listed(names)})"
        for what, names in (("missing", missing), ("of no use", unexpected), ("of another size", mismatched))
        if names
    ]
    if not found:
        return
    if not mismatched and missing and all(name.startswith(("classifier.", *POOLER)) for name in missing):
        raise UserError(
            f"the model in {folder} has no classifier head: {', '.join(sorted(missing))} missing. It is an encoder "
            "that was not fine-tuned for classes: give a folder that bertft train wrote, or train one on it"
        )
    raise UserError(
        f"the weights in {folder} do not fit the model that its {CONFIG} describes: {'; '.join(found)}. "
        "Take both files from one model; if they are, it is of a kind that this package does not read"
    )


def _require_finite(folder: Path, model: PreTrainedModel) -> None:
    bad = [name for name, weight in model.named_parameters() if not weight.isfinite().all()]
    if bad:
        raise DamagedFileError(
            f"{len(bad)} weights in {folder} hold NaN or infinity ({listed(bad)}): the model answers nothing; "
            f"train it again, or {ANOTHER_COPY}"
        )
