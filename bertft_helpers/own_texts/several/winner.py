"""Which method a run with several labels keeps as its model: what does best on validation texts, or what is asked."""

from __future__ import annotations

from collections.abc import Sequence

from bertft_helpers.own_texts.settings import BEST
from bertft_helpers.own_texts.several.baselines import Method
from bertft_helpers.own_texts.several.dividing import Targets
from bertft_helpers.own_texts.several.scores import compare_sets
from bertft_helpers.own_texts.winner import ASKED, FINE_TUNED, Winner, told
from bertft_helpers.several_labels import f1_scores


def choose_method(validation: Targets, tuned: Method, savable: Sequence[Method], keep: str = BEST) -> Winner:
    """The method to save by its answers to the validation texts, whose labels are ``validation``.

    A baseline is taken where fine-tuning, ``tuned``, is worse than it by ``scores.compare_sets``, the rule by which the
    report judges; of several the one with the highest micro F1. The thresholds of all were chosen on the same texts.
    """
    if asked := ASKED[keep]:
        return Winner(asked, f"The model that is saved is {told(asked)}, as --keep {keep} asks.")
    answers = {one.name: one.answers["validation"] for one in (tuned, *savable)}
    f1 = {name: f1_scores(validation, own).micro for name, own in answers.items()}
    compared = {one.name: compare_sets(validation, tuned.answers["validation"], answers[one.name]) for one in savable}
    better = [name for name, found in compared.items() if found.outcome == "worse"]
    best = max(better or compared, key=lambda name: f1[name])
    measured = (
        f"on the {len(validation)} validation texts (micro F1 {f1[best]:.3f} against {f1[FINE_TUNED]:.3f} of "
        f"fine-tuning)"
    )
    if better:
        return Winner(best, f"The model that is saved is {told(best)}: it did better {measured}.")
    return Winner(
        FINE_TUNED, f"The model that is saved is {told(FINE_TUNED)}: {told(best)} did not do clearly better {measured}."
    )
