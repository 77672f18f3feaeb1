"""Large inputs and long runs: memory stays within what is promised. Each test measures a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
Report = Callable[[str, object], None]


def measured(program: str, *arguments: object) -> dict:
    """What a program prints as JSON; it runs in a process of its own so that its memory is its own."""
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.thorough
def test_two_hundred_thousand_texts_are_prepared_within_three_gigabytes(tmp_path: Path, report: Report) -> None:
    found = measured(
        """
        import csv, json, sys
        from pathlib import Path
        from bertft_helpers.batching import encode_dataset
        from bertft_helpers.data import clean, load_texts, select_view, split
        from bertft_helpers.pretrained import load_tokenizer
        from bertft_helpers.runtime import peak_memory_mb

        news, path = select_view(load_texts("news"), "headline+lead"), Path(sys.argv[1])
        texts, labels = list(news["text"]), list(news["label"])
        with path.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["text", "label"])
            for row in range(200_000):
                table.writerow([f"{texts[row % len(texts)]} {row // len(texts)}", labels[row % len(texts)]])
        del news, texts, labels
        loaded = load_texts(path)
        parts = split(clean(loaded).kept, seed=0)
        encoded = [encode_dataset(part, load_tokenizer(), max_length=128) for part in parts.values()]
        print(json.dumps({"rows": len(loaded), "encoded": sum(map(len, encoded)), "megabytes": peak_memory_mb()}))
        """,
        tmp_path / "large.csv",
    )
    assert found["rows"] == 200_000
    assert 180_000 < found["encoded"] <= 200_000  # exact repetitions are removed
    assert found["megabytes"] < 3_000
    report("texts loaded, cleaned, split and encoded within 3 GB", f"{found['rows']:,}")


@pytest.mark.thorough
def test_five_thousand_texts_of_any_length_are_predicted_in_order(report: Report) -> None:
    found = measured(
        """
        import json
        import numpy as np
        from bertft_helpers.inference import TextClassifier
        from bertft_helpers.pretrained import load_tokenizer
        from bertft_helpers.runtime import peak_memory_mb
        from minimal import tiny_classifier

        generator, tokenizer = np.random.default_rng(0), load_tokenizer()
        words = ["market", "goal", "vote", "phone", "film", "the", "of", "£5", "naïve", "-"]
        lengths = np.exp(generator.uniform(0, np.log(20_000), 5_000)).round().astype(int)
        lengths[:2] = 1, 20_000
        texts = [" ".join(generator.choice(words, length)) for length in lengths]
        model = tiny_classifier(vocab_size=len(tokenizer), max_position_embeddings=512)
        classifier = TextClassifier(model, tokenizer)
        predictions = classifier.predict(texts)
        rows = [0, 1, 2, 4_999]
        alone = [classifier.predict([texts[row]])[0].probability for row in rows]
        print(json.dumps({
            "count": len(predictions),
            "difference": max(abs(predictions[row].probability - p) for row, p in zip(rows, alone)),
            "longest": int(lengths.max()),
            "megabytes": peak_memory_mb(),
        }))
        """
    )
    assert found["count"] == 5_000
    assert found["longest"] == 20_000
    assert found["difference"] < 1e-5
    assert found["megabytes"] < 3_000
    report("texts of 1 to 20,000 words predicted in one call", f"{found['count']:,}")


@pytest.mark.parametrize("epochs", [40, pytest.param(200, marks=pytest.mark.thorough)])
def test_thousands_of_steps_keep_memory_flat(epochs: int, report: Report) -> None:
    found = measured(
        """
        import json, os, sys
        import torch
        from bertft_helpers.config import TrainConfig
        from bertft_helpers.optim import build_optimizer
        from bertft_helpers.training import fit
        from minimal import tiny_classifier, tiny_loader

        def resident():
            with open(f"/proc/{os.getpid()}/statm") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

        model, train, validation = tiny_classifier(), tiny_loader(400, 4), tiny_loader(8, 8)
        config = TrainConfig(epochs=int(sys.argv[1]))
        optimizer, schedule = build_optimizer(model, 1e-3, len(train) * config.epochs)
        sizes = []
        note = lambda row: sizes.append(resident())
        fit(model, train, validation, optimizer, schedule, config, on_epoch=note)
        print(json.dumps({"steps": len(train) * config.epochs, "early": sizes[19], "late": max(sizes[-20:])}))
        """,
        epochs,
    )
    assert found["steps"] == 100 * epochs
    assert found["late"] / found["early"] < 1.02, found
    if epochs == 200:
        report("training steps with flat memory (growth under 2 %)", f"{found['steps']:,}")
