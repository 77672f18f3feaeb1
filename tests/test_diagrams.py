"""Schematics hold whatever a lesson gives them: no text over another, under a line, outside its block or the figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from bertft_helpers import arithmetic, diagrams, shapes, sketches
from bertft_helpers.arithmetic import Move
from bertft_helpers.diagrams import Part, Task
from bertft_helpers.drawing import SMALLEST, Sheet
from bertft_helpers.errors import UserError
from bertft_helpers.sketches import Span, Stage

LONG = "counterrevolutionary$$"
Draw = Callable[[int], Figure]


def token(place: int) -> str:
    return LONG if place % 3 == 0 else f"##t{place}"


def tokens(count: int) -> list[str]:
    return [token(place) for place in range(count)]


def numbers(count: int, size: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, size)) * 3


def stack_parts(count: int, role: str = "trained") -> list[Part]:
    return [Part(f"{token(n)} {n}", f"[{n}, 128, 768]", "frozen" if n < count // 2 else role) for n in range(count)]


def stack(count: int, role: str = "trained") -> Figure:
    return diagrams.stack(stack_parts(count, role), f"A stack of {count} parts", gradient=True)


def attention_head(count: int) -> Figure:
    keys, values = numbers(count, 3), numbers(count, 3)
    return diagrams.attention_head(tokens(count), count - 1, keys[0], keys, values, "One head")


def split_bar(count: int) -> Figure:
    parts = {f"{token(n)} {n}": 10 ** (n % 4 + 1) for n in range(count)}
    names = list(parts)
    return sketches.split_bar(parts, {(names[0], names[-1]): 38, (names[0], names[1]): 1_200}, "A split")


def memory_stack(count: int) -> Figure:
    parts = {f"{token(n)} {n}": 10.0 ** (n % 4) for n in range(count)}
    return sketches.memory_stack({"float32": parts, LONG: parts}, title="Memory")


def timeline(count: int) -> Figure:
    lanes = {f"{token(n)} {n}": [Span(0, n + 0.5, "frozen", "frozen"), Span(n + 0.5, 20, LONG)] for n in range(count)}
    return sketches.timeline(lanes, {n + 0.5: f"thaw {token(n)}" for n in range(count)}, title="Time")


def weight_step(count: int) -> Figure:
    moves = [Move(f"{token(n)} {n}", tuple(by)) for n, by in enumerate(numbers(count).tolist())]
    return arithmetic.weight_step((0.8, -0.5), moves, [Move("another rule", (-3, 0.1), "loss")], "A step")


DRAWINGS: dict[str, Draw] = {
    "weight_step": weight_step,
    "clipping": lambda n: arithmetic.clipping((n, -n / 3), (0.4, 0.5), 1.0 + 3 * (n % 3), "Clipping"),
    "cross_entropy": lambda n: arithmetic.cross_entropy(tokens(n), [*numbers(n)[1:, 0], 9.0], n - 1, "A loss"),
    "row_and_column": lambda n: arithmetic.row_and_column(
        1000 * np.eye(n, dtype=int), [f"{token(k)} {k}" for k in range(n)], n - 1, "Counts"
    ),
    "stack": stack,
    "frozen stack": lambda count: stack(count, "frozen"),
    "stacks": lambda n: diagrams.stacks({f"{token(k)}\n{k} %": stack_parts(n) for k in range(3)}, "Stacks"),
    "attention_head": attention_head,
    "embedding_sum": lambda n: diagrams.embedding_sum(tokens(n), [0] * (n // 2) + [1] * (n - n // 2), "Sum"),
    "tokenization": lambda n: diagrams.tokenization(
        [(token(k), [(f"{token(k)}{j}", 30_000 + j) for j in range(k % 4 + 1)]) for k in range(n)], "Pieces"
    ),
    "label_alignment": lambda n: diagrams.label_alignment(
        [(token(k), [(f"{token(k)}{j}", "" if j else "B-NAME") for j in range(k % 4 + 1)]) for k in range(n)], "Labels"
    ),
    "masked_attention": lambda n: diagrams.masked_attention(tokens(n), numbers(n)[:, 0], [1] * (n - 1) + [0], "Mask"),
    "heads_by_task": lambda n: diagrams.heads_by_task(
        [Task(f"{token(k)} {k}", ("first", "each")[k % 2], "linear 768 → 2", LONG) for k in range(n)], "Heads"
    ),
    "classification_head": lambda n: shapes.classification_head(
        [*tokens(n), "[PAD]"], [f"{token(k)} {k}" for k in range(n)], 128, 1024, "mean of the real tokens", "Head"
    ),
    "start_and_end": lambda n: shapes.start_and_end(tokens(n), [1 / n] * n, [0] * (n - 1) + [1], n // 2, "A span"),
    "shaded_sentences": lambda n: shapes.shaded_sentences(
        [" ".join(tokens(1 + 2 * (k % 8))) for k in range(n)], [k / (n - 1) for k in range(n)], tokens(n), "A story"
    ),
    "padding_grids": lambda n: sketches.padding_grids({LONG: [(k + 1, n) for k in range(n)], "cut": [(1, 1)] * n}, "P"),
    "length_steps": lambda n: sketches.length_steps(
        {LONG: [[(k + 1, n, "token") for k in range(n)]], "cut": [[(k + 1, k + 1, "trained")] for k in range(n)]}, "L"
    ),
    "split_bar": split_bar,
    "task_grid": lambda n: sketches.task_grid(
        [f"{token(k)} {k}" for k in range(n)], tokens(3), {(f"{token(0)} 0", token(1)): f"{LONG}\ntwo lines"}, "Grid"
    ),
    "masked_words": lambda n: sketches.masked_words(
        tokens(n), ["[MASK]", *tokens(n)[1:]], [k % 2 == 0 for k in range(n)], "Hidden"
    ),
    "memory_stack": memory_stack,
    "transfer": lambda n: sketches.transfer({LONG: tokens(n), "GPU": tokens(2)}, f"{LONG}.to(device)", "back", "Move"),
    "flow": lambda n: sketches.flow(
        [Stage(f"{token(k)} {k}", f"{k} {LONG}", LONG * (k % 2)) for k in range(n)], "Flow"
    ),
    "fold_grid": lambda n: sketches.fold_grid([[10**k, 10**k + 1] for k in range(min(n, 7))], "Folds"),
    "ring": lambda n: sketches.ring(
        [f"step {k}" for k in range(max(n, 3))], "each batch", {"step 0": "loss"}, title="Ring"
    ),
    "ring in a ring": lambda n: sketches.ring(tokens(max(n, 3)), "a\nbatch", inner=[f"s{k}" for k in range(max(n, 3))]),
    "timeline": timeline,
}


def faults(figure: Figure) -> list[str]:
    """What is drawn badly, by matplotlib's own extents in pixels at 100 dots per inch."""
    figure.canvas.draw()
    texts = {text: text.get_window_extent() for text in figure.findobj(Text) if text.get_text() and text.get_visible()}
    return [*_overlaps(texts), *_outside(figure, texts), *_struck(figure, texts), *_small(texts)]


