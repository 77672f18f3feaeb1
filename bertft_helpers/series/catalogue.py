"""Which lessons and profiles exist, and which parameters a run gives to each lesson."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bertft_helpers.errors import UserError
from bertft_helpers.series.notebook import declared_parameters, read_notebook

__all__ = [
    "APPLICATIONS",
    "DEFAULT_PROFILE",
    "FILE_NAME",
    "NUMBER",
    "SERIES",
    "Lesson",
    "UnknownName",
    "find_folder",
    "find_lessons",
    "load_profile",
    "number_of",
    "origin_of",
    "parse_overrides",
    "parse_value",
    "place_of",
    "plan_parameters",
    "profile_names",
    "select_lessons",
    "with_quick",
]

DEFAULT_PROFILE = "cpu"  # the lessons' own literals; it has no file
NUMBER = r"(?:[0-2]\d|30|A[1-9])"  # of a lesson: a question of the thirty with the overview 00, or an application
FILE_NAME = re.compile(rf"{NUMBER}(_[a-z0-9]+)+\.ipynb")
APPLICATIONS = "applications"  # folder of the lessons A1, A2 … below that of the thirty
# The whole series in its order; a lesson that is still being written may be linked to already.
SERIES = (
    "00_understand_bert",
    "01_install_libraries",
    "02_import_modules",
    "03_configure_gpu",
    "04_load_pretrained_bert",
    "05_load_tokenizer",
    "06_inspect_bert",
    "07_load_dataset",
    "08_split_dataset",
    "09_preprocess_text",
    "10_tokenize_to_ids",
    "11_pad_and_truncate",
    "12_build_attention_masks",
    "13_build_dataloader",
    "14_add_classification_head",
    "15_freeze_base",
    "16_unfreeze_base",
    "17_define_loss",
    "18_set_up_adamw",
    "19_write_training_loop",
    "20_clip_gradients",
    "21_track_loss_and_accuracy",
    "22_evaluate_on_test_set",
    "23_compute_more_metrics",
    "24_predict_new_text",
    "25_freeze_different_layers",
    "26_compare_learning_rates",
    "27_compare_batch_sizes",
    "28_train_on_small_data",
    "29_stop_early",
    "30_analyze_a_full_task",
)
_WORDS = {"true": True, "false": False, "none": None, "null": None}


class UnknownName(UserError):
    """A lesson, profile or parameter that does not exist; the message lists what does."""


@dataclass(frozen=True)
class Lesson:
    """One notebook of the series."""

    path: Path

    @property
    def number(self) -> str:
        """What stands in front of the name: ``19``, ``A2``."""
        return number_of(self.path.name)

    @property
    def name(self) -> str:
        """The file name without its ending."""
        return self.path.stem

    @property
    def place(self) -> str:
        """Its file below the folder of the lessons: ``19_x.ipynb``, ``applications/A2_x.ipynb``."""
        return place_of(self.path.name)

    @property
    def origin(self) -> str:
        """Its file in the project, whatever the folder of the lessons is called here."""
        return origin_of(self.path.name)


def number_of(file_name: str) -> str:
    """The number of the lesson in a file of this name: ``19``, ``A2``."""
    return file_name.partition("_")[0]


def place_of(file_name: str) -> str:
    """Where a lesson's file belongs below the folder of the lessons."""
    return f"{APPLICATIONS}/{file_name}" if file_name.startswith("A") else file_name


def origin_of(file_name: str) -> str:
    """Where a lesson's file belongs in the project."""
    return f"notebooks/{place_of(file_name)}"


def find_folder() -> Path:
    """The folder of the lessons: ``notebooks`` below the current folder, else the one beside the installed source.

    Raises ``UnknownName`` when neither exists.
    """
    places = [Path.cwd() / "notebooks", Path(__file__).resolve().parents[2] / "notebooks"]
    for place in places:
        if place.is_dir():
            return place
    raise UnknownName("no folder 'notebooks' here: change to the project's folder, or give --notebooks DIR")


def find_lessons(folder: Path) -> list[Lesson]:
    """All lessons of a folder in the order of their numbers, those of its applications last.

    Raises ``UnknownName`` when there is none.
    """
    paths = [*sorted(folder.glob("*.ipynb")), *sorted((folder / APPLICATIONS).glob("*.ipynb"))]
    found = [path for path in paths if FILE_NAME.fullmatch(path.name) and path == folder / place_of(path.name)]
    lessons = [Lesson(path) for path in found]
    if not lessons:
        raise UnknownName(f"no lesson NN_name.ipynb in {folder}")
    return lessons


def select_lessons(folder: Path, names: Sequence[str]) -> list[Lesson]:
    """The lessons called by number (``19``, ``4``, ``A2``), name or ``notebooks/NAME.ipynb``; all for no name.

    Raises ``UnknownName`` listing the lessons that exist. A name is compared, never opened as a path.
    """
    lessons = find_lessons(folder)
    if not names:
        return lessons
    by_name = {key: lesson for lesson in lessons for key in _names_of(lesson, folder)}
    wanted = [_as_written(name) for name in names]
    unknown = [name for name in wanted if name not in by_name]
    if unknown:
        raise UnknownName(f"no lesson {_quoted(unknown)}; there are {', '.join(x.name for x in lessons)}")
    return sorted({by_name[name] for name in wanted}, key=lambda lesson: lesson.name)


