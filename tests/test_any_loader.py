"""``fit``, ``evaluate`` and ``predict`` take any DataLoader of the usual batches, and say what is missing in others."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from minimal import parameters_of, tiny_classifier, tiny_loader
from torch.utils.data import DataLoader, DistributedSampler, RandomSampler, Sampler, TensorDataset
from transformers import BertForSequenceClassification, DataCollatorWithPadding

from bertft_helpers.batching import Batch
from bertft_helpers.config import TrainConfig
from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import evaluate, predict
from bertft_helpers.losses import classification_loss
from bertft_helpers.optim import build_optimizer
from bertft_helpers.pretrained import load_tokenizer
from bertft_helpers.training import fit, steps_per_run

TOKENIZER = load_tokenizer()
PAIRS = [(f"a question about the number {n}", "an answer " * (1 + n % 3)) for n in range(7)]
LABELS = [n % 3 for n in range(7)]


@pytest.fixture
def model() -> BertForSequenceClassification:
    return tiny_classifier(vocab_size=len(TOKENIZER), initializer_range=0.3)


def encoded() -> Dataset:
    """Pairs of sentences as transformers' own examples encode them: token_type_ids tell the second from the first."""
    first, second = zip(*PAIRS, strict=True)
    return Dataset.from_dict({**TOKENIZER(list(first), list(second)), "label": LABELS})


def loader(examples: Dataset | None = None, sampler: Sampler | None = None, batch_size: int = 3) -> DataLoader:
    collate = DataCollatorWithPadding(TOKENIZER)
    return DataLoader(examples or encoded(), batch_size, sampler=sampler, collate_fn=collate)


def logits_one_by_one(model: BertForSequenceClassification) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat([model.eval()(**TOKENIZER(*pair, return_tensors="pt")).logits for pair in PAIRS])


def trained(model: BertForSequenceClassification, train_loader: DataLoader, loss_fn: Callable = classification_loss):
    config = TrainConfig(epochs=2, accumulate=2)
    optimizer, schedule = build_optimizer(model, 1e-2, steps_per_run(train_loader, config))
    return fit(model, train_loader, loader(), optimizer, schedule, config, loss_fn)


def test_batches_without_rows_are_predicted_in_the_order_in_which_they_come(model) -> None:
    predictions = predict(model, loader())
    np.testing.assert_allclose(predictions.logits, logits_one_by_one(model).numpy(), atol=1e-5)
    assert predictions.labels.tolist() == LABELS


def test_token_types_of_a_batch_reach_the_model(model) -> None:
    expected = torch.nn.functional.cross_entropy(logits_one_by_one(model), torch.tensor(LABELS)).item()
    assert evaluate(model, loader()).loss == pytest.approx(expected, abs=1e-5)
    without = evaluate(model, loader(encoded().remove_columns("token_type_ids"))).loss
    assert abs(without - expected) > 1e-3


def test_fit_trains_from_transformers_own_loader(model) -> None:
    before = parameters_of(model)["classifier.weight"]
    history = trained(model, loader())
    assert [step.targets for step in history.steps] == [6, 1, 6, 1]
    assert len(history.epochs) == 2
    assert not torch.equal(parameters_of(model)["classifier.weight"], before)


