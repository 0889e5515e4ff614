"""WildBench v2: prompts joined with the responses of many models, and the models' Elo numbers.

The Elo numbers are those that LMSYS gave on 7 June 2024 for 30 models of WildBench v2, as listed in
the README of github:e0397123/FLR, which has them from the WildBench leaderboard. A model that has
none is left out.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from flr.datasets.base import Item
from flr.datasets.raw import NO_RESPONSE, Converted, ItemOrReason, RawRow, each, joined, tally
from flr.messages import RowError, messages_of, text_of
from flr.types import Conversation, Message

ELO_FILE = "lmsys-elo-2024-06-07.json"
NO_ELO = "response of a model without an Elo number"
NO_PROMPT = "response to no prompt of the set"

Prompts = Mapping[str, tuple[tuple[Message, ...], str]]
"""Prompt and category by session id."""


@cache
def elo() -> Mapping[str, float]:
    """Elo number of each model."""
    text = files("flr").joinpath("data", "wildbench", ELO_FILE).read_text("utf-8")
    return json.loads(text)


def _prompt(row: RawRow) -> tuple[str, tuple[tuple[Message, ...], str]]:
    session = row.text("session_id")
    prompt = messages_of(row.get("conversation_input"), "conversation_input")
    if prompt[-1].role != "user":
        got = prompt[-1].role
        raise RowError("conversation_input", f"expected the last message to be a user's, got {got}")
    return session, (prompt, row.name("primary_tag"))


def _model(row: RawRow) -> str:
    """The model of a file of outputs: its name, or its folder's where its name is a split's."""
    *_, folder, name = ("", *row.source.parts)
    return folder if name.startswith("train") else name


def _response(row: RawRow) -> str | None:
    """The output, given as text or as a list of one; None where the model gave none."""
    if isinstance(row.get("output"), str):
        return row.text("output")
    output = next(iter(row.listed("output", "a text or a list of one")), None)
    return None if output is None else text_of(output, "output[0]")


def _item(row: RawRow, prompts: Prompts) -> tuple[tuple[str, str], ItemOrReason]:
    """Session and model, with the item of the response or why there is none."""
    session, model = row.text("session_id"), _model(row)
    response = _response(row)
    if response is None:
        return (session, model), NO_RESPONSE
    if model not in elo():
        return (session, model), NO_ELO
    if session not in prompts:
        return (session, model), NO_PROMPT
    prompt, category = prompts[session]
    conversation = Conversation((*prompt, Message("assistant", response)))
    label = elo()[model]
    return (session, model), Item(session, session, (conversation,), (label,), category, (model,))


def convert(rows: Sequence[RawRow]) -> Converted:
    """One item a session, with the response of every model that has an Elo number.

    Args:
        rows: those with a column `output` are responses, all others prompts.

    Raises:
        InputError: bad rows.
    """
    prompts = dict(each([row for row in rows if not row.has("output")], _prompt))
    outputs = [row for row in rows if row.has("output")]
    # Of a model's responses to one prompt the last one counts, as of a prompt given twice.
    found = dict(each(outputs, lambda row: _item(row, prompts)))
    items, left_out = tally(found.values())
    return tuple(joined(items)), left_out
