"""What a trained classifier is for: scoring labelled texts and labelling others, from the folder of its run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from bertft_helpers.errors import MissingError, UserError
from bertft_helpers.files import read_json
from bertft_helpers.inference import Classifier, TextClassifier
from bertft_helpers.own_texts import labelling
from bertft_helpers.own_texts.abstaining import Abstaining, choose_rule, read_answers
from bertft_helpers.own_texts.counted_words import CountedWords, holds_counted_words
from bertft_helpers.own_texts.explaining import EXPLAINED, Explaining, cost_of, explainer_of
from bertft_helpers.own_texts.familiarity import UNFAMILIAR, Flagging, read_familiar
from bertft_helpers.own_texts.folder import MODEL, Say
from bertft_helpers.own_texts.onnx_model import holds_onnx, open_onnx
from bertft_helpers.own_texts.scores import score_texts
from bertft_helpers.own_texts.several.classifier import ONE_LABEL_ONLY, SeveralLabels, gives_several
from bertft_helpers.own_texts.several.explaining import ExplainingLabels, explainer_of_labels
from bertft_helpers.own_texts.several.scoring import score_several
from bertft_helpers.own_texts.several.sources import read_several
from bertft_helpers.own_texts.sources import load_source
from bertft_helpers.reading.label_lists import LabelLists
from bertft_helpers.reading.report import FOUND_OUT, Format, Reading
from bertft_helpers.runtime import pick_device
from bertft_helpers.speed.choice import find_choice, require_precision, use_process
from bertft_helpers.speed.throughput import quick_attention

__all__ = ["COLUMNS", "IN_16_BITS", "Trained", "evaluate_file", "label_file", "lists_in", "open_trained"]

COLUMNS = "columns.json"  # in a folder that stands without a run: what training was told of its columns
IN_16_BITS = (
    "predicted in {precision}: probabilities differ from those of float32, mostly in the third digit, and a text "
    "between two classes may get the other one"
)


class Trained(NamedTuple):
    """A classifier and the columns that it was trained on."""

    classifier: Classifier | SeveralLabels
    text_column: str
    label_column: str
    lists: LabelLists | None = None  # of a run with several labels: how its table said them


def open_trained(
    folder: str | Path,
    device: str | None = None,
    precision: str = "float32",
    min_precision: float | None = None,
    flag_unfamiliar: bool = False,
    explain: bool = False,
) -> Trained:
    """The classifier in a run's folder, or in a model folder; columns are ``text`` and ``label`` where none are known.

    It predicts in batches of the size that is quick on this machine, and in ``precision``; with ``min_precision`` it
    abstains where it is not sure enough for that share of right answers (``abstaining.choose_rule``), with
    ``flag_unfamiliar`` its predictions tell of texts that are far from those of training, with ``explain`` of the words
    that carried the answer (``explaining``). Raises MissingError for a run without a model and for what such wishes
    need, UserError for a model that cannot be explained, RunError for a damaged ``run.json`` and for a precision that
    gives wrong numbers here.
    """
    folder = Path(folder)
    inner = folder / MODEL
    if (folder / "run.json").is_file() and not inner.is_dir():
        why = "its model is gone" if (folder / "results.json").is_file() else "it is not finished"
        raise MissingError(f"the run in {folder} has no model: {why}; call bertft train with --out {folder} again")
    model = inner if inner.is_dir() else folder
    saved = _saved(model)
    columns = str(saved.get("text_column", "text")), str(saved.get("label_column", "label"))
    if model.is_dir() and gives_several(model):
        wishes = {"--min-precision": min_precision is not None, "--flag-unfamiliar": flag_unfamiliar}
        if asked := [option for option, wished in wishes.items() if wished]:
            raise UserError(ONE_LABEL_ONLY.format(asked=" and ".join(asked), folder=folder))
        several = _open_several(model, device, precision)
        return Trained(_explaining(several) if explain else several, *columns, lists_in(saved))
    rule = None if min_precision is None else choose_rule(read_answers(model), min_precision)
    familiar = read_familiar(model) if flag_unfamiliar else None
    classifier = model_inside = _open(model, device, precision)
    explainer = explainer_of(classifier) if explain else None
    if familiar is not None:
        assert isinstance(classifier, TextClassifier)  # others keep nothing of their texts
        classifier = Flagging(classifier, familiar)
    if explainer is not None:
        classifier = Explaining(classifier, explainer)
        classifier.notes.append(cost_of(model_inside))
    if rule is not None:
        classifier = Abstaining(classifier, rule)
    return Trained(classifier, *columns)


def _saved(model: Path) -> dict[str, Any]:
    """What training was told of the columns, as it stands in a model folder or in the run around it."""
    known = [path for path in (model / COLUMNS, model.parent / "run.json") if path.is_file()]
    return read_json(known[0], "move it away, and name the columns (--text, --label)") if known else {}


def lists_in(run: Mapping[str, Any]) -> LabelLists:
    """How a run's table says the labels of texts that have several, from what was saved of it."""
    said = run.get("several") or {}
    columns = said.get("columns")
    return LabelLists(said.get("separator"), columns and tuple(columns))


