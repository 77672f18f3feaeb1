"""Tagging words: labels stand on first pieces, what does not fit is refused, and a saved tagger is everybody's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from minimal import RATE, parameters_of, tiny_config
from torch.nn.functional import cross_entropy
from transformers import BertForTokenClassification, pipeline

from bertft_helpers.batching import IGNORE, EncodedTexts, make_loader, pad_batch
from bertft_helpers.config import TrainConfig
from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import evaluate
from bertft_helpers.losses import classification_loss
from bertft_helpers.optim import build_optimizer
from bertft_helpers.pretrained import load_tokenizer
from bertft_helpers.spans import spans_of
from bertft_helpers.tagging import build_tagger, encode_tagged, first_pieces, label_pieces, word_scores
from bertft_helpers.training import fit, steps_per_run
from bertft_helpers.validation import check_examples

TAGS = ["O", "B-NAME", "I-NAME"]
WORDS = ["shares", "in", "allied", "domecq", "rose"]
OWN = ["O", "O", "B-NAME", "I-NAME", None]


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("bundled")


def tiny_tagger(seed: int = 0) -> BertForTokenClassification:
    torch.manual_seed(seed)
    return BertForTokenClassification(tiny_config(vocab_size=30_522))


def test_the_first_piece_carries_the_label_and_the_others_none() -> None:
    of_piece = [None, 0, 1, 1, 1, 2, None]  # [CLS] a bc ##de ##f g [SEP]
    assert first_pieces(of_piece) == [1, 2, 5]
    assert label_pieces(of_piece, ["O", "B-NAME", None], TAGS) == [IGNORE, 0, 1, IGNORE, IGNORE, IGNORE, IGNORE]


def test_an_encoded_sentence_says_on_which_pieces_its_tags_stand(tokenizer) -> None:
    example = encode_tagged([WORDS], [OWN], TAGS, tokenizer)[0]
    pieces = tokenizer.convert_ids_to_tokens(example["input_ids"])
    labelled = {piece: TAGS[label] for piece, label in zip(pieces, example["labels"], strict=True) if label != IGNORE}
    assert pieces == ["[CLS]", "shares", "in", "allied", "dome", "##c", "##q", "rose", "[SEP]"]
    assert labelled == {"shares": "O", "in": "O", "allied": "B-NAME", "dome": "I-NAME"}


@pytest.mark.parametrize(
    ("sentences", "tags", "says"),
    [
        ([WORDS, ["one", "two"]], [OWN, ["O"]], "sentence 2 has 2 words and 1 tags: give each word one tag"),
        ([WORDS], [["O", "O", "B-NAM", "O", "O"]], "sentence 1: 'B-NAM' is none of the tags O, B-NAME, I-NAME"),
        ([WORDS], [], "1 sentences but 0 lists of tags"),
        (["shares rose"], [["O", "O"]], "sentence 1 is 'shares rose': give a list of its words"),
        ([WORDS, []], [OWN, []], "sentence 2 is []: give a list of its words, at least one"),
        ([["a", "\u200b"]], [["O", "O"]], "sentence 1: '\\u200b' has no piece in the vocabulary: remove such words"),
        ([["a"] * 511], [["O"] * 511], "sentence 1 has 513 pieces, the model takes 512: split it"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_sentence_and_what_to_do(tokenizer, sentences, tags, says) -> None:
    with pytest.raises(UserError) as refused:
        encode_tagged(sentences, tags, TAGS, tokenizer)
    assert says in str(refused.value)


def test_labels_of_tokens_are_padded_with_ignored_ones_and_lost_ones_are_refused() -> None:
    batch = pad_batch([{"input_ids": [2, 5, 3], "labels": [IGNORE, 1, 0]}, {"input_ids": [2, 3], "labels": [0, 2]}])
    assert batch["labels"].tolist() == [[IGNORE, 1, 0], [0, 2, IGNORE]]
    uneven = EncodedTexts([[2, 5, 3], [2, 3]], [[0, 1, 0], [0]])
    with pytest.raises(UserError, match="labels do not fit the tokens of row 1 "):
        check_examples(uneven, tiny_tagger())
    with pytest.raises(UserError, match="labels out of range in row 0, such as 3"):
        check_examples(EncodedTexts([[2, 3]], [[0, 3]]), tiny_tagger())


def test_loss_and_accuracy_of_tokens_are_those_of_a_list_of_tokens() -> None:
    model, labels = tiny_tagger().eval(), [[IGNORE, 1, 0, IGNORE], [IGNORE, 2, IGNORE]]
    examples = EncodedTexts([[2, 5, 6, 3], [2, 7, 3]], labels)
    loader = make_loader(examples, 2)
    (batch,) = loader
    with torch.no_grad():
        summed, count = classification_loss(model, batch)
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    wanted = batch["labels"] != IGNORE
    expected = cross_entropy(logits[wanted], batch["labels"][wanted], reduction="sum")
    torch.testing.assert_close(summed, expected)
    assert count == 3
    measured = evaluate(model, loader)
    assert measured.targets == 3
    assert measured.loss == pytest.approx(expected.item() / 3)
    assert measured.accuracy == pytest.approx((logits[wanted].argmax(-1) == batch["labels"][wanted]).float().mean())


def test_the_loop_of_lesson_19_trains_a_tagger_unchanged(tokenizer) -> None:
    sentences = [["shares", "in", name, "rose"] for name in ("allied", "domecq", "sony", "nokia")]
    examples = encode_tagged(sentences, [["O", "O", "B-NAME", "O"]] * 4, TAGS, tokenizer)
    model, config = tiny_tagger(), TrainConfig(epochs=15)
    loader = make_loader(examples, 2, seed=0)
    optimizer, schedule = build_optimizer(model, RATE, steps_per_run(loader, config))
    history = fit(model, loader, make_loader(examples, 4), optimizer, schedule, config)
    assert history.epochs[-1]["validation_accuracy"] == 1


def test_scores_come_back_in_the_order_of_the_sentences_one_row_for_each_word(tokenizer) -> None:
    sentences, model = [WORDS, ["rose"], ["domecq", "rose"]], tiny_tagger().train()
    together = word_scores(model, tokenizer, sentences)
    assert model.training
    assert [scores.shape for scores in together] == [(5, 3), (1, 3), (2, 3)]
    for words, scores in zip(sentences, together, strict=True):
        (alone,) = word_scores(model, tokenizer, [words])
        torch.testing.assert_close(scores, alone, atol=1e-5, rtol=0)
        torch.testing.assert_close(scores.exp().sum(dim=1), torch.ones(len(words)))


def test_a_seed_fixes_the_head_and_the_encoder_is_the_checkpoints() -> None:
    first, again, other = (parameters_of(build_tagger("bundled", TAGS, seed)) for seed in (0, 0, 1))
    assert torch.equal(first["classifier.weight"], again["classifier.weight"])
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])
    assert torch.equal(first["bert.embeddings.word_embeddings.weight"], other["bert.embeddings.word_embeddings.weight"])


def test_a_saved_tagger_gives_the_same_spans_in_transformers_pipeline(tokenizer, tmp_path: Path) -> None:
    model = build_tagger("bundled", TAGS, seed=1)
    torch.nn.init.normal_(model.classifier.weight, std=0.5)  # so that untrained scores differ from word to word
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    (scores,) = word_scores(model, tokenizer, [WORDS])
    own = [
        (" ".join(WORDS[start:end]), kind)
        for kind, start, end in spans_of([TAGS[number] for number in scores.argmax(dim=1).tolist()])
    ]
    tagger = pipeline("token-classification", model=str(tmp_path), aggregation_strategy="first")
    found = [(span["word"], span["entity_group"]) for span in tagger(" ".join(WORDS))]
    assert own == found
    assert own
