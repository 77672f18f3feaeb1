"""Answers only where a model is sure enough: a limit for a wished precision, chosen on the validation texts.

The model's folder keeps how sure the model was of each validation text and whether it was right, so that a precision
can be wished for whenever texts are predicted.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import binomtest

from bertft_helpers.errors import DamagedFileError, MissingError, UserError
from bertft_helpers.evaluation import Predictions
from bertft_helpers.inference import Classifier, Prediction
from bertft_helpers.own_texts.around import Around

__all__ = [
    "ABSTAIN",
    "ANSWERS",
    "FEWEST_ANSWERS",
    "WISHES",
    "Abstaining",
    "Answers",
    "Rule",
    "answers_file",
    "answers_of",
    "choose_rule",
    "precision_interval",
    "read_answers",
    "share_answered",
    "wishes_met",
]

ABSTAIN = "abstain"
ANSWERS = "validation_answers.json"
WISHES = (0.9, 0.95, 0.99)  # that a report tells of
FEWEST_ANSWERS = 10  # on validation texts: a share of fewer says nothing


class Answers(NamedTuple):
    """How sure a model was of each validation text and whether it was right, both ``[texts]``."""

    sure: np.ndarray
    right: np.ndarray


class Rule(NamedTuple):
    """Answer from a probability of ``limit`` on.

    Of ``texts`` validation texts ``answered`` lie there; ``precision`` is the share of these that is right, and
    ``interval`` its 95 % interval (Clopper and Pearson 1934), which knows nothing of the choice of the limit.
    """

    wished: float
    limit: float
    texts: int
    answered: int
    precision: float
    interval: tuple[float, float]

    def told(self) -> str:
        """The rule and what it stands on, in a sentence or two."""
        low, high = self.interval
        doubt = f"; new texts may well get less than {self.wished:g}" if low < self.wished else ""
        return (
            f"below a probability of {self.limit:.3f} the answer is {ABSTAIN!r}: from there on {self.precision:.3f} of "
            f"the answers to validation texts were right (95 % interval {low:.3f} to {high:.3f}{doubt}), of "
            f"{self.answered} answered texts out of {self.texts}"
        )


def answers_of(validation: Predictions) -> Answers:
    """What is kept of predictions that have the temperature already."""
    return Answers(validation.probabilities.max(axis=1), validation.classes == validation.labels)


def answers_file(answers: Answers) -> bytes:
    """The content of the file ``ANSWERS``."""
    return json.dumps({"sure": answers.sure.tolist(), "right": answers.right.tolist()}).encode("ascii")


def read_answers(folder: Path) -> Answers:
    """What is kept in a model's folder. Raises MissingError, and DamagedFileError."""
    path = folder / ANSWERS
    if not path.is_file():
        raise MissingError(
            f"{folder} does not say how sure its model was of validation texts ({ANSWERS} missing), so no precision "
            "can be wished for: train it with bertft train"
        )
    try:
        content = json.loads(path.read_text(encoding="ascii"))
        answers = Answers(np.array(content["sure"], dtype=float), np.array(content["right"], dtype=bool))
        if answers.sure.ndim != 1 or answers.sure.shape != answers.right.shape:
            raise ValueError("two lists of one length are needed")
        return answers
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedFileError(f"{path} is damaged ({error}): copy the whole folder again") from error


def choose_rule(answers: Answers, wished: float) -> Rule:
    """The rule that answers most texts of those whose answers to validation texts are right as often as ``wished``.

    Raises UserError for a wish outside of 0 to 1, and for one that no limit with ``FEWEST_ANSWERS`` answers fulfils.
    """
    if not 0 < wished <= 1:
        raise UserError(f"the wished precision is {wished!r}; it must be above 0 and at most 1, such as 0.95")
    order = np.argsort(-answers.sure, kind="stable")
    sure, right = answers.sure[order], answers.right[order]
    counts = np.arange(1, len(sure) + 1)
    precision = right.cumsum() / counts  # of the first, the first two …
    ends = np.append(sure[:-1] > sure[1:], True)  # texts of one probability are answered together, or none of them
    possible = np.flatnonzero(ends & (counts >= FEWEST_ANSWERS))
    fulfilling = possible[precision[possible] >= wished]
    if not len(fulfilling):
        raise UserError(_out_of_reach(wished, len(sure), precision[possible], counts[possible]))
    last = int(fulfilling.max())
    limit = 0.0 if last == len(sure) - 1 else float(sure[last] + sure[last + 1]) / 2
    hits = int(right[: last + 1].sum())
    return Rule(wished, limit, len(sure), last + 1, float(precision[last]), precision_interval(hits, last + 1))


def wishes_met(validation: Answers, test: Predictions) -> list[dict[str, Any]]:
    """The rule for each of ``WISHES`` that can be fulfilled, ready for JSON, with what it comes to on test texts.

    ``test`` has the temperature already.
    """
    sure, right = answers_of(test)
    found = []
    for wished in WISHES:
        with contextlib.suppress(UserError):  # out of reach
            rule = choose_rule(validation, wished)
            found.append({**rule._asdict(), "test": share_answered(right, sure >= rule.limit)})
    return found


def share_answered(right: np.ndarray, answered: np.ndarray) -> dict[str, Any]:
    """How many texts get an answer, the share of all, and the share of these that is right, with its 95 % interval."""
    count, hits = int(answered.sum()), int(right[answered].sum())
    return {
        "texts": count,
        "coverage": count / len(right),
        "precision": hits / count if count else None,
        "precision_interval": precision_interval(hits, count) if count else None,
    }


def _out_of_reach(wished: float, texts: int, precision: np.ndarray, counts: np.ndarray) -> str:
    if not len(precision):
        return f"only {texts} validation texts say how sure the model was, at least {FEWEST_ANSWERS} are needed"
    best = int(precision.argmax())
    return (
        f"a precision of {wished:g} cannot be reached: on the {texts} validation texts the best share of right answers "
        f"was {precision[best]:.3f}, among the {counts[best]} surest. Wish for less, or train on more texts"
    )


def precision_interval(hits: int, answered: int) -> tuple[float, float]:
    """The exact 95 % interval of a share (Clopper and Pearson 1934)."""
    low, high = binomtest(hits, answered).proportion_ci(method="exact")
    return float(low), float(high)


class Abstaining(Around[Classifier]):
    """A classifier that answers ``ABSTAIN`` where it is not sure enough; the probabilities stay as they are."""

    def __init__(self, classifier: Classifier, rule: Rule) -> None:
        if ABSTAIN in classifier.label_names:
            raise UserError(f"a class is called {ABSTAIN!r}, as no answer is: rename it, and train anew")
        super().__init__(classifier)
        self.rule = rule
        self.notes.append(rule.told())

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction per text, with ``ABSTAIN`` for the label below the limit."""
        found = self.classifier.predict(texts)
        return [one if one.probability >= self.rule.limit else one._replace(label=ABSTAIN) for one in found]
