"""Lesson 09: repairing a text, and removing rows that cannot teach."""

from typing import Any

from datasets import ClassLabel, Dataset, Features, Value
from graduation import Case, Functions

from bertft_helpers.data import load_texts

TYPED = Features({"id": Value("string"), "text": Value("string"), "label": ClassLabel(names=["money", "sport"])})
MESSY = [
    ("Shares&nbsp;fall", "money"),
    ("Cup won", "sport"),
    ("Shares  fall ", "money"),
    (" \n", "sport"),
    ("Club sold", "money"),
    ("Club sold", "sport"),
    ("", "money"),
    ("cafe&#769;", "sport"),
    ("caf\u00e9", "sport"),
    ("M&S &amp; Q&A", "money"),
]


def repaired(functions: Functions) -> Any:
    texts = [text for text, _ in MESSY] + list(load_texts("news")["text"])
    return [functions["repair"](text) for text in texts]


def cleaned(functions: Functions) -> Any:
    texts, labels = zip(*MESSY, strict=True)
    ids = [str(number) for number in range(len(texts))]
    messy = Dataset.from_dict({"id": ids, "text": list(texts), "label": list(labels)}, features=TYPED)
    results = []
    for dataset in (messy, load_texts("news")):
        kept, removed = functions["clean"](dataset)
        results.append(
            [kept.features == dataset.features, kept.to_dict(), removed.to_dict("list"), list(removed.index)]
        )
    return results


CASES = [
    Case(
        "data.repair",
        repaired,
        {
            "entities left": ("html.unescape(text)", "text"),
            "not composed": ('unicodedata.normalize("NFC", html.unescape(text))', "html.unescape(text)"),
            "ends left": (".strip()", ""),
        },
    ),
    Case(
        "data.clean",
        cleaned,
        {
            "compared before the repair": ('rows["text"].map(repair)', 'rows["text"]'),
            "one of two labels stays": ("labels_of_text > 1", "labels_of_text > 2"),
            "all repetitions go": ('rows.duplicated("text")', 'rows.duplicated("text", keep=False)'),
            "empty texts called repeated": ('rows.loc[rows["text"] == "", "reason"] = "empty"', "pass"),
        },
    ),
]
