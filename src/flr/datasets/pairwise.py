"""Rows of the sets in which people say which of several responses is better.

The preferred response comes first, with label 1. Rows with equal responses or without one, and rows
whose vote is a tie or missing, are left out and counted.

RewardBench 2 has several right or several wrong responses a prompt; an item holds all of them. The
formula by which its own Ties subset is scored is not computed anywhere in flr.
"""

import math
from collections.abc import Iterator
from typing import Any

from flr.datasets.base import Item
from flr.datasets.raw import NO_RESPONSE, ItemOrReason, RawRow
from flr.errors import InputError
from flr.messages import RowError, conversation_of, kind_of, messages_of, response_of, shown
from flr.rows import parse_numbered
from flr.types import Conversation, Message

SAME = "chosen equals rejected"
NO_VOTE = "tie or no clear preference"

LLMBAR_SUBSETS = {
    "natural": "natural",
    "neighbor": "adversarial-neighbor",
    "gptinst": "adversarial-gptinst",
    "gptout": "adversarial-gptout",
    "manual": "adversarial-manual",
}
"""Subset of LLMBar by the name of the folder that a file lies in."""


def _word(value: Any, field: str, expected: str) -> str:
    """A vote as text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RowError(field, f"expected {expected}, got {kind_of(value)}")
    # pandas makes 1 a 1.0 where the column has a null somewhere, and the null NaN.
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value).strip()


def _vote(row: RawRow, field: str, first: str, second: str) -> int | None:
    """Which of two responses is preferred, 1 or 2; None for a tie or no vote."""
    value = row.get(field)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    expected = f"{first!r}, {second!r}, a tie or null"
    word = _word(value, field, expected)
    if word in (first, second):
        return 1 if word == first else 2
    if word.lower().startswith("tie"):
        return None
    raise RowError(field, f"expected {expected}, got {shown(word)}")


def _pair(
    row: RawRow,
    group: str,
    two: tuple[Conversation, Conversation],
    preferred: int | None,
    subset: str = "",
    systems: tuple[str, ...] = (),
) -> Iterator[ItemOrReason]:
    """The item of two responses in the file's order, of which the first or second is preferred."""
    if preferred is None:
        yield NO_VOTE
    elif two[0] == two[1]:
        yield SAME
    else:
        turn = 1 if preferred == 1 else -1
        yield Item(row.id, group, two[::turn], (1.0, 0.0), subset, systems[::turn], preferred)


def _chosen_rejected(row: RawRow) -> tuple[Conversation, Conversation]:
    """Chosen and rejected conversation, in any way that `flr.rows` takes."""
    for field in ("chosen", "rejected"):
        if row.get(field) is None:
            raise RowError(field, "expected a text or a list of messages, got null")
    try:
        (parsed,) = parse_numbered([(row.number, row.value)], row.source.path)
    except InputError as error:
        raise RowError(error.problems[0].field, error.problems[0].message) from None
    chosen, rejected = parsed.conversations
    return chosen, rejected


def _ordered(
    row: RawRow, group: str, two: tuple[Conversation, Conversation], subset: str
) -> Iterator[ItemOrReason]:
    """The item of a chosen and a rejected response, whose places the columns fix."""
    yield SAME if two[0] == two[1] else Item(row.id, group, two, (1.0, 0.0), subset)


def _first_question(conversation: Conversation) -> str:
    return next(m.content for m in conversation.messages if m.role == "user")


def _whole_prompt(conversation: Conversation) -> str:
    return "\n\n".join(message.content for message in conversation.prompt)


def hh(row: RawRow) -> Iterator[ItemOrReason]:
    """hh-rlhf: transcripts; dialogues that begin with one question continue one another."""
    two = _chosen_rejected(row)
    yield from _ordered(row, _first_question(two[0]), two, "")


def preference(row: RawRow) -> Iterator[ItemOrReason]:
    """RewardBench's and TRL's form: chosen and rejected, with a prompt or without it."""
    two = _chosen_rejected(row)
    yield from _ordered(row, _whole_prompt(two[0]), two, row.name("subset"))


