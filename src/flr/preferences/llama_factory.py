"""What LLaMA-Factory understands of a row of preference data; see `reading`."""

from collections.abc import Mapping
from typing import Any

from flr.messages import RowError, conversation_of, kind_of, list_of, shown, text_of
from flr.preferences.reading import SIDES, Example, flag_of, need
from flr.types import Message

TAGS = {
    "human": "user",
    "observation": "user",
    "gpt": "assistant",
    "function_call": "assistant",
    "system": "system",
}
"""LLaMA-Factory's roles; a tool's turn stands where a user's does, its call where an answer does.

Source:
    LLaMA-Factory 0.9.5, `data/parser.py`, `SharegptDatasetConverter`.
"""


def _turn(value: Any, field: str) -> Message:
    if not isinstance(value, Mapping):
        raise RowError(field, f"expected an object with `from` and `value`, got {kind_of(value)}")
    tag = value.get("from")
    if not isinstance(tag, str) or tag not in TAGS:
        given = shown(tag) if isinstance(tag, str) else kind_of(tag)
        raise RowError(f"{field}.from", f"expected one of {', '.join(TAGS)}, got {given}")
    return Message(TAGS[tag], text_of(value.get("value"), f"{field}.value"))


def _answer(value: Any, field: str) -> Message:
    turn = _turn(value, field)
    if turn.role != "assistant":
        raise RowError(f"{field}.from", f"expected 'gpt', got {value['from']!r}")
    return turn


def _turns(columns: Mapping[str, Any]) -> tuple[Message, ...]:
    need(columns, "conversations")
    found = list_of(columns["conversations"], "conversations", "a list of turns")
    return tuple(_turn(turn, f"conversations[{i}]") for i, turn in enumerate(found))


def _alpaca(columns: Mapping[str, Any]) -> Example:
    pairs = columns.get("history")
    past = [
        text_of(text, "history")
        for pair in (list_of(pairs, "history", "a list of pairs of texts") if pairs else ())
        for text in list_of(pair, "history", "a pair of texts")
    ]
    asked = [text_of(columns[name], name) for name in ("instruction", "input") if columns.get(name)]
    said = enumerate([*past, "\n".join(asked)])
    prompt = tuple(Message(("user", "assistant")[i % 2], text) for i, text in said)
    sides = {side: Message("assistant", text_of(columns[side], side)) for side in SIDES}
    return Example(prompt, sides, "texts")


def llama_factory(columns: Mapping[str, Any]) -> Example:
    """A row for LLaMA-Factory's `stage: dpo`, in its sharegpt or its alpaca form.

    Columns and roles have the names that `formats.dataset_info` gives, those of alpaca
    the names that LLaMA-Factory's own documentation gives.

    Source:
        LLaMA-Factory 0.9.5, `data/converter.py`, `data/processor/pairwise.py`.
    """
    need(columns, *SIDES)
    if columns.get("conversations") is None and columns.get("instruction") is not None:
        return _alpaca(columns)
    return Example(_turns(columns), {side: _answer(columns[side], side) for side in SIDES})


def llama_factory_kto(columns: Mapping[str, Any]) -> Example:
    """A row for LLaMA-Factory's `stage: kto`: `conversations` with the response, and `kto_tag`.

    Source:
        LLaMA-Factory 0.9.5, `data/converter.py`, `data/processor/feedback.py`.
    """
    need(columns, "kto_tag")
    conversation = conversation_of(_turns(columns), "conversations")
    place = f"conversations[{len(conversation.messages) - 1}]"
    response = {place: conversation.messages[-1]}
    return Example(conversation.prompt, response, label=flag_of(columns, "kto_tag"))
