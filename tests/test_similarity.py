"""Comparing texts: in-batch negatives, graded pairs, what does not fit is refused, and a saved model is everybody's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from minimal import RATE, tiny_config
from torch.nn.functional import cosine_similarity, cross_entropy
from transformers import BertForSequenceClassification, BertModel, pipeline

from bertft_helpers.batching import make_loader
from bertft_helpers.config import TrainConfig
from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import evaluate
from bertft_helpers.losses import classification_loss
from bertft_helpers.models import build_classifier
from bertft_helpers.optim import build_optimizer
from bertft_helpers.pairs import encode_pairs, join_pairs, make_pair_loader, pad_pairs
from bertft_helpers.pretrained import load_encoder, load_tokenizer
from bertft_helpers.ranking import hit_at, ranks_of
from bertft_helpers.similarity import GRADED, BiEncoder, embed, graded_loss, likeness, save_bi_encoder
from bertft_helpers.training import fit, steps_per_run

HEADLINES = ["Shares fall", "Cup final won", "New phone", "Film award"]
STORIES = [
    "The index of shares fell by two points.",
    "They won.",
    "A phone with a camera.",
    "The film has won an award.",
]


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("bundled")


def tiny_encoder(seed: int = 0) -> BertModel:
    torch.manual_seed(seed)
    return BertModel(tiny_config(vocab_size=30_522)).eval()


def tiny_cross_encoder(seed: int = 0) -> BertForSequenceClassification:
    torch.manual_seed(seed)
    sizes = tiny_config(vocab_size=30_522, num_labels=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    return BertForSequenceClassification(sizes).eval()


def test_a_batch_holds_the_left_texts_then_the_right_ones_and_pair_n_has_label_n() -> None:
    batch = pad_pairs(
        [{"left": [2, 9, 3], "right": [2, 7, 8, 3], "rows": 4}, {"left": [2, 3], "right": [2, 3], "rows": 1}]
    )
    assert batch["input_ids"].tolist() == [[2, 9, 3, 0], [2, 3, 0, 0], [2, 7, 8, 3], [2, 3, 0, 0]]
    assert batch["attention_mask"].sum(dim=1).tolist() == [3, 2, 4, 2]
    assert (batch["labels"].tolist(), batch["rows"].tolist()) == ([0, 1], [4, 1])


def test_logits_of_a_bi_encoder_are_cosines_over_the_temperature(tokenizer) -> None:
    encoder = tiny_encoder()
    (batch,) = make_pair_loader(encode_pairs(HEADLINES, STORIES, tokenizer), 4)
    order = batch["rows"].tolist()
    left = embed(encoder, tokenizer, [HEADLINES[row] for row in order])
    right = embed(encoder, tokenizer, [STORIES[row] for row in order])
    cosines = cosine_similarity(left[:, None], right[None], dim=2)
    with torch.no_grad():
        summed, count = classification_loss(BiEncoder(encoder, temperature=0.1), batch)
    assert count == 4
    torch.testing.assert_close(summed, cross_entropy(cosines / 0.1, torch.arange(4), reduction="sum"))


def test_a_vector_has_length_one_and_does_not_depend_on_its_batch(tokenizer) -> None:
    encoder = tiny_encoder()
    together = embed(encoder, tokenizer, STORIES)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(4))
    alone = torch.cat([embed(encoder, tokenizer, [story]) for story in STORIES])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


def test_the_loop_of_lesson_19_trains_a_bi_encoder_and_one_whole_batch_measures_hit_at_1(tokenizer) -> None:
    encoder, config = tiny_encoder(), TrainConfig(epochs=12)
    pairs = encode_pairs(HEADLINES, STORIES, tokenizer)
    model, loader, whole = BiEncoder(encoder), make_pair_loader(pairs, 2, seed=0), make_pair_loader(pairs, 4)
    optimizer, schedule = build_optimizer(model, RATE, steps_per_run(loader, config))
    before = evaluate(model, whole).loss
    history = fit(model, loader, whole, optimizer, schedule, config)
    ranks = ranks_of(embed(encoder, tokenizer, HEADLINES) @ embed(encoder, tokenizer, STORIES).T, torch.arange(4))
    assert history.epochs[-1]["validation_loss"] < before / 2
    assert history.epochs[-1]["validation_accuracy"] == hit_at(ranks, 1) == 1


def test_joined_pairs_say_which_token_belongs_to_which_text(tokenizer) -> None:
    example = join_pairs(["new phone"], ["a camera"], [0.6], tokenizer)[0]
    tokens = tokenizer.convert_ids_to_tokens(example["input_ids"])
    assert tokens == ["[CLS]", "new", "phone", "[SEP]", "a", "camera", "[SEP]"]
    assert example["token_type_ids"] == [0, 0, 0, 0, 1, 1, 1]
    assert (example["labels"], example["grades"]) == (1, 0.6)


def test_the_graded_loss_is_the_squared_error_of_the_second_class(tokenizer) -> None:
    model = tiny_cross_encoder()
    (batch,) = make_loader(join_pairs(HEADLINES, STORIES, [1, 0.5, 0, 0.25], tokenizer), 4)
    with torch.no_grad():
        summed, count = graded_loss(model, batch)
        logits = model(**{k: batch[k] for k in ("input_ids", "attention_mask", "token_type_ids")}).logits
    found = torch.sigmoid(logits[:, 1] - logits[:, 0])  # two logits are one number
    torch.testing.assert_close(summed, ((found - batch["grades"]) ** 2).sum())
    assert count == 4


def test_the_loop_of_lesson_19_trains_grades(tokenizer) -> None:
    model, config, grades = tiny_cross_encoder(), TrainConfig(epochs=80), [1.0, 0.0, 0.5, 0.25]
    pairs = join_pairs(HEADLINES, STORIES, grades, tokenizer)
    loader = make_loader(pairs, 2, seed=0)
    optimizer, schedule = build_optimizer(model, RATE, steps_per_run(loader, config))
    fit(model, loader, make_loader(pairs, 4), optimizer, schedule, config, graded_loss)
    torch.testing.assert_close(likeness(model, tokenizer, HEADLINES, STORIES), torch.tensor(grades), atol=0.15, rtol=0)


@pytest.mark.parametrize(
    ("left", "right", "grades", "says"),
    [
        (["a", "b"], ["a"], None, "2 texts on the left and 1 on the right: give each text its partner"),
        (["a", "b"], ["c", " "], None, "right side: an empty text in row 2. Fill or remove these rows"),
        (["a", None], ["c", "d"], None, "left side: no text in row 2"),
        (["a", "b"], ["c", "d"], [1.0], "2 pairs but 1 grades: give each pair one"),
        (
            ["a", "b"],
            ["c", "d"],
            [0.5, 3.8],
            "grades outside 0 to 1 in row 2, such as 3.8: divide a scale of 0 to 5",
        ),
        (["a", "b"], ["c", "d"], [float("nan"), 1], "grades outside 0 to 1 in row 1, such as nan"),
        (["a ", "b"], ["a " * 255, "b " * 510], [1, 1], "row 2 have up to 514 tokens, the model takes 512"),
    ],
)
def test_pairs_that_do_not_fit_are_refused_with_their_row_and_what_to_do(tokenizer, left, right, grades, says) -> None:
    with pytest.raises(UserError) as refused:
        encode_pairs(left, right, tokenizer) if grades is None else join_pairs(left, right, grades, tokenizer)
    assert says in str(refused.value)


def test_the_same_text_in_two_pairs_is_refused_where_each_would_be_the_others_wrong_answer(tokenizer) -> None:
    with pytest.raises(UserError, match="rows 1 and 3 have the same text on the right"):
        encode_pairs(["a", "b", "c"], ["x", "y", "x"], tokenizer)
    assert len(join_pairs(["a", "b", "c"], ["x", "y", "x"], [1, 0, 0], tokenizer)) == 3  # graded pairs may


def test_texts_that_cannot_be_embedded_are_named(tokenizer) -> None:
    with pytest.raises(UserError, match="texts: an empty text in row 2"):
        embed(tiny_encoder(), tokenizer, ["a", "\u200b"])
    with pytest.raises(UserError, match="row 1 have up to 513 tokens"):
        embed(tiny_encoder(), tokenizer, ["a " * 511])


@pytest.mark.slow  # imports another library
def test_a_saved_bi_encoder_gives_the_same_vectors_in_sentence_transformers(tokenizer, tmp_path: Path) -> None:
    library = pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    encoder = tiny_encoder(seed=3)
    save_bi_encoder(encoder, tokenizer, tmp_path)
    elsewhere = library.SentenceTransformer(str(tmp_path), device="cpu").encode(STORIES, convert_to_tensor=True)
    torch.testing.assert_close(elsewhere, embed(encoder, tokenizer, STORIES), atol=1e-5, rtol=0)


def test_a_saved_bi_encoder_is_a_checkpoint_for_this_package_too(tokenizer, tmp_path: Path) -> None:
    encoder = tiny_encoder(seed=3)
    save_bi_encoder(encoder, tokenizer, tmp_path)
    again = embed(load_encoder(str(tmp_path)), load_tokenizer(str(tmp_path)), STORIES)
    torch.testing.assert_close(again, embed(encoder, tokenizer, STORIES))


def test_a_saved_cross_encoder_gives_the_same_likeness_in_transformers_pipeline(tokenizer, tmp_path: Path) -> None:
    model = build_classifier("bundled", GRADED, seed=1)
    torch.nn.init.normal_(model.classifier.weight, std=0.5)  # so that untrained grades differ from pair to pair
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    judge = pipeline("text-classification", model=str(tmp_path), top_k=None, device="cpu")
    texts = [{"text": left, "text_pair": right} for left, right in zip(HEADLINES, STORIES, strict=True)]
    found = [next(one["score"] for one in scores if one["label"] == "together") for scores in judge(texts)]
    own = likeness(model, tokenizer, HEADLINES, STORIES)
    torch.testing.assert_close(torch.tensor(found), own, atol=1e-5, rtol=0)
    assert own.max() - own.min() > 0.01
