"""What the Hub in a box has: a BERT in the shape of bert-base-uncased, and news in the shape of AG News."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import torch
from hub import Repository
from safetensors.torch import save
from transformers import BertConfig, BertForPreTraining

from bertft_helpers.data import AG_NEWS
from bertft_helpers.pretrained import BERT_BASE, Checkpoint, find_checkpoint

CLASSES = ["World", "Sports", "Business", "Sci/Tech"]
CARD = """---
language: [en]
dataset_info:
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names: {names}
  splits:
  - name: train
    num_examples: {train}
  - name: test
    num_examples: {test}
---
# News in four classes
"""


def bert_base(width: int = 24) -> Repository:
    """Random weights in twelve layers under the names of the published file, with the published vocabulary.

    Those names are old: ``bert.`` in front, ``gamma`` and ``beta`` in layer norms; the heads of pre-training are there.
    """
    torch.manual_seed(0)
    config = BertConfig(hidden_size=width, num_attention_heads=12, num_hidden_layers=12, intermediate_size=4 * width)
    model = BertForPreTraining(config)
    config.architectures = ["BertForMaskedLM"]
    state = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in model.state_dict().items()
        if not name.startswith("cls.predictions.decoder") and "position_ids" not in name  # tied, and computed
    }
    bundled = find_checkpoint("bundled")
    files = {name: (bundled / name).read_bytes() for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json")}
    files["config.json"] = json.dumps(config.to_dict()).encode()
    files["model.safetensors"] = save({name: tensor.contiguous() for name, tensor in state.items()}, {"format": "pt"})
    others = {"README.md": b"# BERT", "pytorch_model.bin": b"a pickle", "coreml/model.json": b"{}"}
    return Repository("models", BERT_BASE.hub_name, BERT_BASE.revision, {**files, **others})


def checkpoint_of(repository: Repository) -> Checkpoint:
    """What the package must know of a model to accept it: its files' sha256."""
    digests = {name: hashlib.sha256(repository.files[name]).hexdigest() for name in BERT_BASE.sha256}
    return Checkpoint(repository.name, repository.revision, digests)


def ag_news(train: int = 400, test: int = 80) -> Repository:
    """Texts under the labels of AG News, in Parquet files under its names, at its revision."""
    names = json.dumps({str(number): name for number, name in enumerate(CLASSES)})
    files = {
        "README.md": CARD.format(names=names, train=train, test=test).encode(),
        "data/train-00000-of-00001.parquet": _parquet("train", train),
        "data/test-00000-of-00001.parquet": _parquet("test", test),
    }
    return Repository("datasets", *AG_NEWS, files)


def _parquet(part: str, rows: int) -> bytes:
    texts = [f"{CLASSES[row % len(CLASSES)]} report of {part} number {row}" for row in range(rows)]
    table = pyarrow.table({"text": texts, "label": [row % len(CLASSES) for row in range(rows)]})
    target = io.BytesIO()
    pyarrow.parquet.write_table(table, target)
    return target.getvalue()


def accept(repository: Repository, home: Path) -> dict[str, str]:
    """Environment variables by which kernels take the box's model for the published one: IPython runs a line first."""
    checkpoint = checkpoint_of(repository)
    startup = home / "profile_default" / "startup" / "00-box.py"
    startup.parent.mkdir(parents=True)
    startup.write_text(
        "from bertft_helpers import pretrained\n"
        f"pretrained.CHECKPOINTS['bert-base-uncased'] = pretrained.{checkpoint!r}\n"
        "del pretrained\n"
    )
    return {"IPYTHONDIR": str(home)}