def test_the_readmes_script_trains_from_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(from datasets import Dataset\n.*?)```", readme, flags=re.DOTALL)
    rows = [f"text {n} is {('bad', 'good')[n % 2]},{n % 2}" for n in range(20)]
    (tmp_path / "reviews.csv").write_text("\n".join(["text,label", *rows]))
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(script, names)
    assert sum(step.targets for step in names["history"].steps) == 16 * len(names["history"].epochs)


def orders_of(model: BertForSequenceClassification, sampler: Sampler) -> list[list[int]]:
    """The rows that each of two epochs went through."""
    seen: list[int] = []

    def spy(model: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        seen.extend(batch["number"].tolist())
        return classification_loss(model, batch)

    trained(model, loader(encoded().add_column("number", list(range(7))), sampler), spy)
    return [seen[:7], seen[7:]]


def test_a_sampler_that_knows_epochs_is_told_each_of_them(model) -> None:
    def sampler() -> DistributedSampler:
        return DistributedSampler(encoded(), num_replicas=1, rank=0, seed=5)

    expected = []
    for epoch in range(2):
        by_hand = sampler()
        by_hand.set_epoch(epoch)
        expected.append(list(by_hand))
    assert expected[0] != expected[1]
    assert orders_of(model, sampler()) == expected


def test_a_sampler_without_epochs_draws_as_it_likes(model) -> None:
    first, second = orders_of(model, RandomSampler(range(7), generator=torch.Generator().manual_seed(0)))
    assert first != second
    assert sorted(first) == sorted(second) == list(range(7))


@pytest.mark.parametrize("missing", ["labels", "input_ids", "attention_mask"])
def test_a_column_that_batches_lack_is_named_with_those_that_they_have(model, missing: str) -> None:
    def collate(rows: list[dict]) -> dict:
        return {name: column for name, column in DataCollatorWithPadding(TOKENIZER)(rows).items() if name != missing}

    lacking = DataLoader(encoded(), 3, collate_fn=collate)
    for use in (evaluate, predict, trained):
        with pytest.raises(
            UserError, match=f"a batch has no '{missing}', only '.*give the loader a collate_fn"
        ) as told:
            use(model, lacking)
        present = {"labels", "input_ids", "attention_mask", "token_type_ids"} - {missing}
        assert all(f"'{name}'" in str(told.value) for name in present)


def test_batches_that_are_no_dictionaries_are_refused(model) -> None:
    tuples = DataLoader(TensorDataset(torch.ones(4, 5, dtype=torch.long), torch.zeros(4, dtype=torch.long)), 2)
    for use in (evaluate, predict, trained):
        with pytest.raises(UserError, match="a batch is a list; a dictionary of tensors is needed, with input_ids"):
            use(model, tuples)


def test_columns_that_are_no_tensors_stay_with_their_batch(model) -> None:
    def collate(rows: list[dict]) -> dict:
        words = [row.pop("words") for row in rows]
        return {**DataCollatorWithPadding(TOKENIZER)(rows), "words": words}

    examples = encoded().add_column("words", [" ".join(pair) for pair in PAIRS])
    assert evaluate(model, DataLoader(examples, 3, collate_fn=collate)) == evaluate(model, loader())


def test_a_loader_that_does_not_know_its_length_says_so_when_steps_are_counted() -> None:
    endless = DataLoader(encoded().to_iterable_dataset(), 3, collate_fn=DataCollatorWithPadding(TOKENIZER))
    with pytest.raises(UserError, match="does not know its length; count its batches and give the steps yourself"):
        steps_per_run(endless, TrainConfig())


class Averaged(torch.optim.SGD):
    """Descent that is evaluated at the mean of the points it has been at, as schedule-free optimizers are."""

    def __init__(self, parameters, lr: float) -> None:
        super().__init__(parameters, lr)
        self.calls: list[str] = []
        self.steps = 0

    def step(self, closure=None) -> None:
        assert self.calls[-1] == "train"
        super().step(closure)
        self.steps += 1
        for parameter in self.param_groups[0]["params"]:
            state = self.state[parameter]
            state["mean"] = state.get("mean", 0) + (parameter.detach() - state.get("mean", 0)) / self.steps

    def train(self) -> None:
        if self.calls and self.calls[-1] == "eval":
            self._swap()
        self.calls.append("train")

    def eval(self) -> None:
        self._swap()
        self.calls.append("eval")

    @torch.no_grad()
    def _swap(self) -> None:
        for parameter in self.param_groups[0]["params"]:
            state = self.state[parameter]
            point = parameter.clone()
            parameter.copy_(state["mean"])
            state["mean"] = point


def test_an_optimizer_with_two_sets_of_weights_is_told_when_the_model_trains_and_when_it_is_used() -> None:
    model = tiny_classifier(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, initializer_range=0.2)
    optimizer, points, used = Averaged(model.parameters(), lr=0.5), [], []
    validation_loader = tiny_loader(7, seed=None)

    def spy(model: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        points.append(model.classifier.bias.detach().clone())
        return classification_loss(model, batch)

    def remember(row: dict[str, float]) -> None:
        used.append((row["validation_loss"], evaluate(model, validation_loader).loss))

    config = TrainConfig(epochs=2)
    history = fit(model, tiny_loader(9, 3), validation_loader, optimizer, None, config, spy, on_epoch=remember)
    assert optimizer.calls == ["train", "eval", "train", "eval"]
    assert [step.learning_rate for step in history.steps] == [0.5] * 6  # no schedule: the rate stays
    assert all(measured == by_hand for measured, by_hand in used)
    last = optimizer.state[model.classifier.bias]["mean"]  # the point itself, while the model holds the mean
    mean = torch.stack([*points[1:], last]).mean(dim=0)
    torch.testing.assert_close(model.classifier.bias.detach(), mean, atol=1e-6, rtol=0)
    assert not torch.equal(last, mean)
