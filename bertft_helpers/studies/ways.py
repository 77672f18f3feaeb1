"""How the runs of a study are made: as its results file began, or else as this machine is quickest."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bertft_helpers.speed.choice import Choice, in_words
from bertft_helpers.studies.experiments import Study
from bertft_helpers.studies.rows import stored_settings

__all__ = ["WAY", "in_the_way_of"]

WAY = ("precision", "masks", "first_token")  # settings of a recipe that change speed, draws and last digits


def in_the_way_of(path: Path, study: Study, here: Choice, say: Callable[[str], None] = print) -> Study:
    """The study with all runs made as the rows in ``path`` were; where there are none, as ``here``, this machine's way.

    A study that compares ways stays as it is. Says which way it is, and what this machine would take if that differs.
    """
    if not set(WAY) <= set(study.settings):
        return study
    quick = {"precision": here.precision, "masks": here.dropout, "first_token": here.first_token}
    begun = stored_settings(path)
    way = {name: (quick if begun is None else begun).get(name, study.settings[name]) for name in WAY}
    say(f"runs in {in_words(here)}" if begun is None else _gone_on(way, here))
    return dataclasses.replace(
        study, settings={**study.settings, **way}, measure=functools.partial(study.measure, **way)
    )


def _gone_on(way: Mapping[str, Any], here: Choice) -> str:
    begun = in_words(Choice(way["precision"], way["masks"], way["first_token"]))
    other = in_words(dataclasses.replace(here, gain=1.0))
    return f"runs in {begun}, as this study began" + (f"; this machine by itself: {other}" if begun != other else "")
