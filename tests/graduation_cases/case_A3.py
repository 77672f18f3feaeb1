"""Lesson A3: where an answer lies in a window, the best span, SQuAD's scores, a reader as the loop wants it."""

import itertools
from typing import Any

import torch
from graduation import Case, Functions
from minimal import tiny_config
from transformers import BertForQuestionAnswering

from bertft_helpers.answering import encode_questions
from bertft_helpers.answers import Question
from bertft_helpers.batching import make_loader
from bertft_helpers.pretrained import load_tokenizer

TEXTS = ["", "a", "the Sony", "Sony.", "Allied Domecq", "domecq", "New York New York", "theatre"]
LETTERS = [None, None, (0, 4), (4, 6), (7, 9), None]
QUESTIONS = [
    Question("Who?", "Shares in Allied Domecq rose after a bid.", ["Allied"], 10),
    Question("Why?", "Sony."),
    Question("Who?", "The bid of Pernod was refused by all who hold a share of the firm, and Sony fell in London."),
]


def scored(name: str) -> Any:
    lists = [[], *([text] for text in TEXTS), TEXTS[3:5]]
    return lambda f: [f[name](given, answers) for given, answers in itertools.product(TEXTS, lists)]


def labelled(functions: Functions) -> Any:
    spans = [None, *itertools.combinations(range(11), 2)]
    return [functions["label_window"](LETTERS, span) for span in spans]


def best(functions: Functions) -> Any:
    scores = torch.randn(20, 2, 8, generator=torch.Generator().manual_seed(0))
    allowed = torch.arange(8) > 1
    return [functions["top_spans"](own, allowed, longest, 5) for own in scores for longest in (1, 3, 9)]


def wrapped(functions: Functions) -> Any:
    torch.manual_seed(0)
    model = functions["StartsAndEnds"](BertForQuestionAnswering(tiny_config(vocab_size=30_522, num_labels=2)))
    torch.nn.init.normal_(model.reader.qa_outputs.weight)
    return model.train()


def logits(functions: Functions) -> Any:
    model = wrapped(functions).eval()
    with torch.no_grad():
        (batch,) = make_loader(encode_questions(QUESTIONS, load_tokenizer("bundled")), 3)
        return model(**{name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")}).logits


def found(functions: Functions) -> Any:
    model, tokenizer = wrapped(functions), load_tokenizer("bundled")
    windows = encode_questions(QUESTIONS, tokenizer, max_length=9, stride=2)
    return [tuple(answer) for answer in functions["find_answers"](model, windows, QUESTIONS)], model.training


CASES = [
    Case(
        "answers.normalize_answer",
        lambda f: [f["normalize_answer"](text) for text in TEXTS],
        {"articles stay": (r"\b(a|an|the)\b", r"\b(an)\b")},
    ),
    Case("answers.exact_match", scored("exact_match"), {"only the first": ("in answers or", "in answers[:1] or")}),
    Case(
        "answers.answer_f1",
        scored("answer_f1"),
        {
            "words count once": ("(Counter(found) & Counter(true)).total()", "len({*found} & {*true})"),
            "the last answer": ("max(best, ", "max(0.0, "),
        },
    ),
    Case(
        "answers.label_window",
        labelled,
        {
            "the last letter is left out": ("own[0] < span[1] <= own[1]", "own[0] <= span[1] < own[1]"),
            "half an answer will do": (
                "(first[0], last[0]) if first and last else (0, 0)",
                "([0, *first][-1], [0, *last][-1])",
            ),
        },
    ),
    Case(
        "answers.top_spans",
        best,
        {
            "backwards too": (".triu()", ""),
            "one piece too long": ("longest - 1", "longest"),
        },
    ),
    Case(
        "answering.StartsAndEnds",
        logits,
        {
            "padding may answer": ("-torch.inf", "0.0"),
            "end before start": ("scores.start_logits, scores.end_logits", "scores.end_logits, scores.start_logits"),
        },
    ),
    Case(
        "answering.find_answers",
        found,
        {
            "the last window": (
                "max(best[number], (score, letters[first][0], letters[last][1]))",
                "(score, letters[first][0], letters[last][1])",
            ),
            "the highest null": ("min(empty[number], ", "max(-99.0, "),
            "dropout stays on": ("with evaluation_mode(model):", "with torch.no_grad():"),
        },
    ),
]