def _as_written(name: str) -> str:
    """A name as lessons have theirs: ``4`` is ``04``, ``a2`` is ``A2``, folders are parted by ``/``."""
    if name.isdecimal():
        return name.zfill(2)
    return name.upper() if re.fullmatch(NUMBER, name.upper()) else name.replace("\\", "/")


def _names_of(lesson: Lesson, folder: Path) -> tuple[str, ...]:
    return lesson.number, lesson.name, lesson.path.name, lesson.place, f"{folder.name}/{lesson.place}"


def profile_names(folder: Path) -> list[str]:
    """Profiles that can be asked for by name."""
    return [DEFAULT_PROFILE, *sorted(path.stem for path in (folder / "profiles").glob("*.yaml"))]


def load_profile(folder: Path, name: str) -> dict[str, dict[str, Any]]:
    """A profile's overrides: ``all`` for every lesson that declares them, ``"19"`` for one lesson.

    Raises ``UnknownName`` for a profile or key that does not exist.
    """
    if name not in profile_names(folder):
        raise UnknownName(f"no profile {name!r}; there are {', '.join(profile_names(folder))}")
    if name == DEFAULT_PROFILE:
        return {}
    profile = yaml.safe_load((folder / "profiles" / f"{name}.yaml").read_text(encoding="utf-8")) or {}
    numbers = [lesson.number for lesson in find_lessons(folder)]
    for key, overrides in profile.items():
        if key != "all" and key not in numbers:
            raise UnknownName(
                f"profile {name}: {key!r} is neither 'all' nor a lesson ({', '.join(numbers)}, in quotes)"
            )
        if not isinstance(overrides, dict):
            raise UnknownName(f"profile {name}: {key!r} must hold NAME: value pairs, got {overrides!r}")
    return profile


def plan_parameters(
    folder: Path, lessons: Sequence[Lesson], profile: str = DEFAULT_PROFILE, extra: Mapping[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    """What each lesson is given: the profile's overrides, then the ones named on the command line.

    Raises ``UnknownName`` for an override that no lesson declares, because it would silently do nothing, and
    ``ValueError`` for a value of another kind than the lesson's own.
    """
    declared = {lesson.number: declared_parameters(read_notebook(lesson.path)) for lesson in find_lessons(folder)}
    overrides = load_profile(folder, profile)
    _refuse_undeclared(f"profile {profile}", overrides.get("all", {}), declared)
    for number in overrides.keys() - {"all"}:
        _refuse_undeclared(f"profile {profile}, lesson {number}", overrides[number], {number: declared[number]})
    _refuse_undeclared("-p", extra or {}, {lesson.number: declared[lesson.number] for lesson in lessons})
    return {
        lesson.name: _given(declared[lesson.number], overrides.get("all"), overrides.get(lesson.number), extra)
        for lesson in lessons
    }


def with_quick(plan: Mapping[str, dict[str, Any]], lessons: Sequence[Lesson]) -> dict[str, dict[str, Any]]:
    """The plan, with ``QUICK=True`` for each lesson that declares it and is given no value of it yet."""
    quick = {lesson.name for lesson in lessons if "QUICK" in declared_parameters(read_notebook(lesson.path))}
    return {name: {"QUICK": True, **given} if name in quick else given for name, given in plan.items()}


def _refuse_undeclared(origin: str, names: Mapping[str, Any], declared: Mapping[str, Mapping[str, Any]]) -> None:
    known = sorted({name for parameters in declared.values() for name in parameters})
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UnknownName(f"{origin}: no lesson declares {_quoted(unknown)}; declared are {', '.join(known) or 'none'}")


def _given(literals: Mapping[str, Any], *layers: Mapping[str, Any] | None) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for layer in layers:
        given.update({n: _like(n, v, literals[n]) for n, v in (layer or {}).items() if n in literals})
    return given


def _like(name: str, value: Any, literal: Any) -> Any:
    # YAML reads 1e-4 as text, and text where the lesson has a number fails much later and less clearly
    value = parse_value(value) if isinstance(value, str) and not isinstance(literal, str) else value
    if isinstance(literal, float) and type(value) is int:
        return float(value)
    if literal is not None and value is not None and type(value) is not type(literal):
        raise UserError(f"{name} is {literal!r} in the lesson, so it cannot become {value!r}: give the same kind")
    return value


def parse_overrides(pairs: Sequence[str]) -> dict[str, Any]:
    """Overrides written ``NAME=VALUE``. Raises ``ValueError`` for one without a value."""
    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise UserError(f"-p {wrong[0]}: give a name and a value, for example -p SEED=1")
    return {name: parse_value(value) for name, _, value in (pair.partition("=") for pair in pairs)}


def parse_value(text: str) -> Any:
    """A value typed on a command line: a Python literal, ``true``/``false``/``none`` in any case, else the text."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
