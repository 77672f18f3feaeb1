"""Put a fine-tuned model to work: predict texts of any order and length, save and load it as a standard folder."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from bertft_helpers.batching import encode, move_batch, pad_batch, truncate
from bertft_helpers.errors import MissingError, UserError
from bertft_helpers.evaluation import evaluation_mode
from bertft_helpers.files import new_folder
from bertft_helpers.losses import forward_logits
from bertft_helpers.validation import check_not_blank, check_texts


class Prediction(NamedTuple):
    """The most probable label of a text, its probability, and the probability of every label by name."""

    label: str
    probability: float
    probabilities: dict[str, float]


class TextClassifier:
    """A fine-tuned model with its tokenizer: texts in, label names and probabilities out.

    ``max_length`` is where texts are cut, in tokens (by default what the model allows); ``token_budget`` the size
    of a batch in tokens with padding: about 1,000 on a CPU, more on a GPU; ``policy`` which part of a long text stays
    (``batching.truncate``). Written out in lesson 24.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int | None = None,
        token_budget: int = 1024,
        policy: str = "head",
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.max_length = max_length or min(tokenizer.model_max_length, model.config.max_position_embeddings)
        self.token_budget = token_budget
        self.policy = policy

    @property
    def label_names(self) -> list[str]:
        """The names of the labels, in the order of the logits."""
        return [self.model.config.id2label[number] for number in range(self.model.config.num_labels)]

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction per text, in the order of the texts; no texts give no predictions.

        Raises TypeError for a single string and ValueError naming the rows that are no text or blank.
        """
        if isinstance(texts, str):
            raise TypeError(f"predict was given one string, {texts[:30]!r}…; give a list of texts: [text]")
        if len(texts) == 0:
            return []
        check_texts(texts, "texts to predict")
        check_not_blank(texts, "texts to predict")
        logits = text_logits(self.model, self.tokenizer, texts, self.max_length, self.token_budget, self.policy)
        probabilities = logits.softmax(dim=1)
        named = [dict(zip(self.label_names, row, strict=True)) for row in probabilities.tolist()]
        best = [max(row, key=row.get) for row in named]
        return [Prediction(label, row[label], row) for label, row in zip(best, named, strict=True)]

    def save(self, folder: str | Path, facts: Mapping[str, object] | None = None) -> None:
        """Write a standard transformers folder, complete or not at all: config, weights, tokenizer, README.md.

        ``facts`` (for example training texts, scores, limits) go into the model card. Raises FileExistsError when the
        folder holds something already.
        """
        folder = Path(folder)
        if folder.exists() and any(folder.iterdir()):
            raise UserError(f"{folder} is not empty; choose another folder or remove it")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with new_folder(folder) as draft:
            self._write(draft, facts or {})

    def _write(self, folder: Path, facts: Mapping[str, object]) -> None:
        tokenizer = copy.deepcopy(self.tokenizer)
        tokenizer.model_max_length = self.max_length  # where other tools will cut texts
        tokenizer.save_pretrained(folder)
        if self.policy != "head":  # what other tools do with long texts, and so what no note means
            self.model.config.truncation_policy = self.policy
        self.model.save_pretrained(folder)
        (folder / "README.md").write_text(model_card(self.label_names, self.max_length, facts), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path, device: str | torch.device = "cpu", token_budget: int = 1024) -> TextClassifier:
        """The classifier saved in ``folder``. Raises FileNotFoundError naming what is missing there."""
        folder = Path(folder)
        missing = [name for name in ("config.json", "model.safetensors") if not (folder / name).is_file()]
        if missing:
            raise MissingError(f"{folder} is no saved classifier: {' and '.join(missing)} missing")
        model = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True)
        policy = getattr(model.config, "truncation_policy", "head")
        return cls(model.to(device), AutoTokenizer.from_pretrained(folder), None, token_budget, policy)


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
    logits = torch.empty(len(texts), model.config.num_labels)
    with evaluation_mode(model):
        for rows in batches_within([len(ids) for ids in encoded], token_budget):
            batch = pad_batch([{"input_ids": encoded[row]} for row in rows], tokenizer.pad_token_id)
            logits[rows] = forward_logits(model, move_batch(batch, device)).float().cpu()
    return logits


def model_card(label_names: Sequence[str], max_length: int, facts: Mapping[str, object]) -> str:
    """A README.md that says what the model answers, how to use it, and the given facts about it."""
    rows = "\n".join(f"| {name} | {str(value).replace('|', '/')} |" for name, value in facts.items())
    table = f"\n## Facts\n\n| | |\n|---|---|\n{rows}\n" if rows else ""
    return f"""---
library_name: transformers
pipeline_tag: text-classification
---
# Text classifier

A BERT model that assigns a text to one of {len(label_names)} labels: {", ".join(label_names)}.
Every text gets one of them, also a text that fits none. Texts are cut after {max_length} tokens.

## Use

```python
from transformers import pipeline

classify = pipeline("text-classification", model="<this folder>", truncation=True)
classify("a text")
```
{table}"""
