"""What somebody who fell behind needs to go on: texts, ids, a trained model, its predictions, the studies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
from datasets import DatasetDict

from bertft_helpers.batching import encode, encode_dataset, make_loader
from bertft_helpers.config import TrainConfig
from bertft_helpers.data import clean, load_texts, select_view, split
from bertft_helpers.inference import TextClassifier
from bertft_helpers.models import build_classifier
from bertft_helpers.optim import build_optimizer
from bertft_helpers.pretrained import load_tokenizer
from bertft_helpers.runtime import quiet_libraries, set_seeds
from bertft_helpers.training import fit, steps_per_run

SEED, BATCH_SIZE, LEARNING_RATE = 0, 16, 1e-4  # lesson 19's
PAGE = """# Catch up

Fell behind? Take what a section made from here, and go on with the next one. In a notebook of `learners/`, which stands
beside this folder:

```python
import pandas as pd
from bertft_helpers.inference import TextClassifier

train = pd.read_csv("../catch_up/texts/train.csv")  # after "Preparing the data set"
ids = pd.read_json("../catch_up/ids/train.jsonl", lines=True)  # after "Tokenizing input data for BERT"
classifier = TextClassifier.load("../catch_up/trained_model")  # after "Training the fine-tuned BERT model"
predictions = pd.read_csv("../catch_up/predictions.csv")  # validation part, after "Evaluating"
runs = pd.read_csv("../catch_up/results/freezing.csv", comment="#")  # "Experimenting": the committed studies
```

`validation` and `test` lie beside `train`. The model: {facts}. "Setting up" and "Loading" make nothing that is kept,
and "Modifying BERT" a head without training: each lesson repeats them in its first lines.
"""


def write_catch_up(folder: Path, out: Path, n_train: int | None = None) -> None:
    """Write all of it into ``out``; ``n_train`` headlines (all if None) train the model, with lesson 19's values."""
    quiet_libraries()
    parts = split(clean(select_view(load_texts("news"), "headline")).kept, seed=0)
    write_texts(parts, out / "texts")
    write_ids(parts, out / "ids")
    if n_train is not None:
        parts["train"] = parts["train"].select(range(n_train))
    classifier, facts = train_classifier(parts)
    classifier.save(out / "trained_model", facts)
    write_predictions(classifier, parts, out / "predictions.csv")
    shutil.copytree(folder / "results", out / "results", ignore=lambda _, names: {n for n in names if n[-4:] != ".csv"})
    stated = ", ".join(f"{name}: {value}" for name, value in facts.items())
    (out / "README.md").write_text(PAGE.format(facts=stated), encoding="utf-8")


def write_texts(parts: DatasetDict, out: Path) -> None:
    """One CSV for each part: text, label by name."""
    out.mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():
        labels = [part.features["label"].int2str(label) for label in part["label"]]
        pd.DataFrame({"text": list(part["text"]), "label": labels}).to_csv(out / f"{name}.csv", index=False)


def write_ids(parts: DatasetDict, out: Path) -> None:
    """One file of JSON lines for each part: input_ids, label by number."""
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = load_tokenizer("bundled")
    for name, part in parts.items():
        rows = zip(encode(list(part["text"]), tokenizer), part["label"], strict=True)
        lines = [json.dumps({"input_ids": list(ids), "label": int(label)}) for ids, label in rows]
        (out / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def train_classifier(parts: DatasetDict) -> tuple[TextClassifier, dict[str, object]]:
    """Fine-tune on the training part as lesson 19 does; the classifier, and facts for its card."""
    config, tokenizer = TrainConfig(), load_tokenizer("bundled")
    set_seeds(SEED)
    model = build_classifier("bundled", parts["train"].features["label"].names, seed=SEED)
    train, validation = (encode_dataset(parts[name], tokenizer, max_length=64) for name in ("train", "validation"))
    loader = make_loader(train, BATCH_SIZE, seed=SEED)
    optimizer, schedule = build_optimizer(model, LEARNING_RATE, steps_per_run(loader, config))
    history = fit(model, loader, make_loader(validation, 64), optimizer, schedule, config)
    last = history.epochs[-1]
    return TextClassifier(model, tokenizer, max_length=64), {
        "training headlines": len(train),
        "validation accuracy": f"{last['validation_accuracy']:.3f}",
    }


def write_predictions(classifier: TextClassifier, parts: DatasetDict, path: Path) -> None:
    """The validation part with predicted label and probability; the test part stays for the lessons that report it."""
    part = parts["validation"]
    predictions = classifier.predict(list(part["text"]))
    labels = [part.features["label"].int2str(label) for label in part["label"]]
    columns = {"text": list(part["text"]), "label": labels}
    columns |= {"predicted": [p.label for p in predictions], "probability": [p.probability for p in predictions]}
    pd.DataFrame(columns).to_csv(path, index=False)
