"""Put a fine-tuned model to work: predict texts of any order and length, save and load it as a standard folder."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol, cast

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase

from bertft_helpers.batching import Batch, encode, move_batch, pad_batch, truncate
from bertft_helpers.config import PRECISIONS
from bertft_helpers.data import repair
from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import evaluation_mode
from bertft_helpers.files import new_folder
from bertft_helpers.first_token import first_token_only
from bertft_helpers.long_texts import encode_whole, held_together, without_middle
from bertft_helpers.losses import forward_logits
from bertft_helpers.mean_pooled import MeanPooledClassifier, has_mean, without_padding
from bertft_helpers.model_files.card import model_card
from bertft_helpers.model_files.contents import read_config
from bertft_helpers.model_files.loading import load_model
from bertft_helpers.model_files.manifest import check_files, is_temperature, read_manifest, write_manifest
from bertft_helpers.model_files.vocabulary import doubts_about, load_vocabulary
from bertft_helpers.runtime import mixed_precision
from bertft_helpers.validation import check_not_blank, check_texts
from bertft_helpers.windows import cut_windows, pool_windows

ONE_LABEL, SEVERAL_LABELS = "single_label_classification", "multi_label_classification"  # transformers' names
PREPROCESSING: dict[str, Callable[[str], str]] = {"repair": repair, "none": str}
WITHOUT_MANIFEST = (
    "{folder} was saved by another tool: it is complete, but nobody wrote down what its files were (no manifest.json); "
    "texts are given to the model as they are"
)


class Prediction(NamedTuple):
    """The most probable label of a text, its probability, and the probability of every label by name.

    ``further`` is what else was asked for, by the name of its column.
    """

    label: str
    probability: float
    probabilities: dict[str, float]
    further: Mapping[str, object] = MappingProxyType({})


class LabelSet(NamedTuple):
    """The labels of a text, perhaps none, and the probability of every label by name; they don't add up to 1.

    ``further`` is what else was asked for, by the name of its column.
    """

    labels: list[str]
    probabilities: dict[str, float]
    further: Mapping[str, object] = MappingProxyType({})


class TextReader(Protocol):
    """What reads texts, however the model inside works.

    ``cut_after`` is where texts are cut, in tokens, None where all of a text is read; ``notes`` are what a person
    should know.
    """

    @property
    def notes(self) -> list[str]: ...

    @property
    def cut_after(self) -> int | None: ...

    @property
    def label_names(self) -> list[str]: ...

    def prepare(self, text: str) -> str: ...


class Classifier(TextReader, Protocol):
    """Texts in, label names and probabilities out."""

    def predict(self, texts: Sequence[str]) -> list[Prediction]: ...


class SetClassifier(TextReader, Protocol):
    """The same for a model that gives a text any number of labels."""

    def predict(self, texts: Sequence[str]) -> list[LabelSet]: ...


class TextClassifier:
    """A fine-tuned model with its tokenizer: texts in, label names and probabilities out.

    ``max_length`` is where texts are cut, in tokens (by default what the model allows); ``token_budget`` the size
    of a batch in tokens with padding: about 1,000 on a CPU, more on a GPU; ``policy`` which part of a long text stays
    (``batching.truncate``), unless a ``stride`` has it read in windows that share so many tokens, all of it;
    ``preprocessing`` what is done to a text first: ``"repair"`` (``data.repair``, as for the
    texts of training) or ``"none"``; ``precision`` the number format, one of ``config.PRECISIONS``: in 16 bits
    probabilities change a little, and so may the label of a text that is nearly undecided; ``temperature`` what the
    logits are divided by before the softmax (``metrics.fit_temperature``): above 1 it makes the classifier less sure,
    and it never changes a label. Written out in lesson 24.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int | None = None,
        token_budget: int = 1024,
        policy: str = "head",
        preprocessing: str = "repair",
        precision: str = "float32",
        temperature: float = 1.0,
        stride: int | None = None,
    ) -> None:
        if preprocessing not in PREPROCESSING:
            raise UserError(f"there is no preprocessing {preprocessing!r}; choose one of {', '.join(PREPROCESSING)}")
        if precision not in PRECISIONS:
            raise UserError(f"precision is {precision!r}; it must be one of {', '.join(PRECISIONS)}")
        if not is_temperature(temperature):
            raise UserError(f"temperature is {temperature!r}; it must be a number above 0, and 1 changes nothing")
        self.model = model
        self.tokenizer = tokenizer
        self.max_length = max_length or min(tokenizer.model_max_length, model.config.max_position_embeddings)
        self.token_budget = token_budget
        self.policy = policy
        self.preprocessing = preprocessing
        self.precision = precision
        self.temperature = temperature
        self.stride = stride
        self.notes: list[str] = []  # what a person should know about the folder that it was loaded from

    @property
    def cut_after(self) -> int | None:
        """Where texts are cut, in tokens; None with windows, which read all of a text."""
        return self.max_length if self.stride is None else None

    @property
    def label_names(self) -> list[str]:
        """The names of the labels, in the order of the logits."""
        names = cast(dict[int, str], self.model.config.id2label)
        return [names[number] for number in range(len(names))]

    def prepare(self, text: str) -> str:
        """A text as the model reads it; ``predict`` does this itself, and once only: entities decode twice."""
        return PREPROCESSING[self.preprocessing](text)

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction per text, in the order of the texts; no texts give no predictions.

        Raises TypeError for a single string and ValueError naming the rows that are no text or blank.
        """
        texts = prepare_all(texts, self.prepare)
        if not texts:
            return []
        return self.answers(self.logits(texts))

    def answers(self, logits: np.ndarray) -> list[Prediction]:
        """The predictions that ``logits`` ``[texts, labels]`` stand for."""
        probabilities = (torch.from_numpy(logits) / self.temperature).softmax(dim=1)
        return name_answers(probabilities.tolist(), self.label_names)

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """``[texts, labels]`` of texts that are prepared already, without the temperature."""
        with mixed_precision(self.model.device, getattr(torch, self.precision)):
            return self.run(self.model, texts).numpy()

    def run(self, model: PreTrainedModel, texts: Sequence[str]) -> torch.Tensor:
        """The logits ``[texts, labels]`` of a model that reads prepared ``texts`` as this classifier does."""
        if self.stride is not None:
            return whole_logits(model, self.tokenizer, texts, self.max_length, self.stride, self.token_budget)
        short = [without_middle(text) for text in texts]
        return text_logits(model, self.tokenizer, short, self.max_length, self.token_budget, self.policy)

    def save(
        self,
        folder: str | Path,
        facts: Mapping[str, object] | None = None,
        beside: Mapping[str, bytes] | None = None,
    ) -> None:
        """Write a standard transformers folder, complete or not at all: config, weights, tokenizer, card, manifest.

        ``facts`` (for example training texts, scores, limits) go into the card, README.md; ``beside`` are further files
        that belong to the model, by name. Raises UserError when the folder holds something already.
        """
        folder = Path(folder)
        if folder.exists() and any(folder.iterdir()):
            raise UserError(f"{folder} is not empty; choose another folder or remove it")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with new_folder(folder) as draft:
            for name, content in (beside or {}).items():
                (draft / name).write_bytes(content)
            self._write(draft, facts or {})

    def _write(self, folder: Path, facts: Mapping[str, object]) -> None:
        one_by_one = isinstance(self.model, MeanPooledClassifier)
        tokenizer = without_padding(self.tokenizer) if one_by_one else copy.deepcopy(self.tokenizer)
        tokenizer.model_max_length = self.max_length  # where other tools will cut texts
        tokenizer.save_pretrained(folder)
        self.model.save_pretrained(folder)
        how = self.preprocessing, self.temperature
        several = self.model.config.problem_type == SEVERAL_LABELS
        card = model_card(self.label_names, self.max_length, facts, *how, one_by_one, self.stride, several)
        (folder / "README.md").write_text(card, encoding="utf-8")
        reads = self.preprocessing, self.max_length, self.policy
        write_manifest(folder, self.label_names, *reads, self.temperature, self.stride)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        device: str | torch.device = "cpu",
        token_budget: int = 1024,
        precision: str = "float32",
        problem_type: str = ONE_LABEL,
    ) -> TextClassifier:
        """The classifier saved in ``folder``, by this class or by other tools.

        With a manifest every file is what was saved; without one the folder is complete, and ``notes`` say what is not
        known. ``problem_type`` is what the caller can use, as transformers calls it. Raises MissingError,
        DamagedFileError, and UserError for models of another kind.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        if manifest is not None:
            check_files(folder, manifest)
        require_label_names(folder, problem_type)
        model_class = MeanPooledClassifier if has_mean(folder) else AutoModelForSequenceClassification
        model = load_model(model_class, folder).to(device)  # type: ignore[arg-type]  # transformers hides that it is a method
        tokenizer = load_vocabulary(folder)
        if manifest is None:
            classifier = cls(model, tokenizer, None, token_budget, preprocessing="none", precision=precision)
            classifier.notes += [WITHOUT_MANIFEST.format(folder=folder), *doubts_about(tokenizer, folder)]
            return classifier
        return cls(
            model,
            tokenizer,
            manifest.max_length,
            token_budget,
            manifest.policy,
            manifest.preprocessing,
            precision,
            manifest.temperature,
            manifest.stride,
        )


