"""How far a classifier's probabilities can be trusted: its temperature, and below what it should leave the answer to a
person. Both are chosen on validation texts; what they are worth is measured on test texts.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bertft_helpers.evaluation import Predictions
from bertft_helpers.metrics import expected_calibration_error, fit_temperature

__all__ = [
    "FEWEST_MISTAKES",
    "Abstention",
    "Calibration",
    "abstain_below",
    "calibrate",
    "choose_limit",
    "choose_temperature",
    "error_by_luck",
    "log_loss",
    "with_temperature",
]

FEWEST_MISTAKES = 5  # on validation texts: fewer say next to nothing about how sure a wrong answer is


class Calibration(NamedTuple):
    """A temperature and what it does on test texts.

    ``expected_error`` (ECE) and ``log_loss`` (nats) are with the temperature, ``..._as_trained`` without;
    ``error_by_luck`` is the ECE that perfectly honest probabilities exceed in one of 20 samples of so many texts.
    """

    temperature: float
    expected_error: float
    expected_error_as_trained: float
    error_by_luck: float
    log_loss: float
    log_loss_as_trained: float


class Abstention(NamedTuple):
    """What leaving every answer below ``limit`` to a person does to ``texts`` test texts.

    ``answered`` is the share that the model answers, ``right`` the share of these that is right, and
    ``right_below`` the same for those that a person gets. A share of no texts is 0.
    """

    limit: float
    texts: int
    answered: float
    right: float
    right_below: float


def choose_temperature(validation: Predictions) -> float:
    """The temperature fitted on validation texts; 1 where the model makes fewer than ``FEWEST_MISTAKES`` on them.

    Without mistakes the best fit to the texts is to be as sure as can be, which no new text would bear out.
    """
    mistakes = int((validation.classes != validation.labels).sum())
    return fit_temperature(validation.logits, validation.labels) if mistakes >= FEWEST_MISTAKES else 1.0


def with_temperature(predictions: Predictions, temperature: float) -> Predictions:
    """The same answers, with probabilities that are flatter (above 1) or steeper (below 1)."""
    return dataclasses.replace(predictions, logits=predictions.logits / temperature)


def calibrate(test: Predictions, temperature: float) -> Calibration:
    """What a temperature does on test texts; ``test`` holds the logits as the model gives them."""
    mended = with_temperature(test, temperature)
    error, as_trained = (expected_calibration_error(own.labels, own.probabilities) for own in (mended, test))
    return Calibration(
        temperature, error, as_trained, error_by_luck(mended.probabilities), log_loss(mended), log_loss(test)
    )


def log_loss(predictions: Predictions) -> float:
    """The mean of -ln(probability of the true label), in nats."""
    shifted = predictions.logits - predictions.logits.max(axis=1, keepdims=True)
    true = shifted[np.arange(len(shifted)), predictions.labels]
    return float((np.log(np.exp(shifted).sum(axis=1)) - true).mean())


def error_by_luck(probabilities: NDArray[np.floating], draws: int = 500, bins: int = 10) -> float:
    """The ECE that perfectly honest ``probabilities`` ``[texts, labels]`` exceed in one sample of 20.

    Which answers are right is drawn as often as the probabilities say. An ECE below it may be luck alone.
    """
    sure = probabilities.max(axis=1)
    bin_of = np.minimum((sure * bins).astype(int), bins - 1)
    right = np.random.default_rng(0).random((draws, len(sure))) < sure
    surplus = np.stack([(sure - right)[:, bin_of == own].sum(axis=1) for own in range(bins)])  # [bins, draws]
    return float(np.quantile(np.abs(surplus).sum(axis=0) / len(sure), 0.95))


def choose_limit(validation: Predictions) -> float | None:
    """The lowest hundredth from which on answers are wrong at most half as often as all answers; None without one.

    None too where the model makes fewer than ``FEWEST_MISTAKES`` mistakes: there is too little to choose by.
    """
    sure, wrong = validation.probabilities.max(axis=1), validation.classes != validation.labels
    if wrong.sum() < FEWEST_MISTAKES:
        return None
    for limit in np.arange(1, 100) / 100:
        answered = sure >= limit
        if answered.any() and wrong[answered].mean() <= wrong.mean() / 2:
            return float(limit)
    return None


def abstain_below(limit: float, test: Predictions) -> Abstention:
    """What a limit does on test texts, whose probabilities have the temperature already."""
    answered, right = test.probabilities.max(axis=1) >= limit, test.classes == test.labels
    shares = (float(right[chosen].mean()) if chosen.any() else 0.0 for chosen in (answered, ~answered))
    return Abstention(limit, len(right), float(answered.mean()), *shares)