def _overlaps(texts: dict[Text, Bbox]) -> Iterator[str]:
    for (one, first), (other, second) in combinations(texts.items(), 2):
        if first.padded(-1).overlaps(second.padded(-1)):
            yield f"{one.get_text()!r} lies over {other.get_text()!r}"


def _outside(figure: Figure, texts: dict[Text, Bbox]) -> Iterator[str]:
    *blocks, card = sorted((p.get_window_extent() for p in figure.findobj(FancyBboxPatch)), key=_area)
    for text, extent in texts.items():
        middle = (extent.x0 + extent.x1) / 2, (extent.y0 + extent.y1) / 2
        home = next((block for block in blocks if block.contains(*middle)), card)
        if not (home.x0 <= extent.x0 and extent.x1 <= home.x1 and home.y0 <= extent.y0 and extent.y1 <= home.y1):
            yield f"{text.get_text()!r} leaves its {'figure' if home is card else 'block'}"


def _area(box: Bbox) -> float:
    return box.width * box.height


def _struck(figure: Figure, texts: dict[Text, Bbox]) -> Iterator[str]:
    for arrow in figure.findobj(FancyArrowPatch):
        path = arrow.get_transform().transform_path(arrow.get_path())
        strokes = [Path(points) for points in path.to_polygons(closed_only=False)]  # the line, and its head
        for text, extent in texts.items():
            if any(stroke.intersects_bbox(extent.padded(-2), filled=False) for stroke in strokes):
                yield f"{text.get_text()!r} is struck through"


def _small(texts: dict[Text, Bbox]) -> Iterator[str]:
    yield from (f"{text.get_text()!r} is small" for text in texts if text.get_fontsize() < SMALLEST)


@pytest.mark.parametrize("count", [2, 16])
@pytest.mark.parametrize("name", DRAWINGS)
def test_two_and_sixteen_rows_with_long_tokens_are_drawn_cleanly(name: str, count: int) -> None:
    assert "\n".join(faults(DRAWINGS[name](count))) == ""


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda sheet: sheet.text((0.6, 0.22), "over it"), "lies over"),
        (lambda sheet: sheet.block(3, 0, 0.4, text=LONG), "leaves its block"),
        (lambda sheet: sheet.arrow((-0.5, 0.2), (1.5, 0.2)), "is struck through"),
        (lambda sheet: sheet.text((5, 5), "tiny", size=6), "is small"),
    ],
)
def test_a_bad_drawing_is_found(harm: Callable[[Sheet], object], says: str) -> None:
    sheet = Sheet()
    sheet.block(0, 0, 1.2, text="a token")
    harm(sheet)
    assert any(says in fault for fault in faults(sheet.figure("A title")))


def test_a_text_that_leaves_the_figure_is_found() -> None:
    sheet = Sheet()
    sheet.block(0, 0, 1.2, text="a token")
    figure = sheet.figure()
    figure.axes[0].text(0.6, 0.9, LONG * 3, ha="center", parse_math=False)
    assert any("leaves its figure" in fault for fault in faults(figure))


