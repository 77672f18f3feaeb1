"""The last line of every lesson's set-up cell: names a transformers that nobody has tried, describes a hosted machine.

Elsewhere it does nothing, and quickly: what the set-up cell imports must not load torch.
"""

from __future__ import annotations

import functools
import os
from importlib import metadata

from packaging.version import Version

from bertft_helpers.series import tested

__all__ = ["HOSTED", "untried_transformers", "welcome"]

HOSTED = {"COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE"}  # environment variables of the hosted notebooks


def welcome(lesson: str) -> None:
    """Introduce the lesson called ``19`` where the notebook is hosted; say once what was not tried."""
    _name_untried()
    if not HOSTED.isdisjoint(os.environ):
        from bertft_helpers.series.hosted import introduce

        introduce(lesson)


@functools.cache  # once in a kernel, however often the cell is run
def _name_untried() -> None:
    if sentence := untried_transformers(_installed()):
        print(sentence)


def untried_transformers(found: str | None) -> str:
    """What to expect of a version with which no lesson was executed; empty for one between those that were.

    The third number of a version does not count, and a missing package is for others to name.
    """
    oldest, newest = tested.TRANSFORMERS
    minor = Version(found).release[:2] if found else Version(oldest).release
    if Version(oldest).release <= minor <= Version(newest).release:
        return ""
    age = "newer" if minor > Version(newest).release else "older"
    return (
        f"transformers {found} is {age} than those that the lessons were run with ({oldest} to {newest}): where a cell "
        f'fails or shows something else, try %pip install "transformers=={newest}.*", then restart the kernel.'
    )


def _installed() -> str | None:
    try:
        return metadata.version("transformers")
    except metadata.PackageNotFoundError:
        return None
