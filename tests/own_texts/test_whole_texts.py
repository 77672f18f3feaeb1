"""``--long-texts windows``: whole texts in training and in use, the memory of cut ones, and what cutting would give."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from minimal import parameters_of, tiny_classifier
from own_data import labelled_rows, run, settings_for, tiny_checkpoint, write_csv
from transformers import pipeline

from bertft_helpers.batching import EncodedTexts, make_loader, pad_batch
from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import Predictions, predict
from bertft_helpers.own_texts.baselines import mean_vectors
from bertft_helpers.own_texts.cut_instead import CutInstead
from bertft_helpers.own_texts.familiarity import WithoutHead
from bertft_helpers.own_texts.record import TaskRecord
from bertft_helpers.own_texts.settings import TaskSettings
from bertft_helpers.own_texts.trained import evaluate_file, open_trained
from bertft_helpers.own_texts.whole_texts import WholeTexts, WindowSize, windows_for
from bertft_helpers.speed.dropout import use_byte_dropout

WINDOWS = {"policy": "windows", "max_length": 16}
Finished = tuple[TaskRecord, Path]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def long_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts whose class stands behind the first window, and before the last one."""
    rows = [
        (f"{'so and so ' * (n % 7)}{text}{' and so on' * (n % 4)}", kind)
        for n, (text, kind) in enumerate(labelled_rows())
    ]
    return write_csv(tmp_path_factory.mktemp("data") / "long.csv", rows)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, long_data: Path, checkpoint: Path) -> Finished:
    """A run on whole texts and its folder; the fine-tuned model is kept."""
    out = tmp_path_factory.mktemp("finished") / "out"
    return run(settings_for(long_data, checkpoint, **WINDOWS, keep="fine-tuned", exact=True), out), out


def long_examples() -> EncodedTexts:
    ids = [[2, *(5 + (row + place) % 50 for place in range(length)), 3] for row, length in enumerate((70, 3, 41))]
    return EncodedTexts(ids, [0, 1, 2])


def gradients_of(over: WholeTexts) -> Iterator[torch.Tensor]:
    torch.manual_seed(0)
    examples = long_examples()
    batch = pad_batch([examples[row] for row in range(3)])
    over(batch["input_ids"], batch["attention_mask"]).logits.square().sum().backward()
    for parameter in over.parameters():
        if parameter.grad is not None:
            yield parameter.grad.clone()
            parameter.grad = None


