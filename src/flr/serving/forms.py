"""What requests and answers look like; a request names no file and no model."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

MOST = 1024
"""Responses of one request."""

MESSAGES = 1024
"""Messages of a conversation."""

Text = Annotated[str, Field(max_length=1_000_000)]
Texts = Annotated[list[Text], Field(min_length=1, max_length=MOST)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SaidMessage(_Strict):
    """A message of a conversation."""

    role: Annotated[str, Field(max_length=32)]
    content: Text


class Asking(_Strict):
    """A conversation: messages of which the last is the response, or prompt and response."""

    messages: Annotated[list[SaidMessage], Field(min_length=1, max_length=MESSAGES)] | None = None
    prompt: Text | None = None
    response: Text | None = None


class ScoreBody(_Strict):
    """What /score takes."""

    conversations: Annotated[list[Asking], Field(min_length=1, max_length=MOST)]


class Scored(BaseModel):
    """The reward of one response; null, with the reason, where it cannot be scored."""

    reward: float | None
    by_category: dict[str, float] | None
    skipped: str | None = None


class ScoreAnswer(BaseModel):
    """What /score answers: one entry a conversation, in order."""

    model: str
    followup_set: str
    scores: list[Scored]


class GetRewardBody(BaseModel):
    """What OpenRLHF sends: prompts and responses with special tokens; other fields are ignored."""

    query: Text | Texts
    prompts: Text | Texts | None = None
    labels: Any = None


class GetRewardAnswer(BaseModel):
    """What OpenRLHF reads."""

    rewards: list[float]
    scores: list[float]
    extra_logs: dict[str, list[float]]


class ClassifyBody(BaseModel):
    """What verl sends: whole conversations as a chat template wrote them; others are ignored."""

    input: Text | Texts
    model: Annotated[str, Field(max_length=1024)] | None = None