def name_answers(probabilities: Sequence[Sequence[float]], label_names: Sequence[str]) -> list[Prediction]:
    """The predictions from ``probabilities`` ``[texts, labels]``; of equally probable labels the first."""
    named = [dict(zip(label_names, row, strict=True)) for row in probabilities]
    best = [max(row, key=row.__getitem__) for row in named]
    return [Prediction(label, row[label], row) for label, row in zip(best, named, strict=True)]


def prepare_all(texts: Sequence[str], prepare: Callable[[str], str]) -> list[str]:
    """Texts as a model reads them. Raises TypeError for a single string, ValueError for rows without a text."""
    if isinstance(texts, str):
        raise TypeError(f"predict was given one string, {texts[:30]!r}…; give a list of texts: [text]")
    if len(texts) == 0:
        return []
    check_texts(texts, "texts to predict")
    prepared = [prepare(text) for text in texts]
    check_not_blank(prepared, "texts to predict")
    return prepared


def require_label_names(folder: Path, problem_type: str = ONE_LABEL) -> None:
    """Raise UserError unless ``config.json`` has a name for each output, all different, and is of this kind."""
    config = read_config(folder)
    kind = config.get("problem_type") or ONE_LABEL
    if kind != problem_type:
        wanted = "one label" if problem_type == ONE_LABEL else "several labels"
        raise UserError(f"the model in {folder} is made for {kind}; only models that choose {wanted} can be used here")
    names = config.get("id2label", {"0": "LABEL_0", "1": "LABEL_1"})  # transformers' own where none are given
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise UserError(f"id2label in {folder / 'config.json'} is no table of numbers and names: {names!r:.80}")
    numbers = [str(number) for number in range(len(names))]
    if len(names) < 2 or set(names) != set(numbers) or len(set(names.values())) != len(names):
        raise UserError(
            f"id2label in {folder / 'config.json'} is {names!s:.120}; "
            f"at least two different names under 0, 1, 2 … without a gap are needed"
        )
    back = config.get("label2id", {})
    if back and back != {name: int(number) for number, name in names.items()}:
        raise UserError(f"id2label and label2id in {folder / 'config.json'} disagree: make them say the same")