def _open(model: Path, device: str | None, precision: str) -> Classifier:
    if holds_counted_words(model):
        return _open_counted_words(model, precision)
    chosen = pick_device(device)
    if holds_onnx(model):
        return open_onnx(model, precision)
    classifier = TextClassifier.load(model, chosen, precision=precision)
    _make_quick(classifier, chosen, precision)
    return classifier


def _open_several(model: Path, device: str | None, precision: str) -> SeveralLabels:
    if holds_counted_words(model):
        _refuse_precision(model, precision)
        return SeveralLabels.load(model)
    chosen = pick_device(device)
    classifier = SeveralLabels.load(model, chosen, precision)
    assert isinstance(classifier.classifier, TextClassifier)
    if not holds_onnx(model):
        _make_quick(classifier.classifier, chosen, precision)
    return classifier


def _explaining(several: SeveralLabels) -> SeveralLabels:
    explaining = ExplainingLabels(several, explainer_of_labels(several.classifier))
    explaining.notes.append(cost_of(several.classifier))
    return explaining


def _make_quick(classifier: TextClassifier, device: torch.device, precision: str) -> None:
    require_precision(device, precision)
    if precision != "float32":
        classifier.notes.append(IN_16_BITS.format(precision=precision))
    quick_attention(classifier.model, precision)
    choice = find_choice(device)
    use_process(choice)
    classifier.token_budget = choice.token_budget


def _open_counted_words(model: Path, precision: str) -> CountedWords:
    _refuse_precision(model, precision)
    return CountedWords.load(model)


def _refuse_precision(model: Path, precision: str) -> None:
    if precision != "float32":
        raise UserError(f"precision is {precision!r}, but {model} counts words, which has none: leave it out")


def evaluate_file(
    folder: str | Path,
    source: str | Path,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    several: LabelLists | None = None,
    how: Format = FOUND_OUT,
    device: str | None = None,
    precision: str = "float32",
    min_precision: float | None = None,
    on_note: Say = print,
) -> dict[str, Any]:
    """Score a trained classifier on labelled texts: what ``bertft evaluate`` does. Columns are those of training.

    With ``min_precision`` the answers that it would give have scores of their own, under ``answered``.

    Where a text has several labels they are read as in training, or as ``several`` says. Returns what
    ``scores.score_texts`` or ``several.scoring.score_several`` does. Raises UserError for texts, labels or columns
    that do not fit.
    """
    trained = open_trained(folder, device, precision, min_precision)
    columns = text_column or trained.text_column, label_column or trained.label_column
    if isinstance(trained.classifier, SeveralLabels):
        listed = read_several(str(source), *columns, several or trained.lists or LabelLists(), how)
        _tell(trained.classifier.notes, on_note)
        _tell_reading(listed.reading, on_note)
        return score_several(trained.classifier, listed)
    if several is not None:
        raise UserError(
            f"the model in {folder} gives a text one label: leave out the options for several, or train one with them"
        )
    dataset, reading = load_source(str(source), *columns, how)
    _tell(trained.classifier.notes, on_note)
    _tell_reading(reading, on_note)
    return score_texts(trained.classifier, dataset)


def label_file(
    folder: str | Path,
    source: str | Path,
    out: str | Path | None,
    *,
    text_column: str | None = None,
    how: Format = FOUND_OUT,
    device: str | None = None,
    precision: str = "float32",
    min_precision: float | None = None,
    flag_unfamiliar: bool = False,
    explain: bool = False,
    on_note: Say = print,
    on_rows: Callable[[int], None] = lambda rows: None,
) -> labelling.Labelled:
    """Label every row of a file, however large: what ``bertft predict`` does; see ``labelling.label_file``.

    With ``min_precision`` a row whose label is not sure enough gets ``abstaining.ABSTAIN`` instead; with
    ``flag_unfamiliar`` a further column says whether a text is far from those of training (``familiarity``), with
    ``explain`` another one which words carried the answer (``explaining``).
    """
    trained = open_trained(folder, device, precision, min_precision, flag_unfamiliar, explain)
    _tell(trained.classifier.notes, on_note)
    out = None if out is None else Path(out)
    column = text_column or trained.text_column
    further = [name for name, asked in {UNFAMILIAR: flag_unfamiliar, EXPLAINED: explain}.items() if asked]
    done = labelling.label_file(trained.classifier, str(source), out, column, on_rows, how, further)
    _tell_reading(done.reading, on_note)
    return done


def _tell(notes: Sequence[str], on_note: Say) -> None:
    for note in notes:
        on_note(f"note: {note}")


def _tell_reading(reading: Reading, on_note: Say) -> None:
    """How a source was read is always said, as its rows are."""
    on_note(reading.summary())
    _tell(reading.notes, on_note)
