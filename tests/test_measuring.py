from math import log
from typing import Any

import numpy as np
import pytest

from flr import followups
from flr.chat import Renderer
from flr.engines.toy import ToyEngine
from flr.errors import ContextOverflowError, RenderError
from flr.measuring import CALL, Measured, Measurer, Skipped, Values, Wanted, skippable
from flr.types import Conversation, Message
from tests.templates import kind, true_row

CHATML = kind("chatml").tokenizer
TEXTS = tuple(followup.text for followup in followups.load("short").followups)
GOOD = Conversation.of("What is the capital of France?", "It is Paris.")
ALL = Wanted(followups=True, baselines=True, logits=True, response=True)


def measurer(wanted: Wanted, *, max_tokens: int | None = None, **given: Any) -> Measurer:
    engine, renderer = ToyEngine(vocabulary=len(CHATML)), Renderer(CHATML, max_tokens=max_tokens)
    return Measurer(engine, renderer, TEXTS, wanted, **given)


def only(measured: list[Measured | Skipped]) -> Measured:
    (one,) = measured
    assert isinstance(one, Measured)
    return one


def toy_total(tokens: tuple[int, ...], start: int, stop: int) -> float:
    """The toy's own formula, written again."""
    total = 0.0
    for at in range(start, stop):
        middle = sum((i + 1) * token for i, token in enumerate(tokens[:at])) % len(CHATML)
        logits = [-abs(v - middle) / 64.0 for v in range(len(CHATML))]
        total += logits[tokens[at]] - log(sum(np.exp(logits)))
    return total


def test_the_response_itself_is_its_own_tokens_in_the_chat() -> None:
    prompt = [message.as_dict() for message in GOOD.prompt]
    tokens, start, stop = true_row(CHATML, prompt, {"role": "assistant"}, GOOD.response)
    found = only(measurer(Wanted(response=True)).measure([GOOD]))
    assert found.response.tokens == (stop - start,)
    assert found.response.values[0] == pytest.approx(toy_total(tokens, start, stop), abs=1e-9)
    assert found.followups == found.baselines == found.logits == Values()


def test_an_empty_response_has_no_tokens_and_the_log_likelihood_0() -> None:
    found = only(measurer(Wanted(response=True)).measure([GOOD.with_response("")]))
    assert found.response == Values((0.0,), (0,))


def test_what_is_asked_together_is_what_is_asked_alone() -> None:
    together = only(measurer(ALL).measure([GOOD]))
    for name in ("followups", "baselines", "logits", "response"):
        alone = only(measurer(Wanted(**{name: True})).measure([GOOD]))
        assert getattr(together, name) == getattr(alone, name), name
        assert len(getattr(alone, name).values) == (1 if name == "response" else len(TEXTS))


def test_baselines_are_follow_ups_after_an_empty_response() -> None:
    found = only(measurer(ALL).measure([GOOD]))
    empty = only(measurer(Wanted(followups=True)).measure([GOOD.with_response("")]))
    assert found.baselines == empty.followups


def test_wants_are_joined() -> None:
    joined = Wanted(followups=True) | Wanted(response=True)
    assert joined == Wanted(followups=True, response=True)
    assert Wanted() | ALL == ALL


def test_a_part_holds_the_follow_ups_of_one_set_and_the_same_response() -> None:
    found = only(measurer(ALL).measure([GOOD]))
    part = found.part(2, 5)
    for name in ("followups", "baselines", "logits"):
        assert getattr(part, name).values == getattr(found, name).values[2:5]
        assert getattr(part, name).tokens == getattr(found, name).tokens[2:5]
    assert part.response == found.response


def test_nothing_wanted_is_nothing_asked() -> None:
    assert only(measurer(Wanted()).measure([GOOD])) == Measured()


def test_more_than_one_call_keeps_the_order() -> None:
    many = [GOOD.with_response(f"{number}") for number in range(CALL + 3)]
    one = measurer(Wanted(response=True))
    alone = [only(one.measure([conversation])) for conversation in many]
    assert one.measure(many) == alone


def test_a_conversation_that_cannot_be_asked_about_is_skipped_in_its_place() -> None:
    sly = GOOD.with_response("<|im_end|>")
    left_out = skippable(on_overflow="error", on_special="skip")
    first, none, last = measurer(ALL, skippable=left_out).measure([GOOD, sly, GOOD])
    assert first == last
    assert isinstance(none, Skipped)
    assert "<|im_end|>" in none.reason


def test_other_errors_are_not_skipped() -> None:
    left_out = skippable(on_overflow="error", on_special="skip")
    with pytest.raises(ContextOverflowError):
        measurer(ALL, max_tokens=40, skippable=left_out).measure([GOOD.with_response("so " * 99)])


def test_all_that_is_asked_about_a_long_conversation_has_the_same_turns_dropped() -> None:
    turns = (Message("user", "word " * 40), Message("assistant", "yes"), *GOOD.messages)
    longest = max(len(row.tokens) for row in measurer(ALL).renderer.followups(GOOD, TEXTS).rows)
    cut = only(measurer(ALL, max_tokens=longest).measure([Conversation(turns)]))
    whole = only(measurer(ALL).measure([GOOD]))
    assert cut.dropped == 2
    assert (cut.followups, cut.baselines) == (whole.followups, whole.baselines)
    assert (cut.logits, cut.response) == (whole.logits, whole.response)


def test_skippable_names_the_errors_of_each_policy() -> None:
    every = skippable(on_overflow="skip", on_special="skip")
    assert len(every) == 2
    assert all(issubclass(error, RenderError) for error in every)
    assert skippable(on_overflow="error", on_special="error") == ()
