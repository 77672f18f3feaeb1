"""Break a lesson's main idea, and the check that guards it fails: no headline claim is decoration.

A case changes a line of one code cell of the notebook in memory, executes the cells that the claim needs, at a size
that takes seconds, and then the claim itself. Unbroken, the same cells must bear the claim out.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bertft_helpers.series.notebook import declared_parameters, numbered_code_cells, parse_cell, read_notebook, tags

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
ALWAYS = ("imports", "parameters")  # tags of the cells that every claim needs


@dataclass(frozen=True)
class Claim:
    """A claim of a lesson, and the cells before it that it needs, each named by a piece of its source."""

    lesson: str
    words: str  # the first argument of its check
    cells: tuple[str, ...]
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Break:
    """A mistake: in the cell that holds it, ``old`` becomes ``new``."""

    wrong: str
    claim: Claim
    changes: dict[str, str]


class Unexamined(AssertionError):
    """The claim was skipped or never reached."""


def run(claim: Claim, changes: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Execute what the claim needs and then the claim; raises its AssertionError."""
    notebook = read_notebook(next(NOTEBOOKS.glob(f"{claim.lesson}_*.ipynb")))
    assert claim.parameters.keys() <= declared_parameters(notebook).keys()
    sources = chosen_sources(notebook, claim.cells)
    for old, new in changes.items():
        holders = [number for number, source in enumerate(sources) if old in source]
        assert len(holders) == 1, f"{len(holders)} cells of lesson {claim.lesson} hold {old!r}"
        assert sources[holders[0]].count(old) == 1, f"{old!r} occurs more than once in its cell"
        sources[holders[0]] = sources[holders[0]].replace(old, new)
    namespace: dict[str, Any] = {"__name__": f"lesson_{claim.lesson}"}
    try:
        for place, source in enumerate(sources):
            exec(compile(without_checks(source), f"cell {place}", "exec"), namespace)
            if place == 1:  # after the parameters
                namespace.update(claim.parameters)
        capsys.readouterr()
        exec(compile(up_to_claim(notebook, claim), "claim", "exec"), namespace)
    finally:
        namespace.clear()  # models, whose memory the next case wants
    if f"✓ {claim.words}" not in capsys.readouterr().out:
        raise Unexamined(claim.words)


def chosen_sources(notebook: Any, pieces: tuple[str, ...]) -> list[str]:
    """Imports, parameters and the cells that hold the pieces, in the notebook's order."""
    cells = [cell for _, cell in numbered_code_cells(notebook)]
    for piece in pieces:
        assert sum(piece in cell.source for cell in cells) == 1, f"{piece!r} does not name exactly one cell"
    by_tag = [cell.source for tag in ALWAYS for cell in cells if tag in tags(cell)]
    return by_tag + [cell.source for cell in cells if any(piece in cell.source for piece in pieces)]


def words_of_check(node: ast.stmt) -> str | None:
    """The claim of a statement that is a call of check, else None."""
    match node:
        case ast.Expr(value=ast.Call(func=ast.Name(id="check"), args=[ast.Constant(value=words), *_])):
            return str(words)
    return None


def without_checks(source: str) -> ast.Module:
    """A cell without its own claims, which are not the question here."""
    body = [node for node in parse_cell(source).body if words_of_check(node) is None]
    return ast.Module(body, type_ignores=[])


def up_to_claim(notebook: Any, claim: Claim) -> ast.Module:
    """The claim alone; when its cell has not run among the claim's cells, after what stands before it there."""
    for _, cell in numbered_code_cells(notebook):
        body = parse_cell(cell.source).body
        for place, node in enumerate(body):
            if words_of_check(node) == claim.words:
                has_run = any(piece in cell.source for piece in claim.cells)
                before = [] if has_run else [n for n in body[:place] if words_of_check(n) is None]
                return ast.Module([*before, node], type_ignores=[])
    raise Unexamined(f"no check of lesson {claim.lesson} says {claim.words!r}")