@pytest.mark.parametrize("dropout", ["torch", "bytes"])
def test_what_is_computed_twice_gives_the_gradient_of_what_is_kept(
    dropout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gradients = []
    for kept in (False, True):
        model = tiny_classifier(hidden_dropout_prob=0.3).train()
        if dropout == "bytes":
            use_byte_dropout(model, 0)
        over = WholeTexts(model, WindowSize(12, 2), token_budget=24)
        if kept:
            monkeypatch.setattr(over, "_logits_again", over._logits)
        gradients.append(list(gradients_of(over)))
    assert len(gradients[0]) > 20
    for again, once in zip(*gradients, strict=True):
        torch.testing.assert_close(again, once, atol=1e-6, rtol=1e-4)


def test_a_long_text_keeps_next_to_nothing_for_its_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    def kept_by(over: WholeTexts) -> int:
        sizes: list[int] = []
        ids = torch.tensor([[2, *[7] * 1000, 3]])

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            over(ids, torch.ones_like(ids)).logits.sum()
        return sum(sizes)

    over = WholeTexts(tiny_classifier().train(), WindowSize(12, 2), token_budget=24)
    flat = kept_by(over)
    monkeypatch.setattr(over, "_logits_again", over._logits)
    assert 200 * flat < kept_by(over)


def test_no_batch_of_windows_has_more_tokens_than_its_budget() -> None:
    shapes: list[torch.Size] = []
    model = tiny_classifier()
    model.register_forward_pre_hook(
        lambda module, args, given: shapes.append(given["input_ids"].shape), with_kwargs=True
    )
    predict(WindowSize(12, 2).over(model, batch_size=2, pad_id=0), make_loader(long_examples(), 3))
    assert max(shape.numel() for shape in shapes) <= 2 * 12
    assert sum(shape[0] for shape in shapes) == 9 + 1 + 5


def test_the_mean_of_the_vectors_under_the_head_is_the_mean_of_the_logits() -> None:
    model, loader = tiny_classifier().eval(), make_loader(long_examples(), 3)
    body = WithoutHead(model)
    vectors = predict(WholeTexts(body, WindowSize(12, 2), 48), loader).logits
    with torch.inference_mode():
        logits = body.head(torch.from_numpy(vectors)).numpy()
    np.testing.assert_allclose(logits, predict(WholeTexts(model, WindowSize(12, 2), 48), loader).logits, atol=1e-6)


def test_a_frozen_encoder_gives_a_text_the_mean_vector_of_its_windows() -> None:
    encoder, windows, examples = tiny_classifier().bert.eval(), WindowSize(12, 2), long_examples()
    found = mean_vectors(encoder, examples, windows=windows)
    cut = windows.cut(examples.input_ids[0])
    apart = mean_vectors(encoder, EncodedTexts(cut, [0] * len(cut)))
    np.testing.assert_allclose(found[0], apart.mean(axis=0), atol=1e-6)
    assert len(cut) == 9
    assert found.shape == (3, 16)


def test_short_texts_are_trained_to_the_same_weights_with_windows_as_without(tmp_path: Path, checkpoint: Path) -> None:
    data = write_csv(tmp_path / "short.csv", labelled_rows())
    how = {"max_length": 32, "exact": True}
    cut = run(settings_for(data, checkpoint, **how), tmp_path / "cut")
    whole = run(settings_for(data, checkpoint, **how, policy="windows"), tmp_path / "whole")
    first, second = parameters_of(cut.model), parameters_of(whole.model)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert whole.results["cut_instead"] is None  # nothing is longer


def test_an_interrupted_run_on_whole_texts_ends_as_one_that_is_not(
    tmp_path: Path, finished: Finished, long_data: Path, checkpoint: Path
) -> None:
    class Killed(Exception):
        pass

    def kill(done: int, planned: int, texts: int) -> None:
        if done == 4:  # in the second epoch
            raise Killed

    settings = settings_for(long_data, checkpoint, **WINDOWS, keep="fine-tuned", exact=True)
    with pytest.raises(Killed):
        run(settings, tmp_path / "out", kill)
    said: list[str] = []
    resumed = run(settings, tmp_path / "out", said=said)
    assert any("resumed from state-" in line for line in said)
    first, second = parameters_of(finished[0].model), parameters_of(resumed.model)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_saved_model_reads_whole_texts_as_the_run_did(finished: Finished) -> None:
    record, out = finished
    manifest = json.loads((out / "model" / "manifest.json").read_text())
    assert (manifest["policy"], manifest["stride"], manifest["max_length"]) == ("windows", 2, 16)
    texts, test = record.prepared.parts["test"]["text"][:], record.predictions["test"]
    classifier = open_trained(out, "cpu").classifier
    wanted = Predictions(test.logits / classifier.temperature, test.labels).probabilities
    found = [list(one.probabilities.values()) for one in classifier.predict(texts)]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_evaluate_reads_whole_texts_too(finished: Finished, tmp_path: Path) -> None:
    record, out = finished
    part = record.prepared.parts["test"]
    names = record.prepared.label_names
    kept = write_csv(tmp_path / "test.csv", [(row["text"], names[row["label"]]) for row in part])
    assert (
        evaluate_file(out, kept, device="cpu", on_note=lambda line: None)["accuracy"]
        == record.results["test"]["accuracy"]
    )


def test_other_tools_read_the_first_window_as_the_card_says(finished: Finished) -> None:
    record, out = finished
    text = max(record.prepared.parts["test"]["text"], key=len)
    theirs = pipeline(
        "text-classification", model=str(out / "model"), truncation=True, function_to_apply="none", top_k=None
    )
    first = WindowSize(16, 2).cut(record.prepared.examples["test"].input_ids[_longest(record)])[0]
    with torch.inference_mode():
        ours = record.model.eval()(torch.tensor([first])).logits[0].tolist()
    scores = {one["label"]: one["score"] for one in theirs(text)[0]}
    assert [scores[name] for name in record.prepared.label_names] == pytest.approx(ours, abs=1e-5)


def _longest(record: TaskRecord) -> int:
    texts = record.prepared.parts["test"]["text"][:]
    return texts.index(max(texts, key=len))


def test_the_report_says_what_cutting_would_have_given(finished: Finished) -> None:
    record, out = finished
    found = record.results["cut_instead"]
    longer = sum(length > 16 for length in record.prepared.lengths["validation"])
    assert (found["texts"], found["max_length"]) == (longer, 16)
    page = (out / "report.html").read_text()
    assert found["told"].split(".")[0] in page
    assert "were read in windows" in page
    assert "first window of a longer text" in page


def test_the_comparison_in_words() -> None:
    told = CutInstead(256, 80, 0.95, 0.9, "no clear difference", 0.22).told()
    assert "80 are longer than 256 tokens" in told
    assert "95.0% of these get the right label; cut (head+tail), 90.0% do by the same model" in told
    assert "(no clear difference, p = 0.22)" in told
    assert "(windows are better, p = 0.01)" in CutInstead(256, 80, 0.95, 0.8, "better", 0.01).told()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"policy": "head+tail", "stride": 8}, "give --long-texts windows too, or leave --stride away"),
        ({"policy": "windows", "stride": 0}, "stride is 0; it must be a whole number of at least 1"),
        ({"policy": "windows", "stride": -3}, "stride is -3; it must be a whole number of at least 1"),
        ({"policy": "windows", "stride": 1.5}, "stride is 1.5; it must be a whole number"),
        ({"policy": "middle"}, "policy is 'middle'; it must be one of head, tail, head\\+tail, windows"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_what_can(given: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        TaskSettings("texts.csv", **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("stride", [62, 64, 500])
def test_a_stride_that_leaves_a_window_nothing_new_is_refused(stride: int) -> None:
    settings = TaskSettings("texts.csv", policy="windows", stride=stride, max_length=64)
    with pytest.raises(UserError, match=f"the stride is {stride}.*at most 61; lower --stride \\(8 is usual\\)"):
        windows_for(settings, 64)


def test_windows_share_an_eighth_unless_told_otherwise() -> None:
    assert windows_for(TaskSettings("texts.csv", policy="windows"), 256) == WindowSize(256, 32)
    assert windows_for(TaskSettings("texts.csv", policy="windows", stride=9), 256) == WindowSize(256, 9)
    assert windows_for(TaskSettings("texts.csv"), 256) is None
