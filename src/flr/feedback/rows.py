"""The row of a training conversation: what was said before, and the feedback that is learned from.

    prompt        messages, all before the feedback
    completion    a list of one message: the feedback; the loss lies on its tokens alone
    form          `user`: prompt, response, and the feedback as the user's next turn
                  `role-switched`: the user asks for a question and promises an answer (opening),
                  the assistant asks the last prompt, the user gives the response, and the feedback
                  is the assistant's

It is the prompt-completion form of TRL and others, so that they can train on it too. Every other
column (`score`, `source`, ...) is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast, get_args

from flr.chat import DEFAULT_OPENING, Form, role_switched
from flr.messages import RowError, conversation_of, list_of, messages_of, shown
from flr.types import Conversation, Message

FORMS: tuple[Form, ...] = get_args(Form)

SPEAKERS: Mapping[Form, str] = {"user": "user", "role-switched": "assistant"}
"""Who gives the feedback in each form."""

OWN = ("prompt", "completion", "form")
"""Columns that say what is learned; the others are about it."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """What somebody said of a response.

    Args:
        conversation: it ends with the response.
        text: what was said.
        about: other columns: `score`, a number, where there is one; `source`; ...
    """

    conversation: Conversation
    text: str
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class FoundFit(Feedback):
    """What `flr feedback` has found fit and written: its limits may have been others."""


def row_of(feedback: Feedback, form: Form, opening: str = DEFAULT_OPENING) -> dict[str, Any]:
    """The row of a feedback in one of the forms.

    Raises:
        RenderError: role-switched, and no user has asked anything.

    Example:
        >>> row = row_of(Feedback(Conversation.of("Two?", "Three"), "No."), "user")
        >>> [message["role"] for message in row["prompt"]], row["completion"]
        (['user', 'assistant'], [{'role': 'user', 'content': 'No.'}])
    """
    before = feedback.conversation.messages
    if form == "role-switched":
        before = role_switched(before, opening)
    return {
        "prompt": [message.as_dict() for message in before],
        "completion": [Message(SPEAKERS[form], feedback.text).as_dict()],
        "form": form,
        **feedback.about,
    }


def form_of(columns: Mapping[str, Any]) -> Form:
    """The form of a row.

    Raises:
        RowError: it says none, or another one.
    """
    value = columns.get("form")
    if value not in FORMS:
        got = shown(value) if isinstance(value, str) else "nothing"
        raise RowError("form", f"expected one of {', '.join(FORMS)}, got {got}")
    return cast("Form", value)


def feedback_of(columns: Mapping[str, Any]) -> Feedback:
    """The feedback in a row that `row_of` has made, whatever its form.

    A role-switched row has lost all but the last prompt and the response.

    Raises:
        RowError: it is no such row.

    Example:
        >>> said = Feedback(Conversation.of("Two?", "Three"), "No.", {"score": 1.0})
        >>> feedback_of(row_of(said, "role-switched")) == said
        True
    """
    form = form_of(columns)
    before = messages_of(columns.get("prompt"), "prompt")
    last = messages_of(list_of(columns.get("completion"), "completion", "a message"), "completion")
    if len(last) != 1 or last[0].role != SPEAKERS[form]:
        raise RowError("completion", f"expected one message of the {SPEAKERS[form]}")
    about = {name: value for name, value in columns.items() if name not in OWN}
    if form == "user":
        return Feedback(conversation_of(before, "prompt"), last[0].content, about)
    roles = [message.role for message in before]
    if roles != ["user", "assistant", "user"]:
        raise RowError(
            "prompt",
            "expected three messages (opening, question, answer) in the role-switched form, by "
            f"user, assistant and user; got {', '.join(roles)}",
        )
    asked = Conversation.of(before[1].content, before[2].content)
    return Feedback(asked, last[0].content, about)
