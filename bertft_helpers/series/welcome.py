"""The last line of every lesson's set-up cell: on Colab and Kaggle it says what the lesson will run on.

Elsewhere it does nothing, and quickly: what the set-up cell imports must not load torch.
"""

from __future__ import annotations

import os

HOSTED = {"COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE"}  # environment variables of the hosted notebooks


def welcome(lesson: str) -> None:
    """Introduce the lesson called ``19`` where the notebook is hosted."""
    if not HOSTED.isdisjoint(os.environ):
        from bertft_helpers.series.hosted import introduce

        introduce(lesson)
