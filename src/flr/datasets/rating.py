"""Rows of the sets in which people, or a judge, say how good a response is.

Responses to one prompt become one item. A response whose rating is null, not finite or broken is
left out and counted, as is a prompt without any response.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from flr.datasets.base import Item
from flr.datasets.raw import NO_RESPONSE, ItemOrReason, RawRow, inside, rating_of
from flr.messages import RowError, kind_of, shown, text_of
from flr.types import Conversation

NO_RATING = "no usable rating"

FEEDBACKQA_RATINGS = {"Bad": 1, "Could be Improved": 2, "Acceptable": 3, "Excellent": 4}

_INSTRUCTION = "###The instruction to evaluate:"
_RESPONSE = "###Response to evaluate:"
_AFTER = ("###Reference Answer", "###Score Rubrics:")


def _rated(
    row: RawRow,
    group: str,
    conversation: Conversation,
    rating: float | None,
    subset: str = "",
    system: str = "",
) -> Iterator[ItemOrReason]:
    """The item of one response, to be joined with those of the same prompt."""
    if rating is None:
        yield NO_RATING
        return
    yield Item(row.id, group, (conversation,), (rating,), subset, (system,) if system else ())


def _cut(text: str, marker: str) -> tuple[str, str]:
    before, found, after = text.partition(marker)
    if not found:
        raise RowError("instruction", f"expected a judge's prompt with {marker!r} in it")
    return before, after


def judged(row: RawRow) -> Conversation:
    """Prompt and response, cut out of the whole prompt of a judge."""
    _, rest = _cut(row.text("instruction"), _INSTRUCTION)
    prompt, rest = _cut(rest, _RESPONSE)
    ends = [place for marker in _AFTER if (place := rest.find(marker)) >= 0]
    if not ends:
        raise RowError("instruction", f"expected {_AFTER[0]!r} or {_AFTER[1]!r} after the response")
    return Conversation.of(prompt.strip(), rest[: min(ends)].strip())


def judge_single(row: RawRow) -> Iterator[ItemOrReason]:
    """MT-Bench and Vicuna prompts: the mean of GPT-4's runs.

    An earlier dialogue, which the judge's prompt holds as text, stays part of the one user message.
    """
    conversation = judged(row)
    rating = rating_of(row.get("gpt4_score"), "gpt4_score")
    group = row.name("idx") or conversation.messages[0].content
    subset, system = row.name("category"), row.name("response_source")
    yield from _rated(row, group, conversation, rating, subset, system)


def flask(row: RawRow) -> Iterator[ItemOrReason]:
    """FLASK: human ratings; a response is rated by several criteria, each a subset."""
    conversation = judged(row)
    rating = rating_of(row.get("human_score"), "human_score")
    group = row.name("idx") or conversation.messages[0].content
    subset, system = row.name("criteria"), row.name("response_source")
    yield from _rated(row, group, conversation, rating, subset, system)


def feedback_bench(row: RawRow) -> Iterator[ItemOrReason]:
    """Feedback-Bench: responses written to have a given score."""
    prompt, response = row.text("orig_instruction"), row.text("orig_response")
    rating = rating_of(row.get("orig_score"), "orig_score")
    yield from _rated(row, prompt, Conversation.of(prompt, response), rating)


def helpsteer(row: RawRow) -> Iterator[ItemOrReason]:
    """HelpSteer: helpfulness, 0 to 4."""
    prompt, response = row.text("prompt"), row.text("response")
    rating = rating_of(row.get("helpfulness"), "helpfulness")
    yield from _rated(row, prompt, Conversation.of(prompt, response), rating)


def aspects_mean(annotations: Any, field: str) -> float | None:
    """Mean over the aspects that have a number."""
    if not isinstance(annotations, Mapping):
        raise RowError(field, f"expected an object of aspects, got {kind_of(annotations)}")
    ratings = [
        rating_of(aspect.get("Rating"), f"{field}.{name}.Rating")
        for name, aspect in annotations.items()
        if isinstance(aspect, Mapping)
    ]
    numbers = [rating for rating in ratings if rating is not None]
    return sum(numbers) / len(numbers) if numbers else None


def ultrafeedback(row: RawRow) -> Iterator[ItemOrReason]:
    """UltraFeedback: the mean of the aspects' ratings.

    Its `overall_score` is not used: 2,628 responses have a 10 there that should be a 1
    (issue 8 of OpenBMB/UltraFeedback).
    """
    prompt = row.text("instruction")
    completions = row.listed("completions", "a list of completions")
    if not completions:
        yield NO_RESPONSE
    for i, completion in enumerate(completions):
        field = f"completions[{i}]"
        response = text_of(inside(completion, field, "response"), f"{field}.response")
        rating = aspects_mean(inside(completion, field, "annotations"), f"{field}.annotations")
        model = completion.get("model")
        system = model if isinstance(model, str) else ""
        conversation = Conversation.of(prompt, response)
        yield from _rated(row, prompt, conversation, rating, row.name("source"), system)


def _raters_mean(row: RawRow) -> float | None:
    values = row.listed("rating", "a list of ratings")
    for i, value in enumerate(values):
        if not isinstance(value, str) or value not in FEEDBACKQA_RATINGS:
            got = shown(value) if isinstance(value, str) else kind_of(value)
            known = ", ".join(FEEDBACKQA_RATINGS)
            raise RowError(f"rating[{i}]", f"expected one of {known}, got {got}")
    return sum(FEEDBACKQA_RATINGS[value] for value in values) / len(values) if values else None


def feedbackqa_answer(row: RawRow) -> Conversation:
    """A question of FeedbackQA, answered by a passage.

    The response is the passage's content alone, without the page's title and the section's headers.
    Nothing shows that raters saw those: in the validation files of two sources, words of five
    letters or more that stand only in a passage's headers are no commoner in what was written about
    it than words of the headers of another passage for the same question (17 against 19 % of
    passages, 15 against 14 %).
    """
    reference = inside(row.get("passage"), "passage", "reference")
    field = "passage.reference"
    content = text_of(inside(reference, field, "section_content"), f"{field}.section_content")
    return Conversation.of(row.text("question"), content)


def feedbackqa(row: RawRow) -> Iterator[ItemOrReason]:
    """FeedbackQA: passages that answer a question, rated by people from 1 (bad) to 4 (best)."""
    conversation = feedbackqa_answer(row)
    source = row.get("passage").get("source")
    subset = source if isinstance(source, str) else ""
    group = conversation.prompt[0].content
    yield from _rated(row, group, conversation, _raters_mean(row), subset)
