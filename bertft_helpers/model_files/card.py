"""The card of a saved model: what it answers, how it is used, and the facts about it, in README.md."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence

from bertft_helpers.tables import visible

__all__ = [
    "EXPORTED",
    "MARKDOWN",
    "ONE_BY_ONE",
    "REPAIR",
    "TEMPERATURE",
    "THRESHOLDS",
    "USE",
    "WHY",
    "as_text",
    "counted_words_card",
    "exported_card",
    "model_card",
]

MARKDOWN = re.compile(r"([\\`*_~\[\]])")
USE = {
    "none": """from transformers import pipeline

classify = pipeline("text-classification", model="<this folder>", truncation=True)
classify("a text")""",
    "repair": r"""import html, re, unicodedata
from transformers import pipeline

classify = pipeline("text-classification", model="<this folder>", truncation=True)
repair = lambda text: re.sub(r"\s+", " ", unicodedata.normalize("NFC", html.unescape(text))).strip()
classify(repair("a text"))""",
}
WHY = {
    "none": "Texts go to the model as they are.",
    "repair": "Texts were repaired before training, and so must new ones be: HTML entities are decoded (`AT&amp;T` is "
    "AT&T), characters composed (NFC), white space folded. `bertft predict` does it; elsewhere the lines above do.",
}

ONE_BY_ONE = """
## One text at a time

Only the head was trained: the encoder is the pre-trained BERT, and a text's vector is the mean over its tokens. The
files call the model XLM, because transformers' XLM classifier computes just that with BERT's layers, and its BERT
classifier does not. It would count padding in the mean, so the tokenizer here has no padding token: one text at a time
is answered right, and `batch_size` is refused. Don't add a padding token; `bertft predict` reads batches.
"""
TEMPERATURE = """
## Probabilities

`bertft predict` divides the logits by a temperature of {temperature:.4g}, fitted on validation texts, before it
turns them into probabilities. `transformers.pipeline` knows nothing of it: its labels are the same, its probabilities
are not. These lines, after those above, give equal ones:

```python
from math import exp

scores = classify("a text", top_k=None, function_to_apply="none")  # the logits
odds = {{one["label"]: exp(one["score"] / {temperature!r}) for one in scores}}
probabilities = {{label: value / sum(odds.values()) for label, value in odds.items()}}
```
"""
THRESHOLDS = """
## Several labels

Each label is a question of its own, answered with yes from its threshold in `thresholds.json` on, the probability at
which F1 was highest on validation texts. `transformers.pipeline` gives equal probabilities and knows no thresholds.
These lines, after those above, give the labels:

```python
import json

limits = json.load(open("<this folder>/thresholds.json"))
labels = [one["label"] for one in classify("a text", top_k=None) if one["score"] >= limits[one["label"]]]
```
"""


def model_card(
    label_names: Sequence[str],
    max_length: int,
    facts: Mapping[str, object],
    preprocessing: str = "repair",
    temperature: float = 1.0,
    one_by_one: bool = False,
    stride: int | None = None,
    several: bool = False,
) -> str:
    """A README.md that says what the model answers, how to use it, and the given facts about it.

    ``several`` is for a model that gives a text any number of labels. Names and facts come from data of any
    origin: they are shown as text, never as Markdown or HTML.
    """
    alone = ONE_BY_ONE if one_by_one else ""
    cooled = TEMPERATURE.format(temperature=temperature) if temperature != 1 else ""
    thresholds = THRESHOLDS if several else ""
    return f"""---
library_name: transformers
pipeline_tag: text-classification
---
# Text classifier

A BERT model that {_told(label_names, several)} {_about_length(max_length, stride)}

## Use

```python
{USE[preprocessing]}
```

