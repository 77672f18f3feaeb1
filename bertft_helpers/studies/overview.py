"""What the stored studies are and what they cost: the text of ``notebooks/results/README.md``."""

from __future__ import annotations

from bertft_helpers.studies.catalogue import STUDIES, stored_results
from bertft_helpers.studies.experiments import Study
from bertft_helpers.studies.families import FAMILIES, find_family, verdicts_of
from bertft_helpers.studies.winning import DECIDING, winning_change

__all__ = ["studies_text"]

_INTRODUCTION = """# The stored studies

Every row is one run: its settings, its seed and what was measured. `bertft study NAME` runs what is missing, and a test
runs some rows of each study again. "Families" are the contrasts that a study was made for, named before looking
(`studies.families`). The runs were made on AMD EPYC processors; the first line of each file holds the settings, the
number format among them.

This file is written by `bertft map`.

| study | runs | seeds | processor minutes | families |
|---|---|---|---|---|
"""
_DEFAULTS = """
## What `bertft train` does by itself

In `defaults` every run learns as `bertft train` does, with a third as many further texts to choose the best epoch by.
The default would change to what lies above it for the fewest texts of each task and below it nowhere
(`studies.winning`). The rule is older than the rows. The mean came first: behind with 50 headlines, it could not hold
any more and was not tried on the other task. The other two changes joined the family after it, before their own rows.
`further_defaults` came last, for what many texts may decide otherwise, and for class weights: they change nothing where
classes are even, so the largest class has 16 times the texts of the smallest there. Their scores are those expected of
texts that are as uneven.

{tried}
{follows}

Two other candidates have their answers in older studies: rates that fall from layer to layer, and frozen lower layers.

{elsewhere}"""
_TRIED_ELSEWHERE = {"learning_rates": "decay", "small_data": "3 layers frozen", "frozen_and_longer": "3 layers frozen"}


def studies_text() -> str:
    """One line for each stored study with the processor time of its training, and the sum of all."""
    lines, minutes = [], 0.0
    for study in STUDIES.values():
        spent = _minutes(study)
        minutes += spent
        families = ", ".join(family.name for family in FAMILIES.values() if family.study == study.name)
        runs = len(study.cells) * len(study.seeds)
        lines.append(f"| {study.name} | {runs} | {len(study.seeds)} | {spent:.0f} | {families or '–'} |\n")
    total = f"\nAll studies together took {minutes / 60:.1f} hours of processor time for training alone.\n"
    return _INTRODUCTION + "".join(lines) + total + _on_defaults()


def _on_defaults() -> str:
    """What the study of ``bertft train``'s defaults found, and what other studies say of them."""
    tried = "".join(
        f"- {f'macro F1, {verdict}' if find_family(family).value == 'macro_f1' else verdict}\n"
        for family in DECIDING
        for verdict in verdicts_of(family)
    )
    change = ", ".join(f"{name} {value}" for name, value in winning_change().items())
    follows = f"So it changed: {change}." if change else "No change did so: `bertft train` stays as it was."
    elsewhere = "".join(
        f"- `{name}`: {verdict}\n"
        for name, about in _TRIED_ELSEWHERE.items()
        for verdict in verdicts_of(name)
        if about in verdict.first
    )
    return _DEFAULTS.format(tried=tried, follows=follows, elsewhere=elsewhere)


def _minutes(study: Study) -> float:
    """Of all runs. The patience values of ``early_stopping`` read one run, whose longest value counts."""
    rows = stored_results(study.name)
    if "patience" in study.factors:
        rows = rows[rows["patience"] == rows["patience"].max()]
    return float(rows["seconds"].sum()) / 60
