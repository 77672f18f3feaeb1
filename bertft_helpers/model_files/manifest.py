"""What a folder of files must hold: sizes and hashes, and for a saved classifier how texts reach the model."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import math
import time
from pathlib import Path
from typing import Any

from bertft_helpers import __version__
from bertft_helpers.errors import DamagedFileError
from bertft_helpers.model_files.thresholds import THRESHOLDS

__all__ = [
    "EDITED",
    "MANIFEST",
    "PACKAGES",
    "RACY_SECONDS",
    "WEIGHTS",
    "Manifest",
    "check_files",
    "is_temperature",
    "read_manifest",
    "remembered_sha256",
    "sha256_of",
    "verify_files",
    "write_manifest",
]

MANIFEST = "manifest.json"
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".h5", ".msgpack")
EDITED = ("README.md", MANIFEST)  # the card is there to be completed by hand
RACY_SECONDS = 2  # a file changed less long ago may change again within one tick of the file system's clock
PACKAGES = ("torch", "transformers", "tokenizers", "safetensors")


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a saved classifier consists of.

    ``files`` maps a name to ``{"size": bytes, "sha256": 64 digits}``, ``preprocessing`` names what is done to a text
    before the tokenizer sees it, ``policy`` which part stays of a text of more than ``max_length`` tokens (None where
    all of it is read), ``temperature`` what the logits are divided by, and ``stride`` how many tokens windows over long
    texts share (None where there are no windows); a folder that does not name these was saved before there were any.
    """

    label_names: list[str]
    preprocessing: str
    max_length: int | None
    policy: str
    files: dict[str, dict[str, Any]]
    versions: dict[str, str]
    temperature: float = 1.0
    stride: int | None = None


def sha256_of(path: Path) -> str:
    """The sha256 of a file as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remembered_sha256(path: Path) -> str:
    """The same, computed once in a process for as long as the file's size and time of change stay what they were."""
    status = path.stat()
    if time.time_ns() - status.st_mtime_ns < RACY_SECONDS * 1e9:
        return sha256_of(path)
    return _hashed(path.resolve(), status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _hashed(path: Path, size: int, changed: int) -> str:
    return sha256_of(path)


def verify_files(folder: Path, expected: dict[str, str]) -> None:
    """Raise DamagedFileError naming the first file in ``folder`` whose sha256 differs from ``expected``.

    FileNotFoundError when a file is not there at all.
    """
    for name, digest in expected.items():
        path = Path(folder) / name
        found = remembered_sha256(path)
        if found != digest:
            raise DamagedFileError(
                f"{name} in {folder} is damaged: its sha256 is {found}, the published file has {digest}. "
                f"Delete {path.resolve()} and install or download it again."
            )


def write_manifest(
    folder: Path,
    label_names: list[str],
    preprocessing: str,
    max_length: int | None,
    policy: str,
    temperature: float,
    stride: int | None = None,
) -> None:
    """Write down what ``folder`` holds now; the last step of saving, so that a folder with a manifest is complete."""
    files = {
        path.name: {"size": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(folder.iterdir())
        if path.name not in EDITED
    }
    versions = {"bertft_helpers": __version__, **{name: importlib.metadata.version(name) for name in PACKAGES}}
    manifest = Manifest(label_names, preprocessing, max_length, policy, files, versions, temperature, stride)
    text = json.dumps(dataclasses.asdict(manifest), indent=1, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder, or None where there is none. Raises DamagedFileError for one that cannot be read."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        manifest = Manifest(**json.loads(path.read_text(encoding="utf-8")))
        _require_types(manifest)
    except (ValueError, TypeError, RecursionError) as error:
        raise DamagedFileError(
            f"{MANIFEST} in {folder} is damaged ({error}), so nobody can tell whether the model is complete: "
            "copy the folder again from where it was saved"
        ) from error
    return manifest


def _require_types(manifest: Manifest) -> None:
    kinds = {"label_names": list, "preprocessing": str, "max_length": int, "policy": str, "files": dict}
    for name, kind in kinds.items():
        whole = name == "max_length" and manifest.max_length is None
        if not whole and not isinstance(getattr(manifest, name), kind):
            raise TypeError(f"its {name} is no {kind.__name__}")
    if not is_temperature(manifest.temperature):
        raise TypeError(f"its temperature is {manifest.temperature!r}, no number above 0")
    if manifest.stride is not None and not _is_stride(manifest.stride, manifest.max_length):
        raise TypeError(f"its stride is {manifest.stride!r}, no number of tokens that windows can share")
    if not all(isinstance(facts, dict) and {"size", "sha256"} <= facts.keys() for facts in manifest.files.values()):
        raise TypeError("its files have no size and sha256")


def _is_stride(value: object, max_length: int | None) -> bool:
    if not isinstance(value, int) or isinstance(value, bool) or max_length is None:
        return False
    return 0 <= value < max_length - 2  # a window has [CLS] and [SEP] too


def is_temperature(value: object) -> bool:
    """Whether logits can be divided by it: a finite number above 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def check_files(folder: Path, manifest: Manifest) -> None:
    """Raise DamagedFileError naming a file that is missing or altered, or weights that the manifest does not know."""
    remedy = "copy the whole folder again from where it was saved"
    for name, facts in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise DamagedFileError(f"{name} is missing in {folder}, which was saved with it: {remedy}")
        if name == THRESHOLDS:  # people raise and lower them; what they wrote is checked where it is read
            continue
        if (size := path.stat().st_size) != facts["size"]:
            raise DamagedFileError(f"{name} in {folder} has {size:,} bytes, saved were {facts['size']:,}: {remedy}")
        if remembered_sha256(path) != facts["sha256"]:
            raise DamagedFileError(f"{name} in {folder} is not what was saved (its sha256 differs): {remedy}")
    strange = sorted(p.name for p in folder.iterdir() if p.suffix in WEIGHTS and p.name not in manifest.files)
    if strange:
        raise DamagedFileError(
            f"{folder} holds weights that were not saved with this model: {', '.join(strange)}; "
            "another tool could load these instead, so move them elsewhere"
        )
