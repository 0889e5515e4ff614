"""What a trainer understands of a row of preference data: its prompt, responses and label.

One function a trainer, after that trainer's own code (named in each docstring); those for
LLaMA-Factory are in `llama_factory`. A row that the trainer would refuse, skip or take for
something else raises a `RowError` that says so. A row that it takes in a way that few expect has a
note. Whether the content is any good, and what many rows are like together, is the affair of
`checks`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from flr.messages import (
    RowError,
    conversation_of,
    kind_of,
    list_of,
    messages_of,
    prompt_of,
    response_of,
    transcript_of,
)
from flr.types import Message

SIDES = ("chosen", "rejected")

TRL_TEXTS = "a text; TRL trains on texts as they are, without the model's chat template"


@dataclass(frozen=True, slots=True)
class Example:
    """A row as its trainer understands it.

    Args:
        prompt: its messages; where the row holds texts, one message of the user's.
        responses: the assistant's message by the column that holds it.
        form: `messages`, `texts`, or `plain texts`, to which no chat template is applied; and
            `without a prompt` where the sides are whole conversations.
        label: whether the response is a good one; None where responses are compared.
        note: what the trainer makes of the prompt that few expect.
    """

    prompt: tuple[Message, ...]
    responses: Mapping[str, Message]
    form: str = "messages"
    label: bool | None = None
    note: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether the prompt and a response are one text, to which no chat template is applied."""
        return self.form.startswith("plain")


Reader = Callable[[Mapping[str, Any]], Example]
"""What a trainer makes of the columns of a row; raises a `RowError` where it makes nothing."""


def need(columns: Mapping[str, Any], *names: str) -> None:
    """Raises where one of these columns is not there, or null."""
    needed = ", ".join(names) if len(names) > 1 else "this column"
    for name in names:
        if columns.get(name) is None:
            absent = "null" if name in columns else "missing"
            raise RowError(name, f"{absent}; the trainer needs {needed}")


def flag_of(columns: Mapping[str, Any], name: str) -> bool:
    """The label in a column, which must be a true boolean."""
    value = columns[name]
    if not isinstance(value, bool):
        raise RowError(name, f"expected true or false, got {kind_of(value)}")
    return value


