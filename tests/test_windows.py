"""Windows over long texts: the tokenizer's own, pooled text by text, trained by the same loop, flat in memory."""

from __future__ import annotations

import pytest
import torch
from minimal import RATE, parameters_of, tiny_classifier, tiny_examples
from torch import nn
from transformers.modeling_outputs import SequenceClassifierOutput

from bertft_helpers.batching import EncodedTexts, encode, make_loader
from bertft_helpers.config import TrainConfig
from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import predict
from bertft_helpers.optim import build_optimizer
from bertft_helpers.pretrained import load_tokenizer
from bertft_helpers.several_labels import YesOrNo
from bertft_helpers.training import fit, steps_per_run
from bertft_helpers.windows import OverWindows, cut_windows, pool_windows


class Recorder(nn.Module):
    """Says of each window how often the id 7 stands in it, and keeps how large its batches were."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SequenceClassifierOutput:
        self.shapes.append(tuple(input_ids.shape))
        count = (input_ids == 7).sum(dim=1).float() * self.weight
        return SequenceClassifierOutput(logits=torch.stack([count, -count], dim=-1))


def test_windows_share_their_overlap_and_keep_both_ends() -> None:
    assert cut_windows([2, 11, 12, 13, 14, 15, 3], max_length=5, stride=1) == [[2, 11, 12, 13, 3], [2, 13, 14, 15, 3]]
    assert cut_windows([2, 11, 3], max_length=5, stride=1) == [[2, 11, 3]]
    assert cut_windows([2, 3], max_length=5, stride=1) == [[2, 3]]


@pytest.mark.parametrize(("max_length", "stride"), [(16, 0), (16, 4), (10, 7)])
def test_windows_equal_the_tokenizers(max_length: int, stride: int) -> None:
    tokenizer = load_tokenizer("bundled")
    for words in range(1, 60, 3):
        text = " ".join(str(number) for number in range(words))
        wanted = tokenizer(text, max_length=max_length, stride=stride, truncation=True, return_overflowing_tokens=True)[
            "input_ids"
        ]
        assert cut_windows(encode([text], tokenizer)[0], max_length, stride) == wanted


@pytest.mark.parametrize("stride", [-1, 3, 9])
def test_an_overlap_that_leaves_no_room_is_refused(stride: int) -> None:
    with pytest.raises(
        UserError, match=f"the stride is {stride} and max_length 5: windows share at least 0 and fewer than 3"
    ):
        cut_windows([2, 5, 3], 5, stride)


def test_each_text_gets_one_value_from_its_own_windows() -> None:
    values = torch.tensor([[1.0, 5.0], [3.0, 1.0], [2.0, 2.0]])
    assert pool_windows(values, [2, 1], "max").tolist() == [[3.0, 5.0], [2.0, 2.0]]
    assert pool_windows(values, [2, 1], "mean").tolist() == [[2.0, 3.0], [2.0, 2.0]]
    assert pool_windows(values, [2, 1], "first").tolist() == [[1.0, 5.0], [2.0, 2.0]]
    with pytest.raises(UserError, match="there is no pooling 'min'; choose one of max, mean, first"):
        pool_windows(values, [2, 1], "min")


def test_a_sign_in_any_window_reaches_the_text_by_max_and_not_by_first() -> None:
    texts = [[2, *[5] * 20, 7, 3], [2, 5, 7, 3], [2, *[5] * 9, 3]]
    loader = make_loader(EncodedTexts(texts, [0, 0, 0]), 3)
    found = {name: predict(OverWindows(Recorder(), 8, 2, name), loader).logits[:, 0] for name in ("max", "first")}
    assert found["max"].tolist() == [1, 1, 0]
    assert found["first"].tolist() == [0, 1, 0]


def test_no_more_windows_than_wished_run_together_however_long_the_text() -> None:
    model = Recorder()
    over = OverWindows(model, 8, 2, at_once=4)
    ids = torch.tensor([[2, *[5] * 200, 3]])
    over(ids, torch.ones_like(ids))
    assert max(rows for rows, _ in model.shapes) == 4
    assert sum(rows for rows, _ in model.shapes) == len(cut_windows(ids[0].tolist(), 8, 2)) == 50


def test_a_text_that_fits_gets_the_logits_of_the_model_itself() -> None:
    model, loader = tiny_classifier(), make_loader(tiny_examples(9), 4)
    torch.testing.assert_close(
        torch.tensor(predict(OverWindows(model, 16, 4), loader).logits), torch.tensor(predict(model, loader).logits)
    )


def test_the_loop_of_lesson_19_trains_on_texts_that_no_position_is_left_for() -> None:
    examples = EncodedTexts([[2, *range(8, 8 + length), 3] for length in (30, 4, 17)], [[0, 1], [1, 1], [1, 0]])
    model = tiny_classifier(num_labels=2, max_position_embeddings=12)
    before, loader, config = parameters_of(model), make_loader(examples, 2, seed=0), TrainConfig(epochs=2)
    optimizer, schedule = build_optimizer(model, RATE, steps_per_run(loader, config))
    over = OverWindows(YesOrNo(model), max_length=12, stride=2)
    history = fit(over, loader, make_loader(examples, 3), optimizer, schedule, config)
    assert sum(step.targets for step in history.steps) == 2 * 6
    assert not torch.allclose(parameters_of(model)["classifier.weight"], before["classifier.weight"])


def test_only_the_window_with_the_maximum_is_pulled() -> None:
    values = torch.tensor([[1.0], [3.0], [2.0]], requires_grad=True)
    pool_windows(values, [3], "max").sum().backward()
    assert values.grad.flatten().tolist() == [0, 1, 0]