{WHY[preprocessing]}
{alone}{cooled}{thresholds}{_facts(facts)}"""


def _about_length(max_length: int, stride: int | None) -> str:
    if stride is None:
        return f"Texts are cut after {max_length} tokens."
    return (
        f"`bertft predict` reads all of a longer text, in windows of {max_length} tokens that share {stride} with the "
        "one before, and takes the mean of their logits. Other tools, and the lines below, read the first window "
        "alone: of longer texts their answers differ."
    )


def _told(label_names: Sequence[str], several: bool) -> str:
    """What a model does, in the sentence that begins with what it is."""
    names = f"{len(label_names)} labels: {', '.join(map(as_text, label_names))}"
    if several:
        return f"gives a text any of {names}.\nA text may get none of them."
    return f"assigns a text to one of {names}.\nEvery text gets one of them, also a text that fits none."


def counted_words_card(label_names: Sequence[str], facts: Mapping[str, object], several: bool = False) -> str:
    """The card of a model that counts words, which transformers cannot open."""
    module, name = ("several.classifier", "SeveralLabels") if several else ("counted_words", "CountedWords")
    return f"""# Text classifier

Logistic regression on counted words, which {_told(label_names, several)} All of a text is read.

## Use

```python
from bertft_helpers.own_texts.{module} import {name}

classify = {name}.load("<this folder>")
classify.predict(["a text"])
```

`bertft predict`, `evaluate` and `serve` use it as any other model. `transformers.pipeline` cannot open it: it is no
neural network. Its files hold words (JSON) and numbers (safetensors), nothing that could run.
{_facts(facts)}"""


def _facts(facts: Mapping[str, object]) -> str:
    rows = "\n".join(f"| {as_text(name)} | {as_text(value)} |" for name, value in facts.items())
    return f"\n## Facts\n\n| | |\n|---|---|\n{rows}\n" if rows else ""


EXPORTED = """import html, json, re, unicodedata
import numpy, onnxruntime
from tokenizers import Tokenizer

folder = "<this folder>"
tokenizer = Tokenizer.from_file(f"{{folder}}/tokenizer.json")
tokenizer.enable_truncation({max_length})
tokenizer.enable_padding(pad_id={pad[0]}, pad_token="{pad[1]}")
session = onnxruntime.InferenceSession(f"{{folder}}/model.onnx", providers=["CPUExecutionProvider"])
names = json.load(open(f"{{folder}}/config.json"))["id2label"]
repair = {repair}


def classify(texts):
    read = tokenizer.encode_batch([repair(text) for text in texts])
    ids, mask = numpy.array([one.ids for one in read]), numpy.array([one.attention_mask for one in read])
    logits = session.run(["logits"], {{"input_ids": ids, "attention_mask": mask}})[0] / {temperature!r}
    {probabilities}
    return [dict(zip(names.values(), row)) for row in probabilities.tolist()]


print(classify(["a text"])){labels}"""
_SOFTMAX = """odds = numpy.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = odds / odds.sum(axis=1, keepdims=True)"""
_SIGMOID = "probabilities = 1 / (1 + numpy.exp(-logits))"
_LABELS = """
limits = json.load(open(f"{folder}/thresholds.json"))
print([[name for name, p in one.items() if p >= limits[name]] for one in classify(["a text"])])"""
REPAIR = {"none": "str", "repair": USE["repair"].split("repair = ")[1].split("\n")[0]}


def exported_card(
    label_names: Sequence[str],
    max_length: int,
    facts: Mapping[str, object],
    preprocessing: str,
    temperature: float,
    pad: tuple[int, str],
    stride: int | None = None,
    several: bool = False,
) -> str:
    """The README.md of an exported model: how it is run without torch and transformers, and the facts about it.

    ``pad`` is number and name of the padding token; ``several`` is for a model that gives a text any number of labels.
    """
    use = EXPORTED.format(
        max_length=max_length,
        pad=pad,
        repair=REPAIR[preprocessing],
        temperature=temperature,
        probabilities=_SIGMOID if several else _SOFTMAX,
        labels=_LABELS if several else "",
    )
    return f"""# Text classifier, exported

A classifier in the format ONNX. It {_told(label_names, several)} {_about_length(max_length, stride)}

## Use

`bertft predict`, `evaluate` and `serve` take this folder. Without them onnxruntime, tokenizers and numpy are enough:

```python
{use}
```

{WHY[preprocessing]}
{_facts(facts)}"""


def as_text(value: object) -> str:
    """A value on one line, without control characters and without what Markdown, HTML or a table would act on."""
    shown = html.escape(visible(str(value), None).replace("|", "/"), quote=False)
    return MARKDOWN.sub(r"\\\1", shown)