def _are_texts(columns: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Whether these columns hold texts; else all of them hold lists."""
    texts = [name for name in names if isinstance(columns[name], str)]
    lists = [name for name in names if name not in texts]
    for name in lists:
        list_of(columns[name], name, "a text or a list of messages")
    if texts and lists:
        raise RowError(
            texts[0],
            f"is a text, but `{lists[0]}` is a list; give texts in all of {', '.join(names)}, or "
            "lists of messages in all",
        )
    return not lists


def _appended(columns: Mapping[str, Any], name: str) -> Message:
    """The response in a column that is put after the prompt."""
    value = columns[name]
    if isinstance(value, list | tuple) and len(value) > 1:
        raise RowError(
            name,
            "is a whole conversation, but it is put after `prompt`, which would come twice; keep "
            "only the assistant's last message in it",
        )
    return response_of(value, name)


def _explicit(columns: Mapping[str, Any], names: Sequence[str], texts_note: str = "") -> Example:
    """A row whose prompt has a column of its own, with its responses in `names`."""
    texts = _are_texts(columns, ("prompt", *names))
    responses = {name: _appended(columns, name) for name in names}
    prompt = prompt_of(columns["prompt"])
    if texts:
        return Example(prompt, responses, "plain texts", note=texts_note)
    return Example(prompt, responses)


def _whole(columns: Mapping[str, Any], note: str, texts_note: str) -> Example:
    """A row of two whole conversations, as messages or as transcripts."""
    texts = _are_texts(columns, SIDES)
    chosen, rejected = (
        transcript_of(columns[side], side)
        if texts
        else conversation_of(messages_of(columns[side], side), side)
        for side in SIDES
    )
    if chosen.prompt != rejected.prompt:
        raise RowError(
            "rejected", "its prompt is not that of `chosen`; a pair answers one prompt twice"
        )
    responses = {"chosen": chosen.messages[-1], "rejected": rejected.messages[-1]}
    if not texts:
        return Example(chosen.prompt, responses, "messages without a prompt", note=note)
    begin = Message("user", columns["chosen"].removesuffix(chosen.response))
    return Example((begin,), responses, "plain texts without a prompt", note=texts_note)


def _check_trl_columns(columns: Mapping[str, Any], texts: bool) -> None:
    """Raises where another column makes TRL take the row for another kind of row."""
    for name in ("image", "images"):
        if name in columns:
            raise RowError(name, "makes TRL take the file for one of images; rename or remove it")
    for name in ("completion", "messages"):
        value = columns.get(name)
        if value is not None and isinstance(value, str) != texts:
            raise RowError(
                name,
                f"is {kind_of(value)}, unlike the responses; TRL may go by it and take messages "
                "for texts, or texts for messages; rename or remove it",
            )


def rendered_columns(columns: Mapping[str, Any]) -> list[str]:
    """The columns of a row that TRL renders into its messages; none where it holds plain text."""
    if any(isinstance(columns.get(name), str) for name in ("chosen", "completion")):
        return []
    nothing = (None, "", "[]", "{}", [], {})
    return [n for n in ("tools", "chat_template_kwargs") if columns.get(n) not in nothing]


def _rendered(columns: Mapping[str, Any], example: Example) -> Example:
    """Notes what TRL renders into messages, beside them."""
    names = [f"`{name}`" for name in rendered_columns(columns)]
    if not names:
        return example
    note = f"is rendered with {' and '.join(names)} by TRL, and its length here is that without"
    return replace(example, note=f"{example.note}; {note}" if example.note else note)


def trl_dpo(columns: Mapping[str, Any]) -> Example:
    """A row for TRL's DPOTrainer: `chosen` and `rejected`, and a prompt that may be implicit.

    Source:
        TRL 1.9, `DPOTrainer._prepare_dataset`, `data_utils.extract_prompt`, `is_conversational`.
    """
    need(columns, *SIDES)
    _check_trl_columns(columns, isinstance(columns["chosen"], str))
    if columns.get("prompt") is not None:
        return _rendered(columns, _explicit(columns, SIDES, TRL_TEXTS))
    example = _whole(
        columns,
        "missing; TRL takes the messages with which both sides begin; a column `prompt` is safer",
        "missing; TRL takes all characters with which both sides begin, also the words with which "
        "both responses begin, and applies no chat template; give a column `prompt`",
    )
    return _rendered(columns, example)


def trl_kto(columns: Mapping[str, Any]) -> Example:
    """A row for TRL's KTOTrainer: `prompt`, `completion` and a boolean `label`.

    Source:
        TRL 1.9, `KTOTrainer._prepare_dataset`.
    """
    if all(columns.get(side) is not None for side in SIDES):
        raise RowError(
            "chosen",
            "stands beside `rejected`: TRL makes two rows of every pair, the chosen one true and "
            "the rejected one false, whatever `label` says; give `prompt`, `completion`, `label`",
        )
    need(columns, "prompt", "completion", "label")
    _check_trl_columns(columns, isinstance(columns["completion"], str))
    label = flag_of(columns, "label")
    example = _rendered(columns, _explicit(columns, ("completion",), TRL_TEXTS))
    return replace(example, label=label)


def openrlhf(columns: Mapping[str, Any]) -> Example:
    """A row for OpenRLHF's train_dpo or train_rm; the prompt may be implicit in messages.

    Source:
        OpenRLHF 0.11, `datasets/reward_dataset.py`, `preprocess_data`.
    """
    need(columns, *SIDES)
    margin = columns.get("margin")
    is_number = isinstance(margin, int | float) and not isinstance(margin, bool)
    if margin is not None and not (is_number and abs(margin) < inf):
        raise RowError("margin", "expected a finite number; train_rm subtracts it in its loss")
    if columns.get("prompt") is not None:
        return _explicit(columns, SIDES)
    note = (
        "missing; OpenRLHF's train_dpo takes the whole text for the response; give a column "
        "`prompt`, and --data.prompt_key prompt"
    )
    return _whole(columns, "", note)


def rewardbench(columns: Mapping[str, Any]) -> Example:
    """A row for `rewardbench --dataset`: whole conversations, or texts with a prompt.

    Source:
        reward-bench (January 2026), `utils.load_and_process_dataset`,
        `utils.prepare_dialogue_from_tokenizer`.
    """
    need(columns, *SIDES)
    if _are_texts(columns, SIDES):
        need(columns, "prompt")
        sides = {side: response_of(columns[side], side) for side in SIDES}
        example = Example(prompt_of(columns["prompt"]), sides, "texts")
    elif any(len(columns[side]) == 1 for side in SIDES):
        raise RowError(
            "chosen",
            "and `rejected` hold the response alone; RewardBench takes the prompt from their other "
            "messages and does not read `prompt` beside lists; give whole conversations",
        )
    else:
        example = _whole(columns, "", "")
    if any(message.role not in ("user", "assistant") for message in example.prompt):
        raise RowError(
            "prompt",
            "holds a role beside user and assistant; RewardBench names messages by their position, "
            "user and assistant in turn; leave the system prompt out",
        )
    return example
