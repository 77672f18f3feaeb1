"""Lesson 13 writes out the order of the batches and the loader."""

from typing import Any

from graduation import Case, Functions

from bertft_helpers.batching import EncodedTexts

LENGTHS = [3 + (row * 7) % 11 for row in range(47)]  # 47 texts: the last batch of five is short
EXAMPLES = EncodedTexts([[101, *range(1, length - 1), 102] for length in LENGTHS], [row % 3 for row in range(47)])


def batch_order(functions: Functions) -> Any:
    orders = []
    for seed in (None, 0, 1):
        for window in (1, 4, 50):
            sampler = functions["BucketBatchSampler"](LENGTHS, 5, seed, window=window)
            first = list(sampler)
            sampler.set_epoch(1)
            orders.append([len(sampler), first, list(sampler)])
    return orders


def loaded(functions: Functions) -> Any:
    shuffled = functions["make_loader"](EXAMPLES, 5, seed=3, pad_id=9)
    shuffled.batch_sampler.set_epoch(2)
    return [list(shuffled), list(functions["make_loader"](EXAMPLES, 4))]


CASES = [
    Case(
        "batching.BucketBatchSampler",
        batch_order,
        mutants={
            "every epoch has the same order": (" + self.epoch)", ")"),
            "the seed counts for nothing": ("self.seed * 1_000_003 + ", ""),
            "seeds and epochs run into each other": ("self.seed * 1_000_003", "self.seed"),
            "batches go from short to long": ("[batches[position] for position in order]", "batches"),
            "texts of any length in a batch": ("rows[torch.argsort(self.lengths[rows], stable=True)]", "rows"),
            "the short last batch is not counted": (
                "-(-len(self.lengths) // self.batch_size)",
                "len(self.lengths) // 5",
            ),
            "the window is ignored": ("shuffled.split(self.window * self.batch_size)", "[shuffled]"),
            "evaluation is shuffled": ("torch.arange(len(self.lengths))", "torch.randperm(len(self.lengths))"),
        },
    ),
    Case(
        "batching.make_loader",
        loaded,
        mutants={
            "the seed is not passed on": ("batch_size, seed)", "batch_size, None)"),
            "the padding id is not passed on": ("partial(pad_batch, pad_id=pad_id)", "pad_batch"),
        },
    ),
]
