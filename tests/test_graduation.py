"""What lessons write out and what the package offers are the same, to the last bit; see ``graduation.py``."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from graduation import (
    NOTEBOOKS,
    Case,
    code_cells,
    defined_names,
    equal,
    find_lesson,
    graduated_names,
    graduates,
    imported_names,
    lesson_functions,
    package_functions,
)
from test_import_order import LEVELS

from bertft_helpers.series.catalogue import NUMBER, find_lessons

PACKAGE = Path(__file__).parents[1] / "bertft_helpers"
CORE = [module for module, level in LEVELS.items() if level <= 3]
INFRASTRUCTURE = {
    "runtime": "the machine: what libraries print and memory they hold, around what lesson 03 writes out",
    "config": "settings",
    "errors": "messages",
    "failures": "checks and messages, and the same batch in halves",
    "first_token": "the same numbers with less work; lesson 24 says what it leaves out",
    "mean_pooled": "lesson 14's mean and lesson 15's frozen encoder, in a format that transformers opens",
    "hub": "downloads, verified, and messages",
    "long_texts": "the tokenizer and the windows of lesson A6, in memory that a whole book does not fill",
    "files": "writing as a whole or not at all, locks, leftovers",
    "tables": "reading files: checks and messages around the modules for each kind",
    "validation": "checks and messages",
    "pretrained": "finding and verifying files, around the two functions that lessons write out",
    "data": "the parts of loading that hold no idea of their own",
}
INFRASTRUCTURE_NAMES = {
    "batching.EncodedTexts": "a list with labels; lesson 13 writes its own",
    "batching.encode_dataset": "encode and truncate in one line",
    "batching.move_batch": "one line",
    "evaluation.Evaluation": "a record",
    "evaluation.Predictions": "a record",
    "training.steps_per_run": "a multiplication",
    "training.make_scaler": "needs a GPU to be shown",
    "training.close_epoch": "a part of fit",
    "models.has_head": "looks into a file",
    "training.switch_weights": "calls a method where there is one",
    "batching.set_epoch": "calls a method where there is one",
    "batching.column_of": "a check and its message",
    "batching.pad_column": "padding once more, for what stands beside the ids",
    "models.build_with_head": "build_classifier for any class with such a head",
    "models.check_names": "a check and its message",
    "regression.Scale": "a record",
    "regression.build_regressor": "build_with_head for one name",
    "several_labels.F1Scores": "a record",
    "several_labels.build_multi_label": "build_with_head, and what its configuration says",
    "several_labels.encode_labelled": "encode, truncate and label_rows in one line",
    "spans.Span": "a record",
    "blanks.Fill": "a record",
    "blanks.encode_blanks": "encode, and a check and its message",
    "masking.MaskedTexts": "mask_pieces for each text, by seed and epoch",
    "masking.build_masked_model": "one line",
    "rouge.Rouge": "a record",
    "spans.SpanScores": "a record",
    "summarizing.check_stories": "checks and their messages",
    "summarizing.encode_sentences": "encode and truncate in one line",
    "summarizing.label_stories": "greedy_labels for each story, after a check",
    "tagging.build_tagger": "one line",
    "tagging.check_tags": "a check and its message",
    "tagging.encode_tagged": "label_pieces for each sentence, after a check",
    "tagging.encode_words": "the tokenizer, and a check and its message",
    "pairs.JoinedPairs": "EncodedTexts with two more columns",
    "pairs.check_lengths": "a check and its message",
    "pairs.check_pairs": "a check and its message",
    "pairs.encode_pairs": "encode for both sides, after a check",
    "pairs.join_pairs": "the tokenizer, after a check",
    "pairs.make_pair_loader": "make_loader with pad_pairs",
    "pairs.refuse_repeated": "a check and its message",
    "similarity.embed": "encode_once and normalize, after a check",
    "similarity.likeness": "predict for joined pairs",
    "similarity.save_bi_encoder": "files for another library",
    "answers.Question": "a record",
    "answers.check_questions": "a check and its message",
    "answers.Answer": "a record",
    "answering.Windows": "EncodedTexts with more columns",
    "answering.build_reader": "one line, around the loading of a model",
    "answering.encode_questions": "the tokenizer and label_window, after a check",
    "optim.check_rate": "a check and its message",
    "history.Step": "a record",
    "metrics.ClassScores": "a record",
    "metrics.Curve": "a record",
    "metrics.Reliability": "a record",
    "inference.Classifier": "what others may ask of a classifier",
    "inference.Prediction": "a record",
    "inference.name_answers": "a list of records",
    "inference.LabelSet": "a record",
    "inference.TextReader": "what both kinds of classifier share",
    "inference.SetClassifier": "what others may ask of a classifier for several labels",
    "inference.mean_over_windows": "lesson A6's mean over the windows of a text, for logits",
    "inference.whole_logits": "lesson 24's batches, of lesson A6's windows",
    "inference.prepare_all": "checks and their messages",
    "inference.require_label_names": "a check and its message",
}
OVERVIEW = "00"  # shows on real texts what the thirty lessons then explain
FROZEN_FEATURES = {"features.encode_once"}  # the quick way to measure what a choice does before anything is trained
HEADLINES = {"data.load_texts", "data.clean", "data.split"}
BORROWED_EARLY = {  # what lessons use before the lesson that writes it out
    "02": {"runtime.set_seeds"},  # two models with the same head
    "03": {"pretrained.load_encoder"},  # something to move and to time
    "04": {*HEADLINES, *FROZEN_FEATURES, "pretrained.load_tokenizer", "batching.encode"},  # pre-trained or random?
    "05": {*HEADLINES, *FROZEN_FEATURES},  # what another tokenizer costs
    "06": {"batching.encode"},  # something to look at inside
    "08": {"data.clean", "data.repair"},  # repetitions must go before a split
    "09": {*FROZEN_FEATURES, "batching.encode"},
    "11": FROZEN_FEATURES,
    "12": FROZEN_FEATURES,
    "14": FROZEN_FEATURES,  # which pooling suits the checkpoint
    "21": {"evaluation.evaluate", "evaluation.predict"},  # what a run does to texts that it doesn't train on
}


def case_files() -> list[Path]:
    files = sorted((Path(__file__).parent / "graduation_cases").glob("case_*.py"))
    return [path for path in files if find_lesson(path.stem.removeprefix("case_"))]


def load_cases() -> list[tuple[str, Case]]:
    cases = []
    for path in case_files():
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        cases += [(path.stem.removeprefix("case_"), case) for case in module.CASES]
    return cases


CASES = load_cases()
MUTANTS = [(lesson, case, wrong) for lesson, case in CASES for wrong in case.mutants]


@pytest.mark.parametrize(("lesson", "case"), CASES, ids=[f"{lesson}-{case.name}" for lesson, case in CASES])
def test_lesson_and_package_agree_to_the_last_bit(lesson: str, case: Case) -> None:
    assert equal(case.run(lesson_functions(lesson)), case.run(package_functions(lesson)))


@pytest.mark.parametrize(
    ("lesson", "case", "wrong"), MUTANTS, ids=[f"{lesson}-{case.name}-{wrong}" for lesson, case, wrong in MUTANTS]
)
def test_a_planted_mistake_is_noticed(lesson: str, case: Case, wrong: str) -> None:
    mutated = lesson_functions(lesson, {case.name: case.mutants[wrong]})
    expected = case.run(package_functions(lesson))
    found = case.run(mutated)
    assert not equal(found, expected), f"the case of {case.name} does not notice: {wrong}"


def test_every_graduated_name_has_a_case_and_every_case_a_mutant() -> None:
    with_case = {case.name for _, case in CASES}
    assert sorted(set(graduated_names()) - with_case) == []
    assert sorted(with_case - set(graduated_names())) == []
    assert [case.name for _, case in CASES if not case.mutants] == []


def public_names() -> dict[str, str]:
    """``module.name`` of every public function and class of the core -> its docstring."""
    found = {}
    for module in CORE:
        for node in ast.parse((PACKAGE / f"{module}.py").read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                found[f"{module}.{node.name}"] = ast.get_docstring(node) or ""
    return found


def test_every_public_name_of_the_core_is_graduated_or_infrastructure() -> None:
    known = set(graduated_names()) | set(INFRASTRUCTURE_NAMES)
    unknown = [name for name in public_names() if name not in known and name.split(".")[0] not in INFRASTRUCTURE]
    assert unknown == []


def test_docstrings_name_the_lesson_that_writes_a_function_out() -> None:
    graduated = graduated_names()
    wrong = []
    for name, docstring in public_names().items():
        promised = re.findall(rf"Written out\s+in lesson ({NUMBER})", docstring)
        if name in graduated and promised != [graduated[name]]:
            wrong.append(f"{name} graduates in lesson {graduated[name]}, its docstring says {promised}")
        if name not in graduated and promised and find_lesson(promised[0]):
            wrong.append(f"{name} promises lesson {promised[0]}, which does not write it out")
    assert wrong == []


def test_no_later_lesson_defines_a_graduated_function_again() -> None:
    graduated = {name.split(".")[1]: lesson for name, lesson in graduated_names().items()}
    again = [
        f"{lesson.number} defines {name}, which lesson {graduated[name]} wrote out"
        for lesson in find_lessons(NOTEBOOKS)
        for cell in code_cells(lesson.path)
        for name in defined_names(without_magic(cell.source)) & graduated.keys()
        if graduated[name] < lesson.number and not any(g.endswith(f".{name}") for g in graduates(cell))
    ]
    assert again == []


def test_a_lesson_does_not_import_what_it_writes_out() -> None:
    graduated = graduated_names()
    wrong = [
        f"{lesson.number} imports {name}"
        for lesson in find_lessons(NOTEBOOKS)
        for cell in code_cells(lesson.path)
        for name in imported_names(without_magic(cell.source))
        if graduated.get(name) == lesson.number
    ]
    assert wrong == []


def without_magic(source: str) -> str:
    return "\n".join(line for line in source.splitlines() if not line.lstrip().startswith(("%", "!")))


def test_the_package_may_add_validation_but_no_parameter_before_the_lessons_own() -> None:
    wrong = []
    for lesson, case in CASES:
        written, packaged = (
            functions[case.function] for functions in (lesson_functions(lesson), package_functions(lesson))
        )
        mine, theirs = (list(inspect.signature(function).parameters) for function in (written, packaged))
        if theirs[: len(mine)] != mine:
            wrong.append(f"{case.name}: {mine} in the lesson, {theirs} in the package")
    assert wrong == []


def test_only_what_is_known_is_borrowed_from_a_later_lesson() -> None:
    graduated, borrowed = graduated_names(), {}
    for lesson in find_lessons(NOTEBOOKS):
        imported = set().union(*(imported_names(without_magic(cell.source)) for cell in code_cells(lesson.path)))
        later = {name for name in imported if graduated.get(name, "00") > lesson.number}
        if later and lesson.number != OVERVIEW:
            borrowed[lesson.number] = later
    assert borrowed == BORROWED_EARLY


def test_no_excuse_outlives_its_need() -> None:
    assert sorted(set(INFRASTRUCTURE_NAMES) - set(public_names())) == []  # gone from the package
    assert sorted(set(INFRASTRUCTURE_NAMES) & set(graduated_names())) == []  # a lesson writes it out by now
    assert sorted(set(INFRASTRUCTURE) - set(CORE)) == []


VALUE = torch.tensor([0.1, 0.2])


@pytest.mark.parametrize(
    "other",
    [
        torch.nextafter(VALUE, torch.tensor(1.0)),
        VALUE.double(),
        VALUE[None],
        VALUE.numpy(),
        VALUE.tolist(),
        {0: VALUE},
    ],
    ids=["one bit", "another type", "another shape", "an array", "a list", "a dictionary"],
)
def test_the_comparison_notices_a_difference_at_any_depth(other: object) -> None:
    assert equal({"steps": [(1, VALUE)]}, {"steps": [(1, VALUE.clone())]})
    assert not equal({"steps": [(1, VALUE)]}, {"steps": [(1, other)]})


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ([1, 2], [1, 2, 3]),
        ({"a": 1}, {"a": 1, "b": 2}),
        (np.array([1.0, 2.0]), np.array([1.0, np.nextafter(2.0, 3.0)])),
        (np.array([1, 2]), np.array([1.0, 2.0])),
        (float("nan"), 0.0),
        ("tech", "Tech"),
    ],
)
def test_the_comparison_notices_what_is_missing_added_or_changed(left: object, right: object) -> None:
    assert equal(left, left)
    assert not equal(left, right)
    assert not equal(right, left)


def test_a_mutant_whose_source_has_changed_is_reported_instead_of_tested() -> None:
    with pytest.raises(AssertionError, match=r"training\.fit: the lesson's source does not contain 'no such text'"):
        lesson_functions("19", {"training.fit": ("no such text", "another")})