def shown(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_an_attention_head_shows_the_numbers_that_follow_from_query_keys_and_values() -> None:
    # scores 0 and 2·1/√1 = 2, weights 1/(1 + e²) = 0.12 and 0.88, values 10 and 20: 1.19 + 17.62 = 18.81
    figure = diagrams.attention_head(["a", "b"], 1, [2], [[0], [1]], [[10], [20]])
    expected = {"0.00", "2.00", "0.12", "0.88", "(1.19)", "(17.62)", "(18.81)"}
    assert expected <= set(shown(figure))


def test_a_clipped_gradient_is_written_with_its_length() -> None:
    # (3, 4) is 5 long: by norm to 2 it becomes (1.2, 1.6), by value (2, 2), which is √8 = 2.83 long
    words = " ".join(shown(arithmetic.clipping((3, 4), (0, 1), 2)))
    expected = ("(3.00, 4.00), length 5.00", "(1.20, 1.60), length 2.00", "(2.00, 2.00), length 2.83")
    assert all(vector in words for vector in (*expected, "(0.00, 1.00), length 1.00"))


def test_a_mask_takes_the_weight_from_padding_and_gives_it_to_the_rest() -> None:
    # equal scores: a third each without the mask, a half each with it
    words = shown(diagrams.masked_attention(["a", "b", "[PAD]"], [1, 1, 1], [1, 1, 0]))
    assert (words.count("50%"), words.count("0%"), words.count("33%"), words.count("−∞")) == (2, 1, 3, 1)


def test_a_class_divides_its_hits_by_its_row_and_by_its_column() -> None:
    words = shown(arithmetic.row_and_column([[3, 1], [2, 4]], ["ham", "spam"], 1))
    assert {"recall: 4 of 6", "precision: 4 of 5"} <= set(words)


def test_padding_is_counted_over_all_squares() -> None:
    words = shown(sketches.padding_grids({"fixed": [(1, 3), (2, 3)]}))
    assert words == ["fixed", "50% padding", "6 squares for 3 tokens"]


def test_a_loss_shows_the_numbers_that_follow_from_the_logits() -> None:
    # e^0 = 1 and e^ln3 = 3: a quarter and three quarters; -ln 0.25 = 1.386
    words = shown(arithmetic.cross_entropy(["a", "b"], [0, np.log(3)], 0))
    assert {"1.00", "3.00", "sum 4.00", "0.250", "0.750", "−ln 0.250 = 1.386"} <= set(words)


def test_the_moves_of_a_step_are_drawn_tip_to_tail_and_other_rules_dashed_from_the_start() -> None:
    moves = [Move("decay", (-0.5, -0.5)), Move("step", (0, -0.5))]
    figure = arithmetic.weight_step((1, 1), moves, [Move("another rule", (-1, 0))])
    shafts = [arrow.get_path().vertices for arrow in figure.findobj(FancyArrowPatch)]
    *_, decay, step, other = shafts[:5]  # after the two axes
    inch = 3.6  # the plane from 0 to 1
    assert step[0] - decay[0] == pytest.approx([-inch / 2, inch / 2])
    assert other[0] == pytest.approx(decay[0])
    dashed = [patch for patch in figure.findobj(FancyArrowPatch) if patch.get_linestyle() != "-"]
    assert len(dashed) == 2  # and its line in the key


@pytest.mark.parametrize(("roles", "arrows"), [(("frozen", "trained"), 1), (("frozen", "frozen"), 0)])
def test_the_gradients_way_is_dashed_and_ends_at_the_lowest_trained_part(roles: tuple[str, str], arrows: int) -> None:
    figure = diagrams.stack([Part("low", role=roles[0]), Part("high", role=roles[1])], gradient=True)
    dashed = [patch for patch in figure.findobj(FancyArrowPatch) if patch.get_linestyle() != "-"]
    assert len(dashed) == shown(figure).count("gradient") == arrows


def test_the_sentence_with_the_highest_score_is_the_darkest_and_the_lowest_white() -> None:
    figure = shapes.shaded_sentences(["low", "middle", "high"], [0.1, 0.2, 0.3])
    assert shown(figure) == ["low", "0.10", "middle", "0.20", "high", "0.30"]
    low, middle, high = (bar.get_alpha() for bar in figure.findobj(Rectangle) if bar.get_alpha() is not None)
    assert (low, middle) == pytest.approx((0, high / 2))
    assert shapes.shaded_sentences(["a", "b"], [0.5, 0.5])  # equal ones are all white


def test_two_steps_are_no_ring() -> None:
    with pytest.raises(UserError, match="a ring has three steps or more, these are 2: forward, backward"):
        sketches.ring(["forward", "backward"])


def test_drawing_leaves_matplotlibs_settings_alone() -> None:
    before = dict(mpl.rcParams)
    stack(3)
    assert dict(mpl.rcParams) == before
