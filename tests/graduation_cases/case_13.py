"""Lesson 13: the order of batches, and the loader."""

from typing import Any

from graduation import Case, Functions
from tiny import tiny_examples

LENGTHS = [(7 * row) % 23 + 3 for row in range(230)]


def batches(functions: Functions) -> Any:
    found = []
    for seed in (0, 1, None):
        sampler = functions["BucketBatchSampler"](LENGTHS, 4, seed, window=3)
        for epoch in (0, 1):
            sampler.set_epoch(epoch)
            found.append((len(sampler), list(sampler)))
    return found


def loaded(functions: Functions) -> Any:
    loaders = (
        functions["make_loader"](tiny_examples(), 4, seed=2),
        functions["make_loader"](tiny_examples(), 5, pad_id=9),
    )
    return [list(loader) for loader in loaders]


CASES = [
    Case(
        "batching.BucketBatchSampler",
        batches,
        {
            "the same order each epoch": ("+ self.epoch", ""),
            "batches not shuffled": ("batches[position] for position in order", "batch for batch in batches"),
            "short batch not counted": (
                "-(-len(self.lengths) // self.batch_size)",
                "len(self.lengths) // self.batch_size",
            ),
            "ties in any order": (
                "torch.argsort(self.lengths[rows], stable=True)",
                "torch.argsort(-self.lengths[rows])",
            ),
        },
    ),
    Case(
        "batching.make_loader",
        loaded,
        {
            "the seed forgotten": ("batch_size, seed)", "batch_size, 0)"),
            "padded with zero": ("pad_batch(rows, pad_id)", "pad_batch(rows)"),
        },
    ),
]
