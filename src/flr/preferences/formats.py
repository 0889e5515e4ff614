"""Rows of preference data in the forms that trainers read.

    trl                 TRL's preference form, conversational, the prompt in a column of its own
    trl-kto             TRL's unpaired form: one response and whether it is a good one
    llama-factory       LLaMA-Factory's ranking form, sharegpt
    llama-factory-kto   LLaMA-Factory's KTO form, sharegpt
    openrlhf            OpenRLHF's preference form; `margin` is read where it is

Pairs are written by the functions in `PAIRED`, single responses with a label by those in
`UNPAIRED`. What a form cannot hold is refused, and so is a prompt that its trainer would skip or
misread; no text is changed. Whether rows from elsewhere are understood is the affair of `checks`.
No file is written here.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from flr.errors import UserError
from flr.types import Conversation, Message

Paired = Callable[[Conversation, Conversation, Mapping[str, Any]], dict[str, Any]]
"""The row of a chosen and a rejected answer to one prompt, with further columns."""

Unpaired = Callable[[Conversation, bool, Mapping[str, Any]], dict[str, Any]]
"""The row of one conversation, whether its response is a good one, and further columns."""

MISREAD_BY_TRL: frozenset[str] = frozenset(
    (
        *("chosen", "rejected", "completion", "label", "messages", "image", "images"),
        *("tools", "chat_template_kwargs", "ref_chosen_logps", "ref_rejected_logps", "ref_logps"),
    )
)
"""Columns by which TRL decides what kind of rows it has, or which it reads as its own.

Source:
    TRL 1.9, `data_utils.is_conversational`, `DPOTrainer.__init__`, `KTOTrainer._prepare_dataset`;
    TRL 1.16 fails on a text in `tools` or `chat_template_kwargs`.
"""

SHAREGPT = {"system": "system", "user": "human", "assistant": "gpt"}
"""What LLaMA-Factory calls the roles; its `observation` and `function_call` are not written."""


def ends_in_question(prompt: Sequence[Message]) -> bool:
    """Whether the assistant is to speak next: the last message is a user's or a tool's."""
    return bool(prompt) and prompt[-1].role in ("user", "tool")


def in_turn(prompt: Sequence[Message]) -> bool:
    """Whether user and assistant speak in turn, the user first, after at most one system message.

    A tool's messages, one or more, take the place of a user's where they follow the assistant's.

    Example:
        >>> in_turn([Message("system", "Be brief."), Message("user", "2 + 2?")])
        True
        >>> in_turn([Message("user", "Hello."), Message("user", "2 + 2?")])
        False
    """
    leads = bool(prompt) and prompt[0].role in ("system", "developer")
    spoken = ["assistant", *(message.role for message in prompt[leads:])]
    follows = {"assistant": ("user", "tool"), "user": ("assistant",), "tool": ("tool", "assistant")}
    starts = len(spoken) > 1 and spoken[1] == "user"
    return starts and all(after in follows.get(role, ()) for role, after in pairwise(spoken))


def _check_prompt(prompt: Sequence[Message]) -> None:
    if not ends_in_question(prompt):
        last = repr(prompt[-1].role) if prompt else "nothing"
        raise UserError(
            "the last message of a prompt must be the user's (or a tool's), but it is "
            f"{last}; cut the prompt after a user message, or leave it out"
        )
    if not prompt[-1].content.strip():
        raise UserError("the last message of the prompt is empty; leave the prompt out")


def _with(own: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """The form's own columns first; they win over further ones of the same name."""
    return {**own, **extra} | own


def _response(conversation: Conversation) -> list[dict[str, Any]]:
    return [conversation.messages[-1].as_dict()]


def _for_trl(
    own: dict[str, Any], prompt: tuple[Message, ...], extra: Mapping[str, Any]
) -> dict[str, Any]:
    _check_prompt(prompt)
    row = {"prompt": [message.as_dict() for message in prompt], **own}
    kept = {name: value for name, value in extra.items() if name not in MISREAD_BY_TRL}
    return _with(row, kept)


def trl(chosen: Conversation, rejected: Conversation, extra: Mapping[str, Any]) -> dict[str, Any]:
    """A row for TRL's DPOTrainer, RewardTrainer and their kin.

    Args:
        chosen: the prompt and its better response.
        rejected: the same prompt and the worse response.
        extra: further columns, which trainers leave alone; those of `MISREAD_BY_TRL` are left out.

    Returns:
        `prompt`, `chosen` and `rejected` as lists of messages, then the further columns.

    Raises:
        UserError: the prompt does not end with the user's message.

    Example:
        >>> good, bad = Conversation.of("2 + 2?", "4"), Conversation.of("2 + 2?", "5")
        >>> row = trl(good, bad, {"margin": 0.3})
        >>> row["prompt"], row["rejected"], row["margin"]
        ([{'role': 'user', 'content': '2 + 2?'}], [{'role': 'assistant', 'content': '5'}], 0.3)
    """
    assert chosen.prompt == rejected.prompt, "a pair answers one prompt twice"
    own = {"chosen": _response(chosen), "rejected": _response(rejected)}
    return _for_trl(own, chosen.prompt, extra)