RECAP_11 = ("headline_ids = encode(", "def pad_batch")
LIKE_LIBRARY = Claim("11", "padding by hand equals the tokenizer's", (*RECAP_11, "same_as_library ="))
BUCKETS = Claim(
    "11", "length buckets leave almost no padding, share", (*RECAP_11, "def padded_to", "def padding_share")
)
UNMOVED = Claim(
    "12", "masked padding moves no number of a headline's vectors by more", ("def states(", "def moved(padding")
)
ATTENTION = Claim(
    "12",
    "attention by hand equals the model's, largest difference",
    ("def states(", "def moved(padding", "def attention_bias"),
)
FROZEN = ("headlines = clean(", "def new_classifier", "def freeze", "def count(model", "def optimizer_for")
FEW = {"N_TRAIN": 48, "N_VALIDATION": 32, "HEAD_EPOCHS": 2}
STOOD_STILL = Claim("15", "the tensors that moved", FROZEN, FEW)
SAME_HEAD = Claim(
    "15",
    "training on stored vectors gives the same head, largest difference",
    (
        *FROZEN,
        "class FrozenBaseClassifier",
        "def encode_once",
        "def train_on_features",
        "through_seconds =",
        "weight_error =",
    ),
    FEW,
)
LOSS = (
    "train_features = encode_once",
    "large = torch.tensor",
    "def cross_entropy",
    "by_hand = cross_entropy",
    "def classification_loss",
)
ONE_DIVISION = Claim(
    "17",
    "sums divided once equal the mean over all headlines, difference",
    (*LOSS, "def train_head", "divided_once ="),
    {"N_TRAIN": 64},
)
SUM_OF_COUNTED = Claim(
    "17", "the sum is that of the four counted losses, difference", (*LOSS, "partly ="), {"N_TRAIN": 64}
)
ADAMW = ("def adamw_step", "def compute_gradients(model")
LIKE_TORCH = Claim("18", "three AdamW steps by hand equal torch's, largest difference", (*ADAMW, "worst = max("))
BY_THE_RATE = Claim(
    "18",
    "the first step moves a weight by the rate, whatever its gradient, largest deviation",
    ("def adamw_step", "first = adamw_step"),
)
LOOP = ("train_loader =", "def on_device")
SMALL_LOOP = {"N_TRAIN": 32, "N_VALIDATION": 16}
MEMORISED = Claim("19", "thirty steps memorise one batch: the loss", (*LOOP, "memorising.step()"), SMALL_LOOP)
ACCUMULATED = Claim(
    "19",
    "accumulated gradients equal those of the big batch, relative error",
    (*LOOP, "def gradient_of"),
    SMALL_LOOP,
)
CLIP = ("def on_device", "def compute_gradients", "def clip_by_norm")
CLIPPED = Claim("20", "the clipped gradients equal torch's, largest difference", (*CLIP, "half = norm_of_norms"))
STALL = Claim(
    "20",
    "a bad batch stalls AdamW without clipping: loss lost at the end",
    ("def on_device", "def short_run", "def with_bad_batch"),
    {"N_TRAIN": 64, "EPOCHS": 4, "BAD_STEP": 5},
)
UNSCALED = Claim(
    "20", "unscaled first: the clipping sees the true norm, ratio", (*CLIP, "ways = {", "def norm_seen(unscale_first)")
)