def batches_within(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Row numbers in batches of similar length, each of at most ``token_budget`` tokens with padding.

    Shortest first; a text that is longer than the budget goes alone. Written out in lesson 24.
    """
    if token_budget < 1:
        raise UserError(f"token_budget is {token_budget}; it must be at least 1")
    batches: list[list[int]] = []
    rows: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if rows and (len(rows) + 1) * lengths[row] > token_budget:
            batches.append(rows)
            rows = []
        rows.append(row)
    return [*batches, rows] if rows else batches


def text_logits(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    max_length: int,
    token_budget: int = 1024,
    policy: str = "head",
) -> torch.Tensor:
    """Logits ``[texts, labels]`` on the CPU, in the order of the texts, whatever their lengths.

    Texts are cut to ``max_length`` tokens by ``policy``. The model is left in the mode it had.
    Written out in lesson 24.
    """
    device = next(model.parameters()).device
    encoded = [truncate(ids, max_length, policy) for ids in encode(texts, tokenizer)]
    logits = torch.empty(len(texts), cast(int, model.config.num_labels))
    with evaluation_mode(model), first_token_only(model):
        for rows in batches_within([len(ids) for ids in encoded], token_budget):
            batch = pad_batch([{"input_ids": encoded[row]} for row in rows], tokenizer.pad_token_id)
            logits[rows] = forward_logits(model, move_batch(batch, device)).float().cpu()
    return logits


def whole_logits(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    max_length: int,
    stride: int,
    token_budget: int = 1024,
) -> torch.Tensor:
    """What ``text_logits`` gives, of all of each text: in windows of ``max_length`` tokens that share ``stride``.

    Memory does not grow with the length of a text. Short texts among short ones get the same numbers to the last bit.
    """
    device = next(model.parameters()).device

    def run(batch: Batch) -> torch.Tensor:
        return forward_logits(model, move_batch(batch, device)).float().cpu()

    found = []
    with evaluation_mode(model), first_token_only(model):
        for group in held_together(texts):
            windows = [cut_windows(ids, max_length, stride) for ids in encode_whole(group, tokenizer)]
            found.append(mean_over_windows(run, windows, token_budget, tokenizer.pad_token_id))
    return torch.cat(found)


def mean_over_windows(
    run: Callable[[Batch], torch.Tensor], windows: Sequence[list[list[int]]], token_budget: int, pad_id: int = 0
) -> torch.Tensor:
    """One row for each text: the mean of what ``run`` gives ``[batch, width]`` for batches of the texts' ``windows``.

    A batch has at most ``token_budget`` tokens with padding.
    """
    flat = [{"input_ids": ids} for own in windows for ids in own]
    batches = batches_within([len(one["input_ids"]) for one in flat], token_budget)
    found = torch.cat([run(pad_batch([flat[row] for row in rows], pad_id)) for rows in batches])
    places = torch.tensor([row for rows in batches for row in rows], device=found.device)
    return pool_windows(found[places.argsort()], [len(own) for own in windows], "mean")
