"""Processes for tests that are forked from one that has imported the libraries: they begin in a moment.

An import of torch and transformers takes four seconds of processor time, and many tests want a process of their own.
The process that is forked has imported and done nothing: it has none of the threads that a fork does not copy.
"""

from __future__ import annotations

import multiprocessing

READY = multiprocessing.get_context("forkserver")
READY.set_forkserver_preload(
    [
        *("bertft_helpers.own_texts.run", "bertft_helpers.own_texts.trained", "matplotlib.pyplot"),
        *("bertft_helpers.series.execute.outcomes", "bertft_helpers.series.teach.workshop", "nbconvert"),
        *("IPython.core.interactiveshell", "bertft_helpers.batching", "datasets", "sklearn.linear_model"),
    ]
)
