"""Models come from a folder whole or not at all: each kind of damage has its sentence, and no code of a folder runs."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from minimal import tiny_classifier, tiny_config
from safetensors.torch import load_file, save_file
from transformers import (
    BertForMaskedLM,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertModel,
    BertTokenizerFast,
    PreTrainedModel,
)

from bertft_helpers.errors import DamagedFileError, MissingError, UserError
from bertft_helpers.inference import TextClassifier
from bertft_helpers.models import build_classifier, has_head
from bertft_helpers.pretrained import find_checkpoint, load_encoder, load_tokenizer
from bertft_helpers.runtime import quiet_libraries

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "film", "team", "wins", "##s"]
NAMES = {0: "ham", 1: "news", 2: "spam"}
WEIGHTS, CONFIG = "model.safetensors", "config.json"
PACKAGE = Path(__file__).parents[1] / "bertft_helpers"


def with_tokenizer(folder: Path) -> Path:
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    BertTokenizerFast.from_pretrained(folder).save_pretrained(folder)
    (folder / "vocab.txt").unlink()
    return folder


def saved(model: PreTrainedModel, folder: Path, **options: Any) -> Path:
    """A folder as other tools write it: no manifest."""
    model.save_pretrained(folder, **options)
    return with_tokenizer(folder)


def foreign_classifier(folder: Path, vocab_size: int | None = None, **options: Any) -> Path:
    names = {"id2label": NAMES, "label2id": {name: number for number, name in NAMES.items()}}
    sizes = {"max_position_embeddings": 32, "vocab_size": vocab_size or tiny_config().vocab_size}
    return saved(tiny_classifier(**names, **sizes), folder, **options)


def configured(**changes: Any) -> Callable[[Path], None]:
    """Change entries of ``config.json``; None removes one."""

    def change(folder: Path) -> None:
        config = {**json.loads((folder / CONFIG).read_text()), **changes}
        (folder / CONFIG).write_text(json.dumps({name: value for name, value in config.items() if value is not None}))

    return change


def weights(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        tensors = change(load_file(folder / WEIGHTS))
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})

    return damage


def content(name: str, new: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(new) and None


def removed(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def only_vocab_txt(new: bytes) -> Callable[[Path], None]:
    """The kind of vocabulary that older models have, in place of ``tokenizer.json``."""

    def damage(folder: Path) -> None:
        (folder / "tokenizer.json").unlink()
        (folder / "vocab.txt").write_bytes(new)

    return damage


def truncated(folder: Path) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[: len(whole) // 2])


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()


def filled(number: float) -> Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
    name = "bert.encoder.layer.0.output.dense.bias"
    return lambda tensors: {**tensors, name: torch.full_like(tensors[name], number)}


def without(part: str) -> Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
    return lambda tensors: {name: tensor for name, tensor in tensors.items() if part not in name}


def adapted(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / "adapter_config.json").write_text("{}")


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 91000000\n"
# what is done to a good classifier's folder -> the kind of error, and what its sentence must say
DAMAGES: dict[str, tuple[Callable[[Path], None], type[Exception], list[str]]] = {
    "no head": (
        weights(without("classifier")),
        UserError,
        ["no classifier head", "classifier.bias, classifier.weight missing", "bertft train"],
    ),
    "a layer removed": (
        weights(without("layer.1.")),
        UserError,
        ["16 missing", "bert.encoder.layer.1."],
    ),
    "a layer too many": (configured(num_hidden_layers=1), UserError, ["16 of no use", "bert.encoder.layer.1."]),
    "names that do not fit": (
        weights(lambda tensors: {f"my.{name}": tensor for name, tensor in tensors.items()}),
        UserError,
        ["41 missing", "41 of no use", "do not fit"],
    ),
    "another width": (
        configured(hidden_size=32),
        UserError,
        ["38 of another size", "bias [16] instead of [32]"],
    ),
    "too many labels": (
        configured(id2label={"0": "a", "1": "b", "2": "c", "3": "d"}, label2id=None),
        UserError,
        ["2 of another size", "classifier.weight [3, 16] instead of [4, 16]"],
    ),
    "another architecture": (configured(model_type="gpt2", pad_token_id=0), UserError, ["do not fit", "missing"]),
    "an unknown architecture": (configured(model_type="bertie"), UserError, ["cannot be loaded", "bertie"]),
    "no architecture": (configured(model_type=None), UserError, ["cannot be loaded", "model_type"]),
    "NaN": (weights(filled(float("nan"))), DamagedFileError, ["1 weights", "NaN or infinity", "layer.0.output.dense"]),
    "infinity": (weights(filled(float("-inf"))), DamagedFileError, ["1 weights", "NaN or infinity"]),
    "truncated weights": (truncated, DamagedFileError, [WEIGHTS, "truncated or damaged", " bytes", "download"]),
    "a pointer": (content(WEIGHTS, POINTER), DamagedFileError, ["git-lfs pointer of 133 bytes", "git lfs pull"]),
    "a pointer for the tokenizer": (
        content("tokenizer.json", POINTER),
        DamagedFileError,
        ["tokenizer.json", "git lfs"],
    ),
    "empty weights": (content(WEIGHTS, b""), DamagedFileError, [WEIGHTS, "is empty (0 bytes)"]),
    "weights of another kind": (content(WEIGHTS, b"PK\x03\x04" * 99), DamagedFileError, [WEIGHTS, "damaged"]),
    "an HTML page as weights": (content(WEIGHTS, b"<!doctype html>" * 99), DamagedFileError, [WEIGHTS, "damaged"]),
    "no weights": (removed(WEIGHTS), MissingError, ["model.safetensors missing"]),
    "a pickle": (pickled, UserError, ["pytorch_model.bin", "can run code", "save it again"]),
    "an adapter": (adapted, UserError, ["an adapter", "merge it"]),
    "no tokenizer": (removed("tokenizer.json"), MissingError, ["no tokenizer", "tokenizer.json or vocab.txt"]),
    "an empty vocabulary": (content("tokenizer.json", b""), DamagedFileError, ["tokenizer.json", "is empty"]),
    "an empty vocab.txt alone": (
        only_vocab_txt(b""),
        DamagedFileError,
        ["vocab.txt", "is empty (0 bytes)"],
    ),
    "a vocab.txt of nothing but an end of line": (
        only_vocab_txt(b"\n"),
        UserError,
        ["the tokenizer in", "no words", "copy its files again"],
    ),
    "half a tokenizer": (content("tokenizer.json", b'{"version": "1.0", "trunc'), DamagedFileError, ["is no JSON"]),
    "a tokenizer of nothing": (content("tokenizer.json", b"{}"), UserError, ["the tokenizer in", "cannot be loaded"]),
    "a list as tokenizer settings": (
        content("tokenizer_config.json", b"[]"),
        DamagedFileError,
        ["tokenizer_config.json", "no JSON object but a list"],
    ),
    "a tokenizer for a larger model": (
        weights(lambda t: {**t, EMBEDDINGS: t[EMBEDDINGS][:8].clone()}),
        UserError,
        ["of another size"],
    ),
    "no config": (removed(CONFIG), MissingError, ["config.json missing"]),
    "an empty config": (content(CONFIG, b""), DamagedFileError, ["config.json", "is empty"]),
    "half a config": (content(CONFIG, b'{"model_type": "be'), DamagedFileError, ["config.json", "is no JSON"]),
    "a list as config": (content(CONFIG, b"[]"), DamagedFileError, ["config.json", "no JSON object but a list"]),
    "null as config": (content(CONFIG, b"null"), DamagedFileError, ["no JSON object but a NoneType"]),
    "a config of bytes": (content(CONFIG, b"\xff\xfe\x00"), DamagedFileError, ["config.json", "is no JSON"]),
    "a deep config": (content(CONFIG, b"[" * 100_000), DamagedFileError, ["config.json", "is no JSON"]),
    "a hole in the names": (
        configured(id2label={"0": "a", "1": "b", "3": "c"}),
        UserError,
        ["id2label", "without a gap"],
    ),
    "a repeated name": (
        configured(id2label={"0": "a", "1": "a", "2": "c"}, label2id=None),
        UserError,
        ["id2label", "at least two different names"],
    ),
    "names as a list": (configured(id2label=["a", "b", "c"]), UserError, ["id2label", "no table"]),
    "numbers as names": (configured(id2label={"0": 1, "1": 2, "2": 3}), UserError, ["id2label", "no table"]),
    "names that disagree": (configured(label2id={"ham": 2, "news": 1, "spam": 0}), UserError, ["disagree"]),
    "one label": (configured(id2label={"0": "score"}), UserError, ["at least two different names"]),
    "several labels per text": (
        configured(problem_type="multi_label_classification"),
        UserError,
        ["multi_label_classification", "one label"],
    ),
    "regression": (configured(problem_type="regression"), UserError, ["regression", "one label"]),
}
EMBEDDINGS = "bert.embeddings.word_embeddings.weight"


@pytest.fixture(autouse=True)
def _without_bars() -> None:
    quiet_libraries()  # as every command does; it hides bars, not reports


@pytest.fixture
def classifier_folder(tmp_path: Path) -> Path:
    return foreign_classifier(tmp_path / "model")


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_classifier_is_refused_in_one_sentence(
    name: str, classifier_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    damage, kind, parts = DAMAGES[name]
    damage(classifier_folder)
    capfd.readouterr()
    with pytest.raises(kind) as caught:
        TextClassifier.load(classifier_folder)
    message = str(caught.value)
    assert [part for part in parts if part not in message] == [], message
    assert "\n" not in message
    assert len(message) < 700
    assert capfd.readouterr().err == ""  # what transformers reports is in the sentence


def test_a_complete_folder_of_another_tool_is_accepted_and_that_is_noted(
    classifier_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    classifier = TextClassifier.load(classifier_folder)
    assert [answer.label in NAMES.values() for answer in classifier.predict(["the film", "team wins"])] == [True, True]
    assert classifier.preprocessing == "none"
    assert "no manifest.json" in " ".join(classifier.notes)
    assert capfd.readouterr().err == ""


def test_a_tokenizer_that_may_be_another_models_is_noted(tmp_path: Path) -> None:
    notes = " ".join(TextClassifier.load(foreign_classifier(tmp_path / "cut")).notes)
    assert f"has {len(WORDS)} entries, the model has vectors for {tiny_config().vocab_size}" in notes
    whole = foreign_classifier(tmp_path / "whole", vocab_size=len(WORDS))
    assert "entries" not in " ".join(TextClassifier.load(whole).notes)
    (whole / "tokenizer.json").unlink()
    (whole / "vocab.txt").write_text("\n".join(reversed(WORDS)) + "\n", encoding="utf-8")
    assert "pads with entry 9, its model with 0" in " ".join(TextClassifier.load(whole).notes)


def test_two_files_of_one_tokenizer_that_differ_are_noted(tmp_path: Path) -> None:
    """They are of one size, so nothing else can tell; with one of the two, only the missing manifest is noted."""
    folder = foreign_classifier(tmp_path / "model", vocab_size=len(WORDS))
    for words, differs in ((WORDS, False), ([*WORDS[:-2], WORDS[-1], WORDS[-2]], True)):
        (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
        notes = " ".join(TextClassifier.load(folder).notes)
        assert ("tokenizer.json and vocab.txt in" in notes) == ("differ in 2 entries" in notes) == differs
        assert "no manifest.json" in notes


def test_weights_in_several_files_are_one_model(tmp_path: Path) -> None:
    whole = TextClassifier.load(foreign_classifier(tmp_path / "whole"))
    folder = foreign_classifier(tmp_path / "parts", max_shard_size="5kB")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 1
    texts = ["the film", "team wins"]
    assert TextClassifier.load(folder).predict(texts) == whole.predict(texts)
    shards[0].unlink()
    with pytest.raises(MissingError, match=rf"1 of the {len(shards)} files of weights are missing .* model-00001"):
        TextClassifier.load(folder)


def test_an_index_never_leads_out_of_the_folder(tmp_path: Path) -> None:
    folder = foreign_classifier(tmp_path / "model")
    (folder / WEIGHTS).rename(tmp_path / "elsewhere.safetensors")
    index = {"weight_map": {"classifier.bias": "../elsewhere.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(MissingError, match=r"files of weights are missing .*\.\./elsewhere"):
        TextClassifier.load(folder)


@pytest.mark.parametrize("model_class", [BertModel, BertForMaskedLM, BertForPreTraining, BertForQuestionAnswering])
def test_an_encoder_comes_out_of_every_task_of_bert(
    model_class: type[PreTrainedModel], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    model = model_class(tiny_config())
    folder = saved(model, tmp_path / "model")
    capfd.readouterr()
    expected = getattr(model, "bert", model).encoder.layer[1].output.dense.weight
    assert torch.equal(load_encoder(str(folder)).encoder.layer[1].output.dense.weight, expected)
    classifier = build_classifier(str(folder), ["a", "b"], seed=1)
    assert torch.equal(classifier.bert.encoder.layer[1].output.dense.weight, expected)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("load", [load_encoder, lambda folder: build_classifier(folder, ["a", "b"], seed=0)])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (weights(lambda t: {f"x.{name}": tensor for name, tensor in t.items()}), "missing .* of no use"),
        (weights(without("layer.0.")), "16 missing"),
        (configured(hidden_size=32), "of another size"),
        (configured(model_type="roberta"), "is of the type 'roberta'; only BERT"),
        (weights(filled(float("nan"))), "NaN or infinity"),
        (truncated, "truncated"),
        (content(WEIGHTS, POINTER), "git-lfs"),
        (content(CONFIG, b"[]"), "no JSON object"),
    ],
)
def test_a_damaged_checkpoint_is_not_trained_on(
    load: Callable[[str], Any], damage: Callable[[Path], None], message: str, classifier_folder: Path
) -> None:
    damage(classifier_folder)
    with pytest.raises((UserError, DamagedFileError), match=message):
        load(str(classifier_folder))


def test_a_checkpoint_without_a_tokenizer_is_refused(classifier_folder: Path) -> None:
    (classifier_folder / "tokenizer.json").unlink()
    with pytest.raises(MissingError, match=r"tokenizer\.json or vocab\.txt missing"):
        load_tokenizer(str(classifier_folder))


def test_the_bundled_checkpoint_is_no_classifier() -> None:
    with pytest.raises(UserError, match=r"no classifier head: classifier\.bias, classifier\.weight missing"):
        TextClassifier.load(find_checkpoint())


@pytest.mark.parametrize("names", [["x", "y", "z"], ["x", "y", "z", "w"]])
def test_going_on_from_a_classifier_starts_with_a_head_that_the_seed_alone_decides(
    names: list[str], tmp_path: Path
) -> None:
    folder = str(foreign_classifier(tmp_path / "model"))
    trained = load_file(Path(folder) / WEIGHTS)
    assert has_head(folder)
    assert not has_head("bundled")
    first, again, other = (build_classifier(folder, names, seed) for seed in (1, 1, 2))
    assert torch.equal(first.classifier.weight, again.classifier.weight)
    assert not torch.equal(first.classifier.weight, other.classifier.weight)
    assert first.classifier.weight.shape != (3, 16) or not torch.equal(
        first.classifier.weight, trained["classifier.weight"]
    )
    assert torch.equal(first.bert.pooler.dense.weight, trained["bert.pooler.dense.weight"])
    assert first.config.id2label == dict(enumerate(names))


def test_code_in_a_model_folder_never_runs_whatever_is_typed(classifier_folder: Path, tmp_path: Path) -> None:
    marker = tmp_path / "it-ran"
    source = f"open({str(marker)!r}, 'w').close()\nclass Evil: pass\n"
    for name in ("evil.py", "configuration_evil.py", "modeling_evil.py"):
        (classifier_folder / name).write_text(source)
    evil = {"AutoConfig": "evil.Evil", "AutoModelForSequenceClassification": "evil.Evil"}
    configured(model_type="evilbert", auto_map=evil)(classifier_folder)
    settings = {"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}}
    (classifier_folder / "tokenizer_config.json").write_text(json.dumps(settings))
    for command in (["predict", classifier_folder, "-"], ["train", "-", "--checkpoint", classifier_folder]):
        more = ["--out", tmp_path / "out"] if command[0] == "train" else []
        done = subprocess.run(
            [sys.executable, "-m", "bertft_helpers", *map(str, [*command, *more])],
            input="y\ny\ny\nyes\nthe film\n",
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 2, done.stderr
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        assert not marker.exists()


def test_every_load_says_that_no_code_of_a_folder_may_run() -> None:
    loads = ("from_pretrained", "load_dataset")
    careless = []
    for path in PACKAGE.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func).split(".")[-1] in loads:
                said = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
                if said.get("trust_remote_code") != "False":
                    careless.append(f"{path.relative_to(PACKAGE)}:{call.lineno}")
    assert careless == []
