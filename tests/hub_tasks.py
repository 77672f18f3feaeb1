"""Stand-ins of the data sets that the applications take from the Hub: the real ones' columns, kinds, files, oddities.

They are small and their texts are the bundled news, so nothing here says how a model would do on the real texts.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import yaml
from datasets import ClassLabel, Dataset, Features, Value
from datasets import Sequence as ListOf
from hub import Repository

from bertft_helpers.data import load_texts
from bertft_helpers.summarizing import sentences_of

Row = dict[str, Any]
Rows = Callable[[str, int], Row]  # from a part's name and a row's number in it, from 0
TEXT, WHOLE, REAL = Value("string"), Value("int32"), Value("float64")
FIRST = {"train": 0, "validation": 150, "test": 250}  # the stories of different parts are different ones
CONLL_TAGS = ["O", *(f"{mark}-{kind}" for kind in ("PER", "ORG", "LOC", "MISC") for mark in "BI")]
WNUT_KINDS = ("corporation", "creative-work", "group", "location", "person", "product")
WNUT_TAGS = ["O", *(f"{mark}-{kind}" for kind in WNUT_KINDS for mark in "BI")]
EMOTIONS = re.findall(
    r"\w+",
    "admiration amusement anger annoyance approval caring confusion curiosity desire disappointment disapproval "
    "disgust embarrassment excitement fear gratitude grief joy love nervousness optimism pride realization relief "
    "remorse sadness surprise neutral",
)
NAME = re.compile(r"(?<=[\w,] )[A-Z][a-z]+(?: [A-Z][a-z]+)*")  # inside a sentence


def squad(version: int, sizes: Sequence[int]) -> Repository:
    """Questions for names. In the dev part three people answer; in version 2 every third question has no answer."""
    answers = {"text": ListOf(TEXT), "answer_start": ListOf(WHOLE)}
    features = Features(dict.fromkeys(("id", "title", "context", "question"), TEXT) | {"answers": answers})

    def row(part: str, number: int) -> Row:
        context = " ".join(_sentences(part, number)[:6]).replace(". ", ".  ", 1)  # some have two spaces
        found = NAME.search(context, 40 + 10 * (number % 8)) if version == 1 or number % 3 else None
        people = 3 if part == "validation" else 1
        said = [(found.group(), found.start())] * people if found else []
        question = f"{' ' * (number % 5 == 0)}Who is named near {' '.join(context.split()[3:9])}?"
        own = {"id": f"{number:024x}", "title": "News", "context": context, "question": question}
        return own | {"answers": {"text": [text for text, _ in said], "answer_start": [place for _, place in said]}}

    folder = "squad_v2" if version == 2 else "plain_text"
    name = f"rajpurkar/squad{'_v2' if version == 2 else ''}"
    return _repository(name, {folder: folder}, dict(zip(("train", "validation"), sizes, strict=True)), features, row)


def conll(sizes: Sequence[int]) -> Repository:
    """Words and tags, in the branch that the Hub converts to Parquet; one sentence has no word."""
    others = {f"{kind}_tags": ListOf(WHOLE) for kind in ("pos", "chunk")}
    columns = {"id": TEXT, "tokens": ListOf(TEXT), **others, "ner_tags": ListOf(ClassLabel(names=CONLL_TAGS))}
    odd = [[], ["-DOCSTART-"], ["U.S.", "beat", "3-1", "AC", "Milan", "."]]  # words that BERT's tokenizer cuts

    def row(part: str, number: int) -> Row:
        words = [*odd, _words(part, number)][min(number, len(odd))]
        zeros = [0] * len(words)
        own = {"id": str(number), "tokens": words, "pos_tags": zeros, "chunk_tags": zeros}
        return own | {"ner_tags": _tags(words, number % 4)}

    return _converted("eriktks/conll2003", "conll2003", sizes, Features(columns), row)


def wnut(sizes: Sequence[int]) -> Repository:
    """Words of posts, among them a sign of which BERT's tokenizer leaves nothing; kinds of names with a hyphen."""
    columns = {"id": TEXT, "tokens": ListOf(TEXT), "ner_tags": ListOf(ClassLabel(names=WNUT_TAGS))}
    odd = ["@user", "\N{HEAVY BLACK HEART}", "\N{VARIATION SELECTOR-16}"]

    def row(part: str, number: int) -> Row:
        words = _words(part, number) if number else odd
        return {"id": str(number), "tokens": words, "ner_tags": _tags(words, number % len(WNUT_KINDS))}

    return _converted("leondz/wnut_17", "wnut_17", sizes, Features(columns), row)