def shp(row: RawRow) -> Iterator[ItemOrReason]:
    """SHP: a post and two comments; label 1 where the first has the higher score."""
    prompt = row.text("history")
    first, second = row.text("human_ref_A"), row.text("human_ref_B")
    two = Conversation.of(prompt, first), Conversation.of(prompt, second)
    yield from _pair(row, prompt, two, _vote(row, "labels", "1", "0"), row.name("domain"))


def alpacafarm(row: RawRow) -> Iterator[ItemOrReason]:
    """AlpacaFarm: an input, where there is one, follows its instruction after an empty line."""
    prompt = "\n\n".join(filter(None, (row.text("instruction"), row.name("input"))))
    first, second = row.text("output_1"), row.text("output_2")
    two = Conversation.of(prompt, first), Conversation.of(prompt, second)
    yield from _pair(row, prompt, two, _vote(row, "preference", "1", "2"))


def safe_rlhf(row: RawRow) -> Iterator[ItemOrReason]:
    """PKU-SafeRLHF: the more helpful response, whatever its safety."""
    prompt = row.text("prompt")
    first, second = row.text("response_0"), row.text("response_1")
    two = Conversation.of(prompt, first), Conversation.of(prompt, second)
    yield from _pair(row, prompt, two, _vote(row, "better_response_id", "0", "1"))


def preference_bench(row: RawRow) -> Iterator[ItemOrReason]:
    """Preference-Bench: response A or B."""
    prompt = row.text("orig_instruction")
    first, second = row.text("orig_response_A"), row.text("orig_response_B")
    two = Conversation.of(prompt, first), Conversation.of(prompt, second)
    yield from _pair(row, prompt, two, _vote(row, "orig_preference", "A", "B"))


def llmbar(row: RawRow) -> Iterator[ItemOrReason]:
    """LLMBar: subsets by folder."""
    prompt = row.text("input")
    first, second = row.text("output_1"), row.text("output_2")
    two = Conversation.of(prompt, first), Conversation.of(prompt, second)
    folder = row.source.parts[-2].casefold() if len(row.source.parts) > 1 else ""
    subset = LLMBAR_SUBSETS.get(folder, "")
    yield from _pair(row, prompt, two, _vote(row, "label", "1", "2"), subset)


def _up_to(row: RawRow, field: str, turn: int) -> Conversation:
    messages = messages_of(row.get(field), field)
    if turn == 1:
        is_answer = [message.role == "assistant" for message in messages]
        messages = messages[: is_answer.index(True) + 1] if any(is_answer) else messages
    return conversation_of(messages, field)


def mtbench_human(row: RawRow) -> Iterator[ItemOrReason]:
    """MT-Bench: one item a vote; in the second turn each response follows its own first one."""
    turn = row.get("turn")
    if turn not in (1, 2):
        raise RowError("turn", f"expected 1 or 2, got {shown(str(turn))}")
    group = f"{row.get('question_id')}"
    two = _up_to(row, "conversation_a", turn), _up_to(row, "conversation_b", turn)
    systems = row.text("model_a"), row.text("model_b")
    vote = _vote(row, "winner", "model_a", "model_b")
    yield from _pair(row, group, two, vote, f"turn-{int(turn)}", systems)


def _responses(row: RawRow, field: str) -> list[Message]:
    values = row.listed(field, "a list of responses")
    return [response_of(value, f"{field}[{i}]") for i, value in enumerate(values)]


def rewardbench_2(row: RawRow) -> Iterator[ItemOrReason]:
    """RewardBench 2: every chosen response has label 1, every rejected one 0."""
    prompt = row.text("prompt")
    chosen, rejected = _responses(row, "chosen"), _responses(row, "rejected")
    if not chosen or not rejected:
        yield NO_RESPONSE
        return
    if any(response in rejected for response in chosen):
        yield SAME
        return
    asked = Message("user", prompt)
    conversations = tuple(Conversation((asked, response)) for response in (*chosen, *rejected))
    labels = (1.0,) * len(chosen) + (0.0,) * len(rejected)
    yield Item(row.id, prompt, conversations, labels, row.name("subset"))
