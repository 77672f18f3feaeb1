"""Masked words: the rule is the library's, what is hidden can be repeated, and a saved model is everybody's."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest
import torch
from minimal import RATE, parameters_of, tiny_classifier, tiny_config
from torch.nn.functional import cross_entropy
from transformers import BertForMaskedLM, DataCollatorForLanguageModeling, pipeline

from bertft_helpers.batching import IGNORE, EncodedTexts, encode, make_loader
from bertft_helpers.blanks import fill_blanks
from bertft_helpers.config import TrainConfig
from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import evaluate
from bertft_helpers.masking import MaskedTexts, build_masked_model, cut_stretches, mask_pieces, masked_word_loss
from bertft_helpers.models import encoder_of
from bertft_helpers.optim import build_optimizer
from bertft_helpers.pretrained import load_tokenizer
from bertft_helpers.training import fit, steps_per_run
from bertft_helpers.validation import check_examples

TEXTS = ["shares in allied domecq rose on tuesday", "the striker scored twice", "the budget was cut"]


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("bundled")


def tiny_masked_model(seed: int = 0) -> BertForMaskedLM:
    torch.manual_seed(seed)
    return BertForMaskedLM(tiny_config(vocab_size=30_522))


def test_a_text_is_cut_into_stretches_that_hold_every_piece_once() -> None:
    assert cut_stretches([[2, 5, 6, 7, 8, 9, 3]], 4) == [[2, 5, 6, 3], [2, 7, 8, 3], [2, 9, 3]]
    assert cut_stretches([[2, 5, 6, 3], [2, 3], [2, 7, 3]], 4) == [[2, 5, 6, 3], [2, 7, 3]]
    with pytest.raises(UserError, match=r"length is 2; \[CLS\], \[SEP\] and one piece need at least 3"):
        cut_stretches([[2, 5, 3]], 2)


@pytest.mark.parametrize("share", [0.15, 0.5])
def test_the_same_draws_hide_the_same_pieces_as_the_librarys_collator(tokenizer, share: float) -> None:
    ids = torch.tensor(tokenizer(TEXTS * 40, padding=True)["input_ids"])
    special = torch.isin(ids, torch.tensor(tokenizer.all_special_ids))
    torch.manual_seed(3)
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=share)
    expected = collator.torch_mask_tokens(ids.clone())
    torch.manual_seed(3)
    found = mask_pieces(ids, special, tokenizer.mask_token_id, len(tokenizer), share=share)
    for mine, theirs in zip(found, expected, strict=True):
        assert torch.equal(mine, theirs)


def test_of_the_chosen_pieces_eight_tenths_are_hidden_one_is_another_and_one_stays() -> None:
    ids, count = torch.arange(10, 40_010), 40_000
    seen, labels = mask_pieces(ids, ids >= 30_010, 4, 50_000, torch.Generator().manual_seed(0))
    chosen = labels != IGNORE
    assert not chosen[30_000:].any()  # special pieces are never guessed
    assert torch.equal(labels[chosen], ids[chosen])
    assert torch.equal(seen[~chosen], ids[~chosen])
    kinds = Counter(
        "mask" if s == 4 else "same" if s == i else "other" for s, i in zip(seen[chosen], ids[chosen], strict=True)
    )
    assert count > 30_000 * 0.15  # so that the shares below are within four standard errors
    assert chosen.sum() / 30_000 == pytest.approx(0.15, abs=4 * math.sqrt(0.15 * 0.85 / 30_000))
    for kind, share in {"mask": 0.8, "other": 0.1, "same": 0.1}.items():
        assert kinds[kind] / chosen.sum() == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 4500)), kind


def test_masks_depend_on_seed_epoch_and_row_and_on_nothing_else(tokenizer) -> None:
    ids = encode(TEXTS * 10, tokenizer)
    texts, again, other = (MaskedTexts(ids, tokenizer, seed) for seed in (0, 0, 1))
    assert [texts[row] for row in (3, 1)] == [again[row] for row in (1, 3)][::-1]
    assert [texts[row]["labels"] for row in range(30)] != [other[row]["labels"] for row in range(30)]
    first = [texts[row]["labels"] for row in range(30)]
    texts.set_epoch(1)
    assert [texts[row]["labels"] for row in range(30)] != first
    texts.set_epoch(0)
    assert [texts[row]["labels"] for row in range(30)] == first
    with pytest.raises(UserError, match="share is 0; it must be above 0 and at most 1"):
        MaskedTexts(ids, tokenizer, 0, share=0)


def test_the_loss_is_that_of_the_whole_table_of_scores_at_the_hidden_places(tokenizer) -> None:
    model = tiny_masked_model().eval()
    (batch,) = make_loader(MaskedTexts(encode(TEXTS, tokenizer), tokenizer, 0, share=0.5), 3)
    summed, count = masked_word_loss(model, batch)
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    expected = cross_entropy(logits.flatten(0, 1), batch["labels"].flatten(), reduction="sum")
    torch.testing.assert_close(summed, expected)
    assert count == (batch["labels"] != IGNORE).sum() > 1
    nothing = {**batch, "labels": torch.full_like(batch["labels"], IGNORE)}
    summed, count = masked_word_loss(model, nothing)
    summed.backward()  # a batch without a hidden piece moves nothing and breaks nothing
    assert (summed.item(), count.item()) == (0, 0)


def test_an_untrained_head_that_scores_all_pieces_alike_has_the_loss_of_chance(tokenizer) -> None:
    model = tiny_masked_model()
    model.bert.embeddings.word_embeddings.weight.data.zero_()  # tied: every score is 0
    measured = evaluate(model, make_loader(MaskedTexts(encode(TEXTS, tokenizer), tokenizer, 0, share=1.0), 3))
    assert measured.loss == pytest.approx(math.log(30_522), abs=1e-5)


def test_the_loop_of_lesson_19_learns_masked_words_unchanged(tokenizer) -> None:
    examples = MaskedTexts(encode(["budget budget budget budget"] * 16, tokenizer), tokenizer, 0, share=0.4)
    model, config = tiny_masked_model(), TrainConfig(epochs=6)
    loader = make_loader(examples, 4, seed=0)
    optimizer, schedule = build_optimizer(model, RATE, steps_per_run(loader, config))
    history = fit(model, loader, make_loader(examples, 8), optimizer, schedule, config, masked_word_loss)
    assert history.epochs[-1]["validation_accuracy"] == 1  # of 30,522 pieces, the one that is there
    assert examples.epoch == 5  # each epoch hid other pieces


def test_labels_of_a_head_that_guesses_words_may_be_any_piece_and_others_only_their_classes() -> None:
    check_examples(EncodedTexts([[2, 3]], [[30_521, IGNORE]]), tiny_masked_model())
    with pytest.raises(UserError, match="the model's 30522 classes are 0 to 30521"):
        check_examples(EncodedTexts([[2, 3]], [[30_522, IGNORE]]), tiny_masked_model())
    with pytest.raises(UserError, match="the model's 3 classes are 0 to 2"):
        check_examples(EncodedTexts([[2, 3]], [3]), tiny_classifier())


def test_the_head_is_tied_to_the_word_embeddings_and_drawn_from_the_seed() -> None:
    first, again, other = (build_masked_model("bundled", seed) for seed in (0, 0, 1))
    assert first.cls.predictions.decoder.weight is first.bert.embeddings.word_embeddings.weight
    dense = "cls.predictions.transform.dense.weight"
    weights = [parameters_of(model) for model in (first, again, other)]
    assert torch.equal(weights[0][dense], weights[1][dense])
    assert not torch.equal(weights[0][dense], weights[2][dense])
    words = "bert.embeddings.word_embeddings.weight"
    assert torch.equal(weights[0][words], weights[2][words])


def test_a_saved_model_keeps_its_head_and_answers_alike_in_transformers_pipeline(tokenizer, tmp_path: Path) -> None:
    model = build_masked_model("bundled", 0)
    torch.nn.init.normal_(model.cls.predictions.bias, std=2.0)  # so that untrained answers differ clearly
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    texts = ["the [MASK] rose on tuesday", "[MASK] and [MASK] were cut in the budget", "[MASK]"]
    filler = pipeline("fill-mask", model=str(tmp_path), device="cpu", top_k=4)
    theirs = [found if isinstance(found[0], list) else [found] for found in map(filler, texts)]
    for loaded in (model, build_masked_model(str(tmp_path), 5)):
        ours = fill_blanks(loaded, tokenizer, texts, top=4)
        assert [len(blanks) for blanks in ours] == [1, 2, 1]
        for mine, found in zip(ours, theirs, strict=True):
            pieces = [[fill.piece for fill in blank] for blank in mine]
            assert pieces == [[tokenizer.convert_ids_to_tokens(one["token"]) for one in blank] for blank in found]
            scores = [fill.probability for blank in mine for fill in blank]
            assert scores == pytest.approx([one["score"] for blank in found for one in blank], abs=1e-5)


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["the [MASK] rose", "the shares rose"], r"text 2 has no blank: write \[MASK\] where a word is missing"),
        (["[MASK] " + "a " * 600], "text 1 has 603 pieces, the model takes 512: cut it"),
    ],
)
def test_texts_without_a_blank_or_too_long_are_refused_with_their_number(tokenizer, texts, says) -> None:
    with pytest.raises(UserError, match=says):
        fill_blanks(tiny_masked_model(), tokenizer, texts)


def test_filling_blanks_leaves_the_models_mode_and_encoder_as_they_are(tokenizer) -> None:
    model = tiny_masked_model().train()
    before = parameters_of(encoder_of(model))
    one, two = (fill_blanks(model, tokenizer, ["the [MASK] rose", "a [MASK]"]) for _ in range(2))
    assert one == two  # no dropout
    assert model.training
    assert all(torch.equal(weight, before[name]) for name, weight in encoder_of(model).state_dict().items())
