"""Baselines: what each can learn, what it leaves alone, and which of several settings it takes."""

from __future__ import annotations

import numpy as np
import torch
from minimal import parameters_of, tiny_encoder, tiny_examples

from bertft_helpers.batching import EncodedTexts
from bertft_helpers.own_texts import baselines


def texts_by_class(count: int, seed: int) -> EncodedTexts:
    """Texts of thirty tokens, drawn from the four that belong to the text's class."""
    generator = np.random.default_rng(seed)
    labels = [row % 3 for row in range(count)]
    return EncodedTexts(
        [[2, *(5 + 4 * label + generator.integers(4, size=30)).tolist(), 3] for label in labels], labels
    )


def test_frozen_features_tell_apart_what_an_untouched_encoder_tells_apart() -> None:
    encoder = tiny_encoder(initializer_range=0.5).train()
    before = parameters_of(encoder)
    examples = {part: texts_by_class(60, seed) for seed, part in enumerate(("train", "validation", "test"))}
    found = baselines.frozen_features(encoder, examples)
    assert (found.predictions == examples["test"].labels).mean() > 0.9
    assert encoder.training
    assert all(torch.equal(before[name], tensor) for name, tensor in parameters_of(encoder).items())


def test_of_equally_good_strengths_the_simplest_model_is_taken() -> None:
    easy = EncodedTexts([[2, *[5 + label] * 9, 3] for label in (0, 1, 2)] * 20, [0, 1, 2] * 20)
    found = baselines.frozen_features(tiny_encoder(), dict.fromkeys(("train", "validation", "test"), easy))
    assert found.predictions.tolist() == easy.labels
    assert found.method.endswith("C=0.01")  # as good as 0.1 and 1


def test_frozen_features_are_computed_in_the_precision_of_the_run() -> None:
    encoder, found = tiny_encoder(), set()
    encoder.encoder.layer[0].intermediate.dense.register_forward_hook(lambda _, __, output: found.add(output.dtype))
    examples = dict.fromkeys(("train", "validation", "test"), tiny_examples())
    predictions = baselines.frozen_features(encoder, examples, "bfloat16").predictions
    assert found == {torch.bfloat16}
    assert len(predictions) == len(tiny_examples())
