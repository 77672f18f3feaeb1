"""What a run on your own texts was asked to do, what follows from that, what can be asked for."""

from __future__ import annotations

import dataclasses
import math

from bertft_helpers.batching import POLICIES
from bertft_helpers.config import PRECISIONS, TrainConfig
from bertft_helpers.errors import UserError
from bertft_helpers.reading.label_lists import LabelLists
from bertft_helpers.reading.report import FOUND_OUT, Format

__all__ = [
    "BEST",
    "FEWEST_EPOCHS",
    "KEEPS",
    "LARGEST_SEED",
    "LENGTHS",
    "MOST_EPOCHS",
    "PATIENCE_EPOCHS",
    "PATIENCE_STEPS",
    "PLANNED_STEPS",
    "RATES",
    "SHARED",
    "USUAL_RATE",
    "WINDOWS",
    "Plan",
    "TaskSettings",
    "plan",
]

RATES = {"bundled": 2e-4}  # on the plateau of the study learning_rates, a little below its best, 3e-4
USUAL_RATE = 3e-5  # Devlin et al. 2019: 5e-5, 3e-5 or 2e-5
FEWEST_EPOCHS, MOST_EPOCHS, PLANNED_STEPS = 3, 15, 3000
PATIENCE_EPOCHS, PATIENCE_STEPS = 2, 40
LENGTHS = (8, 512)  # tokens: fewer say nothing, BERT has no positions for more
WINDOWS = "windows"  # beside batching.POLICIES: nothing is cut
SHARED = 8  # windows share a part of this many with the one before, unless a stride is given
LARGEST_SEED = 2**60  # every generator below takes this many
BEST = "best"
KEEPS = (BEST, "fine-tuned", "frozen-features", "counted-words")


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a run is trained: the loop's settings, the optimizer's, and the patience of early stopping in epochs."""

    config: TrainConfig
    learning_rate: float
    patience: int
    weight_decay: float = 0.01
    warmup_share: float = 0.1


@dataclasses.dataclass(frozen=True)
class TaskSettings:
    """What a run was asked to do. None for ``epochs`` and ``learning_rate`` takes the values of ``plan``.

    Batch 16, a warm-up of a tenth of the steps and the rate of 2e-4 for the bundled checkpoint are those with which the
    study ``small_data`` learned from 5 to 80 texts per class without a failed run. Texts beyond ``max_length`` tokens
    are cut by ``policy``; head and tail did best in Sun et al. 2019. With the policy ``windows`` all of a text is read,
    in windows of ``max_length`` tokens that share ``stride`` (None: an eighth of them). A class with too few texts to
    be in every part is refused unless ``skip_small_classes`` leaves it out. Rows with the same value of
    ``group_column``, such as one story, author or customer, are in one part. Raises UserError naming the setting, its
    value and what is allowed.

    Precision and dropout are what a trial found to be quick on this machine (``speed.choice``), unless ``precision``
    names one or ``exact`` asks for float32 and torch's own dropout. ``keep`` names the method that is saved; ``best``
    is what does best on the validation texts.
    """

    source: str
    text_column: str = "text"
    label_column: str = "label"
    group_column: str | None = None
    checkpoint: str = "bundled"
    max_length: int = 256
    policy: str = "head+tail"
    stride: int | None = None
    class_weights: bool = False
    seed: int = 0
    epochs: int | None = None
    learning_rate: float | None = None
    batch_size: int = 16
    validation: float = 0.2
    test: float = 0.2
    skip_small_classes: bool = False
    precision: str | None = None
    exact: bool = False
    keep: str = BEST
    how: Format = FOUND_OUT  # what is known of the file beforehand
    several: LabelLists | None = None  # where the labels stand of texts that have several; None for one label a text

    def __post_init__(self) -> None:
        whole = f"a whole number from 0 to {LARGEST_SEED}"
        self._require("seed", _is_whole(self.seed, 0, LARGEST_SEED), whole)
        self._require("max_length", _is_whole(self.max_length, *LENGTHS), f"a whole number from {LENGTHS[0]} to 512")
        self._require("batch_size", _is_whole(self.batch_size, 1), "a whole number of at least 1")
        self._require("epochs", self.epochs is None or _is_whole(self.epochs, 1), "a whole number of at least 1")
        rate = self.learning_rate
        self._require("learning_rate", rate is None or 0 < rate < math.inf, "above 0, such as 2e-5 to 5e-4 for BERT")

        self._require_group()
        self._require_reading()
        known = self.precision is None or self.precision in PRECISIONS
        self._require("precision", known, f"one of {', '.join(PRECISIONS)}")
        self._require("keep", self.keep in KEEPS, f"one of {', '.join(KEEPS)}")
        if self.class_weights and self.several is not None:
            raise UserError("class_weights are for classes excluding one another: leave them out with several labels")
        if self.exact and self.precision not in (None, "float32"):
            raise UserError(f"precision is {self.precision!r} and exact is set, which means float32; give one of them")

    @property
    def in_windows(self) -> bool:
        """Whether all of a long text is read."""
        return self.policy == WINDOWS

    def _require_group(self) -> None:
        apart = self.group_column is None or self.group_column not in (self.text_column, self.label_column)
        self._require("group_column", apart, "another column than those of the texts and of the labels")
        if self.group_column is not None and self.several is not None:
            raise UserError("texts with several labels cannot be kept together by group yet: leave --group away")

    def _require_reading(self) -> None:
        self._require("policy", self.policy in (*POLICIES, WINDOWS), f"one of {', '.join((*POLICIES, WINDOWS))}")
        if self.stride is not None and not self.in_windows:
            raise UserError(
                f"stride is {self.stride}, but long texts are cut ({self.policy}) and not read in windows: give "
                f"--long-texts {WINDOWS} too, or leave --stride away"
            )
        at_least = "a whole number of at least 1, the tokens that windows share: what stands at a border is read whole"
        self._require("stride", self.stride is None or _is_whole(self.stride, 1), at_least)

    def _require(self, name: str, holds: bool, allowed: str) -> None:
        if not holds:
            raise UserError(f"{name} is {getattr(self, name)!r}; it must be {allowed}")


def _is_whole(value: object, least: int, most: float = math.inf) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def plan(settings: TaskSettings, train_count: int, precision: str = "float32") -> Plan:
    """How a run is trained.

    15 epochs at most, and fewer (never under 3) where they would make more than 3,000 steps; in the study
    ``early_stopping`` a patience of 2 epochs, there 38 steps, came within 0.003 of never stopping for a third of the
    epochs. Counted in steps it also holds for small data, whose epochs are short: with 5 texts per class 15 epochs did
    far better than 5 in the study ``small_data``. More steps than that for fewer than 100 texts were not surely better
    in the study ``defaults``, nor was another reading of the encoder than its pooler.
    """
    steps = math.ceil(train_count / settings.batch_size)
    usual_epochs = min(MOST_EPOCHS, max(FEWEST_EPOCHS, PLANNED_STEPS // steps))
    epochs = usual_epochs if settings.epochs is None else settings.epochs
    config = TrainConfig(epochs=epochs, precision=precision)
    usual_rate = RATES.get(settings.checkpoint, USUAL_RATE)
    rate = usual_rate if settings.learning_rate is None else settings.learning_rate
    return Plan(config, rate, max(PATIENCE_EPOCHS, math.ceil(PATIENCE_STEPS / steps)))
