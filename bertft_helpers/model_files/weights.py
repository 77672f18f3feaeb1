"""The files that hold a model's weights, and the names in them, read without reading a tensor."""

from __future__ import annotations

from pathlib import Path

from bertft_helpers.errors import DamagedFileError, MissingError, UserError
from bertft_helpers.model_files.contents import ANOTHER_COPY, listed, read_object, require_content

__all__ = ["INDEX", "WEIGHTS", "weight_files", "weight_names"]

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


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
    names = read_object(folder / INDEX).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise DamagedFileError(f"{INDEX} in {folder} names no weights: {ANOTHER_COPY}")
    files = sorted({str(name) for name in names.values()})
    missing = [name for name in files if Path(name).name != name or not (folder / name).is_file()]
    if missing:
        raise MissingError(
            f"{len(missing)} of the {len(files)} files of weights are missing in {folder}: {listed(missing)}"
        )
    return [folder / name for name in files]


def _names_in(path: Path) -> list[str]:
    from safetensors import SafetensorError, safe_open

    require_content(path)
    try:
        with safe_open(path, framework="pt") as tensors:  # compares the length of the file with its table of contents
            return list(tensors.keys())
    except SafetensorError as error:
        raise DamagedFileError(
            f"{path.name} in {path.parent} is truncated or damaged; it has {path.stat().st_size:,} bytes "
            f"({error}): {ANOTHER_COPY}"
        ) from error