def trl_kto(conversation: Conversation, label: bool, extra: Mapping[str, Any]) -> dict[str, Any]:
    """A row for TRL's KTOTrainer: `prompt`, `completion` and `label`; else as `trl`."""
    own = {"completion": _response(conversation), "label": label}
    return _for_trl(own, conversation.prompt, extra)


def openrlhf(
    chosen: Conversation, rejected: Conversation, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """A row for OpenRLHF's `train_dpo` and `train_rm`; the same columns as `trl`.

    OpenRLHF 0.11 reads it so: `--data.prompt_key prompt --data.chosen_key chosen
    --data.rejected_key rejected --data.apply_chat_template` (without the prompt's key it would take
    `chosen` for a whole conversation). `train_rm --model.margin_loss_enable` uses the further
    column `margin`; `train_dpo` does not.
    """
    return trl(chosen, rejected, extra)


def _turn(message: Message) -> dict[str, str]:
    if message.role not in SHAREGPT or message.extra.get("tool_calls"):
        what = (
            "tool calls" if message.role in SHAREGPT else f"a message of the role {message.role!r}"
        )
        raise UserError(
            f"the conversation has {what}, which the sharegpt form cannot hold as it is; leave it "
            "out (a developer's message may be called 'system'), or write the format trl"
        )
    return {"from": SHAREGPT[message.role], "value": message.content}


def _turns(prompt: tuple[Message, ...]) -> list[dict[str, str]]:
    """A prompt's turns; a system prompt stays the first of them."""
    turns = [_turn(message) for message in prompt]
    _check_prompt(prompt)
    if not in_turn(prompt):
        raise UserError(
            "user and assistant do not speak in turn in the prompt (the user first, after at most "
            "one system message), and LLaMA-Factory would skip it; leave it out, or write the "
            "format trl"
        )
    return turns


def llama_factory(
    chosen: Conversation, rejected: Conversation, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """A row for LLaMA-Factory's `stage: dpo` and `stage: rm`.

    What a message carries beside role and text (a name, an id) has no place in it.

    Args:
        chosen: the prompt and its better response.
        rejected: the same prompt and the worse response.
        extra: further columns, which LLaMA-Factory leaves alone.

    Returns:
        `conversations` (the prompt), `chosen` and `rejected`, then the further columns.

    Raises:
        UserError: roles, or an order of them, that the form does not have.

    Example:
        >>> good, bad = Conversation.of("2 + 2?", "4"), Conversation.of("2 + 2?", "5")
        >>> row = llama_factory(good, bad, {})
        >>> row["conversations"], row["chosen"]
        ([{'from': 'human', 'value': '2 + 2?'}], {'from': 'gpt', 'value': '4'})
    """
    assert chosen.prompt == rejected.prompt, "a pair answers one prompt twice"
    sides = {"chosen": _turn(chosen.messages[-1]), "rejected": _turn(rejected.messages[-1])}
    return _with({"conversations": _turns(chosen.prompt), **sides}, extra)


def llama_factory_kto(
    conversation: Conversation, label: bool, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """A row for `stage: kto`: `conversations` with the response, `kto_tag`; else as the pair's."""
    turns = [*_turns(conversation.prompt), _turn(conversation.messages[-1])]
    return _with({"conversations": turns, "kto_tag": label}, extra)


PAIRED: Mapping[str, Paired] = {
    "trl": trl,
    "llama-factory": llama_factory,
    "openrlhf": openrlhf,
}
"""What writes the row of a pair, by the name of the format."""

UNPAIRED: Mapping[str, Unpaired] = {"trl-kto": trl_kto, "llama-factory-kto": llama_factory_kto}
"""What writes the row of one labelled response, by the name of the format."""


def dataset_info(name: str, file_name: str, *, paired: bool) -> dict[str, Any]:
    """The entry of LLaMA-Factory's dataset_info.json for a file of these rows.

    The tags of roles are those that LLaMA-Factory takes where an entry names none.

    Args:
        name: how a training configuration names the data set.
        file_name: the data file (.jsonl or .parquet), as seen from the folder of dataset_info.json.
        paired: whether its rows are `llama_factory`'s; else they are `llama_factory_kto`'s.

    Returns:
        One entry, by its name, for the object in that file.

    Source:
        LLaMA-Factory 0.9.5, data/README.md and `data/parser.py`.

    Example:
        >>> dataset_info("mined", "pairs.jsonl", paired=False)["mined"]["columns"]
        {'messages': 'conversations', 'kto_tag': 'kto_tag'}
    """
    sides = ("chosen", "rejected") if paired else ("kto_tag",)
    columns = {"messages": "conversations"} | {side: side for side in sides}
    entry = {"file_name": file_name, "formatting": "sharegpt", "ranking": paired}
    return {name: {**entry, "columns": columns}}