def stsb(sizes: Sequence[int]) -> Repository:
    """Pairs with grades from 0 to 1, source by source: the first half of a part has the highest grade only."""
    features = Features(sentence1=TEXT, sentence2=TEXT, score=REAL)
    counts = dict(zip(FIRST, sizes, strict=True))

    def row(part: str, number: int) -> Row:
        alike = number < counts[part] // 2
        one, other = (_sentences(part, n)[0] for n in (number, number if alike else number + 1))
        score = 1.0 if alike else number % 3 / 5
        return {"sentence1": one, "sentence2": " ".join(other.split()[:8]), "score": score}

    return _repository("sentence-transformers/stsb", {"default": "data"}, counts, features, row)


def cnn_dailymail(sizes: Sequence[int]) -> Repository:
    """Articles, with highlights on a line each; the fourth article is empty. There are two versions of it."""
    features = Features(article=TEXT, highlights=TEXT, id=TEXT)

    def row(part: str, number: int) -> Row:
        sentences = _sentences(part, number)
        highlights = "\n".join(f"{' '.join(sentence.split()[:9])} ." for sentence in sentences[0:6:2])
        article = "" if number == 3 else "(CNN) -- " + " ".join(sentences)
        return {"article": article, "highlights": highlights, "id": hashlib.sha1(highlights.encode()).hexdigest()}

    folders = {version: version for version in ("1.0.0", "3.0.0")}
    return _repository("abisee/cnn_dailymail", folders, dict(zip(FIRST, sizes, strict=True)), features, row)


def go_emotions(sizes: Sequence[int]) -> Repository:
    """Comments with one or two of 28 labels, of which one is too rare to be in a sample."""
    features = Features(text=TEXT, labels=ListOf(ClassLabel(names=EMOTIONS)), id=TEXT)
    frequent = [number for number, name in enumerate(EMOTIONS) if name != "grief"]

    def row(part: str, number: int) -> Row:
        labels = {frequent[number % 27], frequent[(number + number % 6 // 5) % 27]}  # every sixth has two
        comment = " ".join(_sentences(part, number)[1].split()[:12])
        return {"text": comment, "labels": sorted(labels), "id": f"e{number:06}"}

    counts = dict(zip(FIRST, sizes, strict=True))
    return _repository("google-research-datasets/go_emotions", {"simplified": "simplified"}, counts, features, row)


@cache
def _stories() -> list[list[str]]:
    """The sentences of bundled stories, without the headlines, all desks mixed."""
    texts = load_texts("news").shuffle(seed=0)["text"][:500]
    return [sentences for sentences in (sentences_of(text.partition("\n")[2]) for text in texts) if len(sentences) > 5]


def _sentences(part: str, number: int) -> list[str]:
    return _stories()[FIRST[part] + number]


def _words(part: str, number: int) -> list[str]:
    return re.findall(r"[\w.&-]+|[^\w\s]", _sentences(part, number)[1])[:20]


def _tags(words: Sequence[str], kind: int) -> list[int]:
    """Numbers of BIO tags: words with capitals are names of the kind, counted from 0."""
    named = [False, *(word[0].isupper() for word in words)]
    return [(2 * kind + 1 + before) * now for before, now in pairwise(named)]


def _converted(name: str, folder: str, sizes: Sequence[int], features: Features, row: Rows) -> Repository:
    """A data set whose rows stand in the branch for Parquet files, because its main branch has only a script."""
    files = {
        f"{folder}/{part}/0000.parquet": _parquet(part, size, features, row)
        for part, size in zip(("train", "validation"), sizes, strict=True)
    }
    return Repository("datasets", name, _commit(name), files, branch="refs/convert/parquet")


def _repository(
    name: str, folders: dict[str, str], counts: dict[str, int], features: Features, row: Rows
) -> Repository:
    """A data set with a folder for each configuration and a Parquet file for each part, which its card lists."""
    configs = [
        {"config_name": config, "data_files": [{"split": part, "path": f"{folder}/{part}-*"} for part in counts]}
        for config, folder in folders.items()
    ]
    files = {
        f"{folder}/{part}-00000-of-00001.parquet": _parquet(part, size, features, row)
        for folder in folders.values()
        for part, size in counts.items()
    }
    card = f"---\n{yaml.safe_dump({'configs': configs})}---\n# Rows\n"
    return Repository("datasets", name, _commit(name), {"README.md": card.encode(), **files})


def _commit(name: str) -> str:
    return hashlib.sha1(name.encode()).hexdigest()


def _parquet(part: str, size: int, features: Features, row: Rows) -> bytes:
    target = io.BytesIO()
    Dataset.from_list([row(part, number) for number in range(size)], features=features).to_parquet(target)
    return target.getvalue()
