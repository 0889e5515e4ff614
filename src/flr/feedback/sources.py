"""Feedback as others publish it: what somebody said of a response, and how good he found it.

The kind of a row is recognised by its columns; the first of these that are there counts:

    form, prompt, completion                           rows that flr feedback has made
    instruction, completions                           UltraFeedback
    orig_instruction, orig_response, orig_feedback     Feedback-Bench, Feedback-Collection
    question, passage, feedback                        FeedbackQA
    instruction, gpt4_feedback                         prometheus-eval
    feedback (or critique), and a conversation         any file

A row with several texts about one response gives as many items. `score` is on the scale of the
source; None where there is none. What has the same `group` is held out together (`parting`),
however differently its prompt is put. Reading files is `io`'s, cleaning `cleaning`'s.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

from flr.datasets.rating import FEEDBACKQA_RATINGS, aspects_mean, feedbackqa_answer, judged
from flr.datasets.raw import RawRow, RawSource, inside, rating_of
from flr.feedback.rows import OWN, Feedback, FoundFit, feedback_of
from flr.messages import RowError, kind_of, list_of, shown, text_of
from flr.rows import conversation_in
from flr.types import Conversation

SCORE_KNOWN_WRONG = "score known to be wrong"

Found = Feedback | str
"""A feedback, or why there is none."""


@final
@dataclass(frozen=True, slots=True)
class Rationale(Feedback):
    """What was said of one aspect of a response; UltraFeedback alone has it, beside critiques."""


@final
@dataclass(frozen=True, slots=True)
class Kind:
    """One way in which feedback is published.

    Args:
        name: of the source.
        columns: by which it is recognised.
        read: what a row of it says; raises `RowError` where the row is bad.
    """

    name: str
    columns: tuple[str, ...]
    read: Callable[[RawRow], Iterator[Found]]


def _about(score: float | None, source: str) -> dict[str, Any]:
    return {"score": score, "source": source}


def _own(row: RawRow) -> Iterator[Found]:
    said = feedback_of(row.value)
    about = dict(said.about)
    if "score" in about:
        about["score"] = rating_of(about["score"], "score")
    yield FoundFit(said.conversation, said.text, about)


def _ultrafeedback(row: RawRow) -> Iterator[Found]:
    """The critique of each completion, with the mean of its aspects' ratings.

    `overall_score` is not used: 2,628 completions have a 10 there that should be a 1 (issue 8 of
    OpenBMB/UltraFeedback). Where it is all there is, a 10 says nothing.
    """
    prompt = row.text("instruction")
    for i, completion in enumerate(row.listed("completions", "a list of completions")):
        field = f"completions[{i}]"
        response = text_of(inside(completion, field, "response"), f"{field}.response")
        talk = Conversation.of(prompt, response)
        annotations = completion.get("annotations")
        score = aspects_mean(annotations, f"{field}.annotations") if annotations else None
        if score is None:
            score = rating_of(completion.get("overall_score"), f"{field}.overall_score")
            if score == 10:
                yield SCORE_KNOWN_WRONG
                continue
        text = completion.get("critique")
        text = "" if text is None else text_of(text, f"{field}.critique")
        yield Feedback(talk, text, _about(score, "ultrafeedback"))
        yield from _rationales(talk, annotations, f"{field}.annotations")


def _rationales(talk: Conversation, annotations: Any, field: str) -> Iterator[Found]:
    """What was said of each aspect, with its own rating."""
    for name, aspect in (annotations or {}).items():
        if isinstance(aspect, Mapping) and isinstance(aspect.get("Rationale"), str):
            score = rating_of(aspect.get("Rating"), f"{field}.{name}.Rating")
            told = _about(score, "ultrafeedback") | {"aspect": str(name)}
            yield Rationale(talk, text_of(aspect["Rationale"], f"{field}.{name}.Rationale"), told)


def _feedback_bench(row: RawRow) -> Iterator[Found]:
    talk = Conversation.of(row.text("orig_instruction"), row.text("orig_response"))
    score = rating_of(row.value.get("orig_score"), "orig_score")
    yield Feedback(talk, row.text("orig_feedback"), _about(score, "feedback-bench"))


def _feedbackqa(row: RawRow) -> Iterator[Found]:
    talk = feedbackqa_answer(row)
    texts, ratings = row.listed("feedback", "a list of texts"), row.listed("rating", "a list")
    _check_equal(len(texts), len(ratings), "rating", "feedback")
    for i, (text, rating) in enumerate(zip(texts, ratings, strict=True)):
        if rating not in FEEDBACKQA_RATINGS:
            got = shown(rating) if isinstance(rating, str) else kind_of(rating)
            raise RowError(f"rating[{i}]", f"expected {', '.join(FEEDBACKQA_RATINGS)}, got {got}")
        about = _about(float(FEEDBACKQA_RATINGS[rating]), "feedbackqa")
        yield Feedback(talk, text_of(text, f"feedback[{i}]"), about)


def _prometheus(row: RawRow) -> Iterator[Found]:
    talk = judged(row)
    # Second turns hold the first response in their text, and are about one prompt all the same.
    group = {"group": row.name("idx")} if row.name("idx") else {}
    texts = row.listed("gpt4_feedback", "a list of texts")
    scores = row.listed("gpt4_score", "a list of numbers")
    _check_equal(len(texts), len(scores), "gpt4_score", "gpt4_feedback")
    for i, (text, score) in enumerate(zip(texts, scores, strict=True)):
        about = _about(rating_of(score, f"gpt4_score[{i}]"), "prometheus-eval")
        yield Feedback(talk, text_of(text, f"gpt4_feedback[{i}]"), about | group)


def _check_equal(count: int, other: int, field: str, against: str) -> None:
    if count != other:
        raise RowError(field, f"has {other} entries, and {against} has {count}")


def _any(row: RawRow) -> Iterator[Found]:
    """A conversation with `feedback` or `critique`, one text or several, perhaps with a score."""
    columns = {name: value for name, value in row.value.items() if value is not None}
    field = "feedback" if "feedback" in columns else "critique"
    rated = next((name for name in ("score", "rating") if name in columns), "score")
    said, given = columns.pop(field), columns.pop(rated, None)
    talk, used = conversation_in(columns)
    # A critique beside feedback would be what `flr feedback rewrite` rewrites.
    kept = {n: value for n, value in columns.items() if n not in (*used, *OWN, "critique")}
    texts = [said] if isinstance(said, str) else list_of(said, field, "a text or a list of texts")
    scores = list(given) if isinstance(given, list | tuple) else [given] * len(texts)
    _check_equal(len(texts), len(scores), rated, field)
    for text, score in zip(texts, scores, strict=True):
        about = {**kept, "score": rating_of(score, rated)}
        yield Feedback(talk, text_of(text, field, "a text or a list of texts"), about)


KINDS = (
    Kind("flr feedback", ("form", "prompt", "completion"), _own),
    Kind("UltraFeedback", ("instruction", "completions"), _ultrafeedback),
    Kind("Feedback-Bench", ("orig_instruction", "orig_response", "orig_feedback"), _feedback_bench),
    Kind("FeedbackQA", ("question", "passage", "feedback"), _feedbackqa),
    Kind("prometheus-eval", ("instruction", "gpt4_feedback"), _prometheus),
    Kind("any file", ("feedback",), _any),
    Kind("any file", ("critique",), _any),
)
"""In the order in which they are tried."""

EXPECTED = (
    "A row has `prompt` and `response` (or `messages`) with `feedback` (a text, or a list of them) "
    "and perhaps `score`; or it is as UltraFeedback, Feedback-Bench, FeedbackQA or prometheus-eval "
    "are published."
)


def feedback_in(number: int, value: Any) -> list[Found]:
    """What a row says of its responses.

    Args:
        number: of the row.
        value: as it was read.

    Returns:
        Feedback in the row's order, and in the place of some the reason why it is none.

    Raises:
        RowError: the row is of no known kind, or a bad one of its kind.

    Example:
        >>> row = {"prompt": "Two?", "response": "Three", "feedback": ["No.", "Wrong."], "score": 1}
        >>> [(one.text, one.about["score"]) for one in feedback_in(1, row)]
        [('No.', 1.0), ('Wrong.', 1.0)]
    """
    if not isinstance(value, Mapping):
        raise RowError("", f"expected an object with columns, got {kind_of(value)}")
    present = {name for name, one in value.items() if one is not None}
    others = isinstance(value.get("prompt"), str) or isinstance(value.get("completion"), str)
    if others and present & {"feedback", "critique"}:
        present.discard("form")  # it is another's column of that name
    for kind in KINDS:
        if present.issuperset(kind.columns):
            return list(kind.read(RawRow(RawSource("", "", ()), number, value)))
    names = ", ".join(shown(str(name)) for name in list(value)[:12]) or "none"
    raise RowError("", f"holds no feedback that is known; its columns are {names}")