BREAKS = [
    Break(
        "every batch is padded to a maximum",
        LIKE_LIBRARY,
        {'max(len(example["input_ids"]) for example in examples)': "64"},
    ),
    Break("the longest of all texts in place of the longest in the batch", BUCKETS, {"batch.max()": "lengths.max()"}),
    Break("the mask is dropped on its way to the model", UNMOVED, {", attention_mask=attention_mask.to(device)": ""}),
    Break("the mask says that padding is real", UNMOVED, {"        mask[:, length:] = 0": "        pass"}),
    Break("nothing is added to the scores", ATTENTION, {"* torch.finfo(torch.float32).min": "* 0.0"}),
    Break("freeze does nothing", STOOD_STILL, {"block.requires_grad_(False)": "block.requires_grad = False"}),
    Break(
        "dropout stays on while the texts are encoded once", SAME_HEAD, {"    encoder.eval()": "    encoder.train()"}
    ),
    Break("the frozen part follows its parent's mode", SAME_HEAD, {"self.encoder.eval()": "self.encoder.train(mode)"}),
    Break(
        "the mean of the means of batches",
        ONE_DIVISION,
        {"piece.sum()": "piece.mean()", "/ sum(counts)": "/ len(counts)"},
    ),
    Break("the loss of a batch is its mean", SUM_OF_COUNTED, {'reduction="sum"': 'reduction="mean"'}),
    Break("labels to ignore are counted", SUM_OF_COUNTED, {'partly["labels"][4:] = IGNORE': "pass"}),
    Break(
        "decay is added to the gradient (L2)",
        LIKE_TORCH,
        {
            'state["t"] += 1': 'state["t"] += 1; gradient = gradient + decay * weight',
            "weight * (1 - rate * decay)": "weight",
        },
    ),
    Break("no decay at all", LIKE_TORCH, {"weight * (1 - rate * decay)": "weight"}),
    Break(
        "no bias correction",
        BY_THE_RATE,
        {' / (1 - betas[0] ** state["t"])': "", ' / (1 - betas[1] ** state["t"])': ""},
    ),
    Break("no bias correction of the squares", LIKE_TORCH, {' / (1 - betas[1] ** state["t"])': ""}),
    Break(
        "the gradients are cleared before the step",
        MEMORISED,
        {"    memorising.step()": "    memorising.zero_grad(); memorising.step()"},
    ),
    Break("no backward", MEMORISED, {"    loss.backward()": "    pass"}),
    Break("the mean of the means of pieces", ACCUMULATED, {"losses.sum() / 16": "losses.mean() / len(pieces)"}),
    Break("clipping does nothing", CLIPPED, {"factor = min(1.0, threshold / (norm + 1e-6))": "factor = 1.0"}),
    Break("runs are never clipped", STALL, {"clip_norm=clip_norm": "clip_norm=None"}),
    Break(
        "clipped before it is unscaled", UNSCALED, {"norm_seen(unscale_first=True)": "norm_seen(unscale_first=False)"}
    ),
]
CLAIMS = list({case.claim.words: case.claim for case in BREAKS}.values())


@pytest.mark.slow
@pytest.mark.exercises
@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim.lesson}-{claim.words}")
def test_the_claim_holds_at_this_size(claim: Claim, capsys: pytest.CaptureFixture[str]) -> None:
    run(claim, {}, capsys)


@pytest.mark.slow
@pytest.mark.exercises
@pytest.mark.parametrize("case", BREAKS, ids=lambda case: f"{case.claim.lesson}-{case.wrong}")
def test_the_claim_fails_when_the_idea_is_broken(case: Break, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(AssertionError) as failure:
        run(case.claim, case.changes, capsys)
    assert not isinstance(failure.value, Unexamined)
    assert str(failure.value).startswith(f"{case.claim.words}: the value is "), failure.value


def test_each_of_these_lessons_says_which_claim_guards_its_idea() -> None:
    for lesson in sorted({claim.lesson for claim in CLAIMS}):
        notebook = read_notebook(next(NOTEBOOKS.glob(f"{lesson}_*.ipynb")))
        (check,) = [cell.source for cell in notebook.cells if cell.source.startswith("## Check")]
        quoted = [" ".join(words.lower().split()) for words in re.findall(r"\*([^*]+)\*", check)]
        guarded = [claim.words.lower() for claim in CLAIMS if claim.lesson == lesson]
        assert any(words.startswith(tuple(quoted)) for words in guarded), (lesson, quoted)
