"""Models and tokenizers from a local folder: whole, or not at all, and never by running what lies there."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertft_helpers.errors import DamagedFileError, MissingError, UserError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

__all__ = [
    "ANOTHER_COPY",
    "CONFIG",
    "COUNTERS",
    "HEADS",
    "INDEX",
    "JSON_FILES",
    "POINTER",
    "POOLER",
    "VOCABULARIES",
    "WEIGHTS",
    "load_config",
    "load_model",
    "load_vocabulary",
    "read_config",
    "require_kind",
    "weight_files",
    "weight_names",
]

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
JSON_FILES = (CONFIG, INDEX, "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "sentencepiece.bpe.model", "spiece.model")
POINTER = b"version https://git-lfs"
ANOTHER_COPY = "copy or download it again"
COUNTERS = ("position_ids",)  # numbers 0, 1, 2 … that older versions of transformers stored with the weights
HEADS = ("cls.", "classifier.", "qa_outputs.")  # of BERT's classes for other tasks
POOLER = ("pooler.", "bert.pooler.")  # not stored by BERT's classes that have no use for it


def read_config(folder: Path) -> dict[str, Any]:
    """The content of ``config.json``. MissingError without it; DamagedFileError if it is no JSON object."""
    path = Path(folder) / CONFIG
    if not path.is_file():
        raise MissingError(f"{folder} is no model folder: {CONFIG} missing")
    return _read_object(path)


def require_kind(folder: Path, kind: str) -> None:
    """Raise UserError when the folder holds another architecture; its weights would fit few names of this one."""
    found = read_config(folder).get("model_type")
    if found != kind:
        raise UserError(
            f"the model in {folder} is of the type {found!r}; only BERT models ('bert') can be used here: "
            "choose a folder with one"
        )


def load_config(folder: Path) -> PretrainedConfig:
    """transformers' view of ``config.json``, defaults filled in. Raises as ``read_config``, and UserError."""
    from transformers import AutoConfig

    read_config(folder)
    with _in_plain_words(folder, "configuration"):
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
    with _reports_kept(), _in_plain_words(folder, "model"):
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


def load_vocabulary(folder: Path) -> PreTrainedTokenizerBase:
    """``AutoTokenizer.from_pretrained``, but only where there is a vocabulary, and one that the model has vectors for.

    Without one every word would be unknown. Raises MissingError, DamagedFileError, and UserError.
    """
    from transformers import AutoTokenizer

    folder = Path(folder)
    _require_vocabulary(folder)
    config = load_config(folder)
    with _in_plain_words(folder, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    if tokenizer.pad_token_id is None:
        raise UserError(f"the tokenizer in {folder} has no padding token, so texts cannot be put into batches")
    if len(tokenizer) > config.vocab_size:
        raise UserError(
            f"the tokenizer has {len(tokenizer)} entries but the model only {config.vocab_size}: they do not belong "
            f"together; take both from one folder ({folder})"
        )
    return tokenizer


def _require_vocabulary(folder: Path) -> None:
    """Refuse a folder without a vocabulary, and one whose files about the tokenizer are not whole."""
    vocabularies = [folder / name for name in VOCABULARIES if (folder / name).is_file()]
    if not vocabularies:
        raise MissingError(
            f"{folder} has no tokenizer: tokenizer.json or vocab.txt missing; copy them from where the model comes from"
        )
    for path in vocabularies:
        _require_content(path)
    for name in JSON_FILES:
        if (folder / name).is_file():
            _read_object(folder / name)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model, one or several. Raises MissingError, and UserError for pickles and adapters."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        return _shards(folder)
    if (folder / "adapter_config.json").is_file():
        raise UserError(f"{folder} holds an adapter, a part of a model: merge it into its model and save that")
    if any(folder.glob("pytorch_model*.bin")):
        raise UserError(
            f"the weights in {folder} are a pickle (pytorch_model.bin), which can run code when it is read: "
            "where you trust it, load it with transformers and save it again, which writes model.safetensors"
        )
    raise MissingError(f"{folder} is no complete model: {WEIGHTS} missing")


def weight_names(folder: Path) -> list[str]:
    """The names of the tensors in a model's files, without reading the tensors. Raises as ``weight_files``."""
    return [name for path in weight_files(Path(folder)) for name in _names_in(path)]


def _shards(folder: Path) -> list[Path]:
    names = _read_object(folder / INDEX).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise DamagedFileError(f"{INDEX} in {folder} names no weights: {ANOTHER_COPY}")
    files = sorted({str(name) for name in names.values()})
    missing = [name for name in files if Path(name).name != name or not (folder / name).is_file()]
    if missing:
        raise MissingError(
            f"{len(missing)} of the {len(files)} files of weights are missing in {folder}: {_listed(missing)}"
        )
    return [folder / name for name in files]


def _require_content(path: Path) -> None:
    size = path.stat().st_size
    if size == 0:
        raise DamagedFileError(f"{path.name} in {path.parent} is empty (0 bytes): {ANOTHER_COPY}")
    with open(path, "rb") as file:
        pointer = file.read(len(POINTER)) == POINTER
    if pointer:
        raise DamagedFileError(
            f"{path.name} in {path.parent} is a git-lfs pointer of {size} bytes, not the file itself: "
            "run 'git lfs pull' there, or download the file"
        )


def _names_in(path: Path) -> list[str]:
    from safetensors import SafetensorError, safe_open

    _require_content(path)
    try:
        with safe_open(path, framework="pt") as tensors:  # compares the length of the file with its table of contents
            return list(tensors.keys())
    except SafetensorError as error:
        raise DamagedFileError(
            f"{path.name} in {path.parent} is truncated or damaged; it has {path.stat().st_size:,} bytes "
            f"({error}): {ANOTHER_COPY}"
        ) from error


def _read_object(path: Path) -> dict[str, Any]:
    _require_content(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path.name} in {path.parent} is no JSON ({error}): {ANOTHER_COPY}") from error
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise DamagedFileError(f"{path.name} in {path.parent} is no JSON object but a {kind}: {ANOTHER_COPY}")
    return content


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


@contextlib.contextmanager
def _in_plain_words(folder: Path, what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the libraries below raise anything, a plain Exception too
        first_line = str(error).strip().split("\n", 1)[0]
        raise UserError(f"the {what} in {folder} cannot be loaded: {type(error).__name__}: {first_line}") from error


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
        f"{len(names)} {what} ({_listed(names)})"
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
            f"{len(bad)} weights in {folder} hold NaN or infinity ({_listed(bad)}): the model answers nothing; "
            f"train it again, or {ANOTHER_COPY}"
        )


def _listed(names: list[str]) -> str:
    first = sorted(names)[:3]
    return ", ".join(first) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
