"""Answer questions with BERT by pointing into a context: windows, a score for each start and end, the best span."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import nn
from transformers import BertForQuestionAnswering, PreTrainedTokenizerBase
from transformers.modeling_outputs import SequenceClassifierOutput

from bertft_helpers.answers import Answer, Letters, Question, check_questions, label_window, top_spans
from bertft_helpers.batching import EncodedTexts, make_loader, move_batch
from bertft_helpers.errors import UserError
from bertft_helpers.evaluation import evaluation_mode
from bertft_helpers.losses import forward_logits
from bertft_helpers.model_files.contents import require_kind
from bertft_helpers.model_files.loading import HEADS, POOLER, load_model
from bertft_helpers.pretrained import find_checkpoint
from bertft_helpers.runtime import set_seeds


class Windows(EncodedTexts):
    """Questions, each beside a stretch of its context: labels are the places of the answer's first and last piece.

    For each window ``letters`` says what its pieces stand for (``answers.Letters``), ``question_of`` whose it is.
    """

    def __init__(
        self, input_ids: list, labels: list, pad_id: int, segments: list, letters: Sequence[Letters], question_of: list
    ) -> None:
        super().__init__(input_ids, labels, pad_id)
        self.segments, self.letters, self.question_of = segments, letters, question_of

    def __getitem__(self, row: int) -> dict:
        return {**super().__getitem__(row), "token_type_ids": self.segments[row]}


class StartsAndEnds(nn.Module):
    """A reader as ``fit`` and ``evaluate`` want it: two classifications over places. Written out in lesson A3."""

    def __init__(self, reader: BertForQuestionAnswering) -> None:
        super().__init__()
        self.reader = reader

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
    ) -> SequenceClassifierOutput:
        """Logits ``[batch, 2, length]`` of each place as the start and as the end; minus infinity on padding."""
        scores = self.reader(input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
        logits = torch.stack([scores.start_logits, scores.end_logits], dim=1)
        return SequenceClassifierOutput(logits=logits.masked_fill(attention_mask[:, None] == 0, -torch.inf))


def build_reader(checkpoint: str, seed: int) -> BertForQuestionAnswering:
    """transformers' BERT with a start and an end score for each token; a head that is missing is drawn from ``seed``.

    Raises as ``loading.load_model``.
    """
    folder = find_checkpoint(checkpoint)
    require_kind(folder, "bert")
    set_seeds(seed)
    unused = tuple({*HEADS, *POOLER} - {"qa_outputs."})
    model = load_model(BertForQuestionAnswering, folder, new=("qa_outputs.",), unused=unused, num_labels=2)
    return cast(BertForQuestionAnswering, model)


def encode_questions(
    questions: Sequence[Question], tokenizer: PreTrainedTokenizerBase, max_length: int = 384, stride: int = 128
) -> Windows:
    """Windows of at most ``max_length`` pieces with the whole question in each; neighbours share ``stride`` pieces.

    Raises UserError naming the question (from 1) that does not fit.
    """
    check_questions(questions)
    texts, contexts = ([getattr(question, part) for question in questions] for part in ("text", "context"))
    if max_length > (most := tokenizer.model_max_length):
        raise UserError(f"max_length is {max_length}; the model takes at most {most} pieces")
    for row, ids in enumerate(tokenizer(texts, verbose=False)["input_ids"], start=1):
        if (room := max_length - len(ids) - 1) <= stride:  # one piece is the second [SEP]
            raise UserError(
                f"question {row} leaves its context {room} pieces of a window, of which neighbours share {stride}: "
                f"shorten it or the stride, or take longer windows (up to {most} pieces)"
            )
    cut = {"truncation": "only_second", "max_length": max_length, "stride": stride}
    encoded = tokenizer(texts, contexts, **cut, return_overflowing_tokens=True, return_offsets_mapping=True)
    question_of = encoded["overflow_to_sample_mapping"]
    letters = [
        [own if part == 1 else None for own, part in zip(offsets, encoded.sequence_ids(row), strict=True)]
        for row, offsets in enumerate(encoded["offset_mapping"])
    ]
    labels = [list(label_window(own, questions[number].span)) for own, number in zip(letters, question_of, strict=True)]
    segments = encoded["token_type_ids"]
    return Windows(encoded["input_ids"], labels, tokenizer.pad_token_id or 0, segments, letters, question_of)


def find_answers(
    model: StartsAndEnds, windows: Windows, questions: Sequence[Question], longest: int = 16
) -> list[Answer]:
    """The best span of each question's windows, beside the lowest score that one of them gives to [CLS].

    Written out in lesson A3.
    """
    best, empty = [(-torch.inf, 0, 0)] * len(questions), [torch.inf] * len(questions)
    device = next(model.parameters()).device
    with evaluation_mode(model):
        for batch in make_loader(windows, 32):
            logits = forward_logits(model, move_batch(batch, device)).float().cpu()
            for row, padded in zip(batch["rows"].tolist(), logits, strict=True):
                number, letters = windows.question_of[row], windows.letters[row]
                scores = padded[:, : len(letters)]
                in_context = torch.tensor([own is not None for own in letters])
                ((score, (first, last)),) = top_spans(scores, in_context, longest)
                best[number] = max(best[number], (score, letters[first][0], letters[last][1]))
                empty[number] = min(empty[number], scores[:, 0].sum().item())
    return [
        Answer(question.context[start:end], start, score - null)
        for question, (score, start, end), null in zip(questions, best, empty, strict=True)
    ]
