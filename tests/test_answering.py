"""Answering questions: where answers lie in windows, which span is best, how SQuAD scores it, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from minimal import RATE, tiny_config
from transformers import AutoModelForQuestionAnswering, BertForQuestionAnswering
from transformers.pipelines.document_question_answering import select_starts_ends

from bertft_helpers.answering import StartsAndEnds, build_reader, encode_questions, find_answers
from bertft_helpers.answers import Question, answer_f1, exact_match, label_window, normalize_answer, top_spans
from bertft_helpers.batching import make_loader
from bertft_helpers.config import TrainConfig
from bertft_helpers.errors import UserError
from bertft_helpers.losses import classification_loss
from bertft_helpers.optim import build_optimizer
from bertft_helpers.pretrained import load_tokenizer
from bertft_helpers.training import fit, steps_per_run

CONTEXT = "Shares in Allied Domecq rose after Pernod said it may bid for the firm."
ASKED = Question("Who may bid?", CONTEXT, ["Pernod"], CONTEXT.index("Pernod"))
UNANSWERED = Question("Who scored?", CONTEXT)
EVERYWHERE = torch.ones(4, dtype=torch.bool)


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("bundled")


def tiny_reader(seed: int = 0, **changes: float) -> StartsAndEnds:
    torch.manual_seed(seed)
    reader = BertForQuestionAnswering(tiny_config(vocab_size=30_522, num_labels=2, **changes))
    torch.nn.init.normal_(reader.qa_outputs.weight)  # so that untrained scores differ from place to place
    return StartsAndEnds(reader)


@pytest.mark.parametrize(
    ("text", "normal"), [("The  Man, U.", "man u"), ("an apple a day", "apple day"), ("Theatre", "theatre"), ("a", "")]
)
def test_small_letters_without_punctuation_and_articles_are_compared(text: str, normal: str) -> None:
    assert normalize_answer(text) == normal


@pytest.mark.parametrize(
    ("given", "answers", "exact", "f1"),
    [
        ("the Domecq", ["Domecq!"], 1, 1),
        ("Allied Domecq", ["Domecq"], 0, 2 / 3),  # precision 1/2, recall 1
        ("Allied Domecq", ["Domecq", "allied domecq"], 1, 1),  # the nearest of several
        ("new york new york", ["New York"], 0, 2 * 2 / 6),  # a word counts as often as the answer has it
        ("Sony", ["Domecq"], 0, 0),
        ("", [], 1, 1),
        ("Sony", [], 0, 0),
        ("", ["Sony"], 0, 0),
    ],
)
def test_exact_match_and_f1_are_those_of_squad(given: str, answers: list[str], exact: float, f1: float) -> None:
    assert exact_match(given, answers) == exact
    assert answer_f1(given, answers) == pytest.approx(f1)


def test_an_answer_lies_from_the_piece_of_its_first_letter_to_that_of_its_last() -> None:
    letters = [None, None, (0, 4), (4, 6), (7, 9), None]  # [CLS] who? dome ##cq is [SEP]
    assert label_window(letters, (0, 6)) == (2, 3)
    assert label_window(letters, (5, 8)) == (3, 4)  # inside of pieces
    assert label_window(letters, (7, 12)) == (0, 0)  # goes on behind the window
    assert label_window(letters, None) == (0, 0)


def test_the_best_span_is_the_best_sum_that_does_not_end_before_it_starts() -> None:
    scores = torch.tensor([[0.0, 1.0, 5.0, 2.0], [0.0, 4.0, 1.0, 3.0]])  # the best start lies behind the best end
    assert top_spans(scores, EVERYWHERE, count=3) == [(8.0, (2, 3)), (6.0, (2, 2)), (5.0, (1, 1))]
    assert top_spans(scores, EVERYWHERE, longest=1) == [(6.0, (2, 2))]
    assert top_spans(scores, torch.tensor([False, True, False, False]), count=9) == [(5.0, (1, 1))]


@pytest.mark.parametrize("longest", [1, 3, 40])
def test_the_best_span_is_the_one_that_transformers_picks(longest: int) -> None:
    for scores in torch.randn(10, 2, 20, generator=torch.Generator().manual_seed(0)):
        allowed = torch.arange(20) > 4
        outside = (~allowed).int().numpy()[None]
        starts, ends, *_ = select_starts_ends(
            scores[:1].numpy(), scores[1:].numpy(), outside, None, max_answer_len=longest
        )
        assert top_spans(scores, allowed, longest)[0][1] == (starts[0], ends[0])


def test_windows_hold_the_whole_question_and_every_piece_of_the_context(tokenizer) -> None:
    windows = encode_questions([ASKED, UNANSWERED], tokenizer, max_length=14, stride=3)
    assert set(windows.question_of) == {0, 1}
    of_first = [row for row, number in enumerate(windows.question_of) if number == 0]
    seen = set()
    for row in of_first:
        pieces = tokenizer.convert_ids_to_tokens(windows.input_ids[row])
        assert pieces[:6] == ["[CLS]", "who", "may", "bid", "?", "[SEP]"]
        assert len(pieces) <= 14
        seen |= {letter for own in windows.letters[row] if own for letter in range(*own)}
        start, end = windows.labels[row]
        assert pieces[start : end + 1] in (["per", "##no", "##d"], ["[CLS]"])
    assert seen == {place for place, letter in enumerate(CONTEXT) if letter != " "}
    assert any(windows.labels[row] != [0, 0] for row in of_first)
    assert all(windows.labels[row] == [0, 0] for row, number in enumerate(windows.question_of) if number == 1)


def test_segments_and_ids_are_those_of_the_tokenizer(tokenizer) -> None:
    (example,) = encode_questions([ASKED], tokenizer)
    expected = tokenizer(ASKED.text, ASKED.context)
    assert example["input_ids"] == expected["input_ids"]
    assert example["token_type_ids"] == expected["token_type_ids"]


@pytest.mark.parametrize(
    ("questions", "says"),
    [
        ([], "there are no questions"),
        ([ASKED, ASKED._replace(answers=["Sony"])], "question 2: the answer 'Sony' does not begin at letter 35 of"),
        ([ASKED._replace(answers=["Sony"])], "it is nowhere there: repair it, or give none"),
        ([ASKED._replace(start=-1)], "does not begin at letter -1 of the context; it begins at letter 35"),
        ([ASKED._replace(text=" \u200b")], "question 1: its question is blank; fill it in, or remove the row"),
        ([UNANSWERED._replace(context=None)], "question 1: its context is no text"),
        ([ASKED._replace(answers=["Pernod", ""])], "question 1: its answer is blank"),
        ([ASKED, UNANSWERED._replace(text="who " * 200)], "question 2 leaves its context 181 pieces of a window"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_row_and_what_to_do(tokenizer, questions, says) -> None:
    with pytest.raises(UserError) as refused:
        encode_questions(questions, tokenizer, stride=200)
    assert says in str(refused.value)


def test_windows_longer_than_the_model_are_refused(tokenizer) -> None:
    with pytest.raises(UserError, match="max_length is 600; the model takes at most 512 pieces"):
        encode_questions([ASKED], tokenizer, max_length=600)


def test_the_loss_is_transformers_where_nothing_is_padded_and_the_same_with_padding(tokenizer) -> None:
    model = tiny_reader().eval()
    windows = encode_questions([ASKED, Question(ASKED.text, f"{CONTEXT} {CONTEXT}", ["Pernod"], 35)], tokenizer)
    with torch.no_grad():
        alone = [classification_loss(model, batch) for batch in make_loader(windows, 1)]
        ((together, targets),) = [classification_loss(model, batch) for batch in make_loader(windows, 2)]
        example = windows[0]
        by_library = model.reader(
            input_ids=torch.tensor([example["input_ids"]]),
            token_type_ids=torch.tensor([example["token_type_ids"]]),
            start_positions=torch.tensor([example["labels"][0]]),
            end_positions=torch.tensor([example["labels"][1]]),
        ).loss
    torch.testing.assert_close(alone[0][0] / 2, by_library)
    torch.testing.assert_close(together, alone[0][0] + alone[1][0])
    assert targets == 4  # a start and an end for each window


def test_the_loop_of_lesson_19_trains_a_reader_unchanged(tokenizer) -> None:
    asked = [
        Question("who rose ?", f"shares in {name} rose .", [name], 10) for name in ("sony", "nokia", "bmw", "pernod")
    ]
    nobody = Question("who rose ?", "it is a quiet day .")
    windows = encode_questions([*asked, nobody], tokenizer)
    model, config = tiny_reader(), TrainConfig(epochs=30)
    loader = make_loader(windows, 2, seed=0)
    optimizer, schedule = build_optimizer(model.reader, RATE, steps_per_run(loader, config))
    history = fit(model, loader, make_loader(windows, 4), optimizer, schedule, config)
    assert history.epochs[-1]["validation_accuracy"] == 1
    found = find_answers(model, windows, [*asked, nobody])
    assert [answer.text for answer in found[:4]] == ["sony", "nokia", "bmw", "pernod"]
    assert [answer.margin > 0 for answer in found] == [True] * 4 + [False]


def test_answers_come_in_the_order_of_the_questions_and_the_mode_comes_back(tokenizer) -> None:
    questions = [ASKED, Question("Who?", "Sony.", ["Sony"], 0), UNANSWERED]
    model = tiny_reader().train()
    together = find_answers(model, encode_questions(questions, tokenizer), questions)
    assert model.training
    for question, answer in zip(questions, together, strict=True):
        (alone,) = find_answers(model, encode_questions([question], tokenizer), [question])
        assert alone.text == answer.text
        assert alone.margin == pytest.approx(answer.margin, abs=1e-4)


def test_of_several_windows_the_best_span_and_the_lowest_score_of_no_answer_count(tokenizer) -> None:
    model = tiny_reader().eval()
    windows = encode_questions([ASKED], tokenizer, max_length=14, stride=3)
    best, empty = [], []
    with torch.no_grad():
        for row in range(len(windows)):
            ids, segments = (torch.tensor([windows[row][name]]) for name in ("input_ids", "token_type_ids"))
            scores = model(ids, torch.ones_like(ids), segments).logits[0]
            inside = torch.tensor([own is not None for own in windows.letters[row]])
            best.append(top_spans(scores, inside)[0][0])
            empty.append((scores[0, 0] + scores[1, 0]).item())
    (answer,) = find_answers(model, windows, [ASKED])
    assert len(windows) > 2
    assert answer.margin == pytest.approx(max(best) - min(empty), abs=1e-4)


def test_a_seed_fixes_the_head_and_the_encoder_is_the_checkpoints() -> None:
    first, again, other = (build_reader("bundled", seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(first["qa_outputs.weight"], again["qa_outputs.weight"])
    assert not torch.equal(first["qa_outputs.weight"], other["qa_outputs.weight"])
    assert torch.equal(first["bert.embeddings.word_embeddings.weight"], other["bert.embeddings.word_embeddings.weight"])


def test_a_saved_reader_gives_the_same_answers_in_transformers(tokenizer, tmp_path: Path) -> None:
    model = StartsAndEnds(build_reader("bundled", seed=1))
    torch.nn.init.normal_(model.reader.qa_outputs.weight, std=0.5)
    model.reader.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    questions = [ASKED, UNANSWERED]
    own = find_answers(model, encode_questions(questions, tokenizer), questions)
    elsewhere = AutoModelForQuestionAnswering.from_pretrained(tmp_path)
    for question, answer in zip(questions, own, strict=True):
        encoded = tokenizer(question.text, question.context, return_offsets_mapping=True, return_tensors="pt")
        offsets = encoded.pop("offset_mapping")[0]
        outside = torch.tensor([[part != 1 for part in encoded.sequence_ids(0)]]).int().numpy()
        with torch.no_grad():
            scores = elsewhere(**encoded)
        starts, ends, *_ = select_starts_ends(
            scores.start_logits.numpy(), scores.end_logits.numpy(), outside, None, max_answer_len=16
        )
        assert answer.text == question.context[offsets[starts[0]][0] : offsets[ends[0]][1]]
    again = build_reader(str(tmp_path), seed=5)
    assert torch.equal(again.qa_outputs.weight, model.reader.qa_outputs.weight)
