"""The card of a saved model: what it answers, how it is used, and the facts about it, in README.md."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence

from bertft_helpers.tables import visible

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


def model_card(
    label_names: Sequence[str],
    max_length: int,
    facts: Mapping[str, object],
    preprocessing: str = "repair",
    temperature: float = 1.0,
) -> str:
    """A README.md that says what the model answers, how to use it, and the given facts about it.

    Names and facts come from data of any origin: they are shown as text, never as Markdown or HTML.
    """
    rows = "\n".join(f"| {as_text(name)} | {as_text(value)} |" for name, value in facts.items())
    cooled = TEMPERATURE.format(temperature=temperature) if temperature != 1 else ""
    table = f"\n## Facts\n\n| | |\n|---|---|\n{rows}\n" if rows else ""
    return f"""---
library_name: transformers
pipeline_tag: text-classification
---
# Text classifier

A BERT model that assigns a text to one of {len(label_names)} labels: {", ".join(map(as_text, label_names))}.
Every text gets one of them, also a text that fits none. Texts are cut after {max_length} tokens.

## Use

```python
{USE[preprocessing]}
```

{WHY[preprocessing]}
{cooled}{table}"""


def as_text(value: object) -> str:
    """A value on one line, without control characters and without what Markdown, HTML or a table would act on."""
    shown = html.escape(visible(str(value), None).replace("|", "/"), quote=False)
    return MARKDOWN.sub(r"\\\1", shown)
