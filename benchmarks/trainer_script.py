"""Fine-tune on a CSV file with transformers' Trainer, from start to saved model, as a user would write it.

``python -m benchmarks.trainer_script FILE CHECKPOINT OUT EPOCHS MAX_LENGTH SEED [--bf16]``; the last line that it
prints is the accuracy on the test texts. Nothing of this project is imported.
"""

from __future__ import annotations

import sys

import numpy as np
from datasets import ClassLabel, Dataset, Value
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    EvalPrediction,
    Trainer,
    TrainingArguments,
)


def main(file: str, checkpoint: str, out: str, epochs: int, max_length: int, seed: int, bf16: bool) -> None:
    """Divide the texts, 60 % to train, 20 % to validate and 20 % to test; train; test; save."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    table = Dataset.from_csv(file).cast_column("text", Value("string"))
    names = sorted(set(table["label"]))
    table = table.cast_column("label", ClassLabel(names=names)).map(
        lambda rows: tokenizer(rows["text"], truncation=True, max_length=max_length), batched=True
    )
    first = table.train_test_split(0.4, seed=seed, stratify_by_column="label")
    second = first["test"].train_test_split(0.5, seed=seed, stratify_by_column="label")
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=len(names))
    settings = TrainingArguments(
        out,
        num_train_epochs=epochs,
        per_device_train_batch_size=16,
        per_device_eval_batch_size=64,
        learning_rate=2e-4,
        weight_decay=0.01,
        warmup_steps=0.1,
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model="accuracy",
        save_total_limit=1,
        seed=seed,
        use_cpu=True,
        bf16=bf16,
        report_to="none",
        disable_tqdm=True,
    )
    trainer = Trainer(
        model,
        settings,
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=first["train"],
        eval_dataset=second["train"],
        processing_class=tokenizer,
        compute_metrics=_accuracy,
    )
    trainer.train()
    measured = trainer.evaluate(second["test"])
    trainer.save_model(f"{out}/model")
    print(measured["eval_accuracy"])


def _accuracy(found: EvalPrediction) -> dict[str, float]:
    return {"accuracy": float((np.argmax(found.predictions, axis=1) == found.label_ids).mean())}


if __name__ == "__main__":
    *given, last = sys.argv[1:]
    words = given if last == "--bf16" else [*given, last]
    main(*words[:3], *map(int, words[3:]), bf16=last == "--bf16")
