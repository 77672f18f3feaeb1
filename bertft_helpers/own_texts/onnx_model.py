"""A classifier as an ONNX file: written by torch's exporter, run by onnxruntime, without torch or transformers.

The exporter is ``torch.onnx.export`` with ``dynamo=True``, which traces the model into a graph of ONNX's operations.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
from torch import nn
from transformers import PreTrainedModel

from bertft_helpers.errors import DamagedFileError, UserError
from bertft_helpers.first_token import first_token_only
from bertft_helpers.inference import ONE_LABEL, TextClassifier, require_label_names
from bertft_helpers.model_files.loading import load_config
from bertft_helpers.model_files.manifest import check_files, read_manifest
from bertft_helpers.model_files.vocabulary import load_vocabulary

__all__ = ["ONNX", "OnnxModel", "holds_onnx", "open_onnx", "quantize", "write_onnx"]

ONNX = "model.onnx"
_INPUTS, _OUTPUT = ("input_ids", "attention_mask"), "logits"
_MOST_ROWS = 2**16  # of a batch; the exporter wants a bound


class OnnxModel(nn.Module):
    """What ``TextClassifier`` needs of a model, computed by onnxruntime on the CPU."""

    def __init__(self, path: Path, config: Any) -> None:
        import onnxruntime

        super().__init__()
        self.config = config
        self.device = torch.device("cpu")
        self.place = nn.Parameter(torch.empty(0), requires_grad=False)  # by which others find the device
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own classes have no common ancestor but this
            raise DamagedFileError(f"{path} is no model that onnxruntime can run: {error}; export it again") from error

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
    ) -> SimpleNamespace:
        """``logits`` ``[batch, labels]`` of token ids and mask ``[batch, length]``; kinds of tokens are all 0."""
        given = dict(zip(_INPUTS, (input_ids.numpy(), attention_mask.numpy()), strict=True))
        return SimpleNamespace(logits=torch.from_numpy(self.session.run([_OUTPUT], given)[0]))


class _Logits(nn.Module):
    """A classifier as a function of tensors alone."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


def write_onnx(model: PreTrainedModel, path: Path) -> None:
    """Write a classifier in float32; inputs are ``input_ids`` and ``attention_mask``, of any batch and length.

    A BERT's top layer computes [CLS] alone, as in every prediction here.
    """
    longest = cast(int, model.config.max_position_embeddings)
    rows, tokens = torch.export.Dim("batch", min=1, max=_MOST_ROWS), torch.export.Dim("tokens", min=2, max=longest)
    ids = torch.ones(2, min(8, longest), dtype=torch.long)
    mask = ids.clone()
    mask[1, -2:] = 0  # without padding in the example transformers leaves the mask out, and so would the file
    with first_token_only(model), _quiet_exporter():
        program = torch.onnx.export(
            _Logits(model).eval(),
            (ids, mask),
            dynamic_shapes={name: {0: rows, 1: tokens} for name in _INPUTS},
            input_names=list(_INPUTS),
            output_names=[_OUTPUT],
            dynamo=True,
            verbose=False,
        )
        assert program is not None  # dynamo gives one
        program.save(str(path), external_data=False)


def quantize(path: Path, to: Path) -> None:
    """The model of ``path`` with 8-bit whole numbers for weights: a quarter of the size, and other answers.

    Layers' inputs are rounded to 8 bits too, with a scale found for each batch. The weights use 7 of their 8 bits:
    processors without VNNI add pairs of products in 16 bits, where those of whole 8 bits overflow in silence.
    """
    from onnxruntime.quantization import quantize_dynamic

    with _quiet_exporter():
        quantize_dynamic(path, to, per_channel=True, reduce_range=True)


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Without the exporter's remarks on its own insides and on packages that no classifier of texts needs."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "root")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def holds_onnx(folder: Path) -> bool:
    """Whether a folder is one that ``export`` wrote: with an ONNX file, and without a model of transformers."""
    return (folder / ONNX).is_file() and not (folder / "model.safetensors").is_file()


def open_onnx(folder: Path, precision: str = "float32", problem_type: str = ONE_LABEL) -> TextClassifier:
    """The classifier that ``export`` wrote into ``folder``, run by onnxruntime.

    ``problem_type`` is what the caller can use, as transformers calls it. Raises UserError for another precision (the
    file has its own) and for models of another kind, DamagedFileError for files that are not what was written.
    """
    if precision != "float32":
        raise UserError(f"{folder} holds an exported model, which has its own number format; leave --precision away")
    manifest = read_manifest(folder)
    if manifest is None:
        raise DamagedFileError(f"manifest.json is missing in {folder}: copy the folder again, or export it anew")
    check_files(folder, manifest)
    require_label_names(folder, problem_type)
    model = cast(PreTrainedModel, OnnxModel(folder / ONNX, load_config(folder)))
    return TextClassifier(
        model,
        load_vocabulary(folder),
        manifest.max_length,
        policy=manifest.policy,
        preprocessing=manifest.preprocessing,
        temperature=manifest.temperature,
        stride=manifest.stride,
    )
