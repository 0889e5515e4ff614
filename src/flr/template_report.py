"""What a model's chat template does to a conversation, found out by rendering small ones.

It reads renderings only, never the template's logic, so what a template does under other
conditions (tools, many turns) it does not tell.
"""

from dataclasses import dataclass

from flr.chat import Chat, Renderer
from flr.errors import RenderError
from flr.spans import shared_start
from flr.types import Conversation

PROMPT, RESPONSE, FOLLOWUP, OTHER = "Name a fruit.", "An apple.", "Thank you!", "Be very brief."
THOUGHT = "It is red."
ROLES = ("system", "developer", "tool")


@dataclass(frozen=True, slots=True)
class TemplateReport:
    """What a chat template does.

    Args:
        example: a rendering of one prompt, its response and a follow-up.
        preamble: what the template itself puts before the first user turn (a default system
            prompt, a date), special tokens left out; empty where there is nothing.
        bos: how many BOS tokens a rendering begins with.
        trims: whether white space at the ends of a text is removed.
        drops_thinking: whether a response's `<think>` block is gone once a user turn follows.
        rewrites_history: whether what is before a response's end changes once a user turn follows.
        refused_roles: roles for which the template raises an error.
        lost_roles: roles whose text is left out without an error.
        dated: whether the template asks for today's date, so that rows change from day to day.
        split: whether rows can be put together from a head and shared tails.
    """

    example: str
    preamble: str
    bos: int
    trims: bool
    drops_thinking: bool
    rewrites_history: bool
    refused_roles: tuple[str, ...]
    lost_roles: tuple[str, ...]
    dated: bool
    split: bool


def _rendered(renderer: Renderer, *turns: tuple[str, str]) -> str:
    chat: Chat = [{"role": role, "content": content} for role, content in turns]
    return renderer.template.render([chat])[0]


def _example(renderer: Renderer, response: str = RESPONSE) -> str:
    turns = (("user", PROMPT), ("assistant", response), ("user", FOLLOWUP))
    return _rendered(renderer, *turns)


def _preamble(renderer: Renderer, example: str) -> str:
    """What is before the first user turn and not before the second, special tokens left out."""
    first, rest = example.split(PROMPT, 1)
    second = rest[rest.find(RESPONSE) + len(RESPONSE) : rest.rfind(FOLLOWUP)]
    first, second = (renderer.template.special.sub("", text) for text in (first, second))
    shared = shared_start(first[::-1], second[::-1])
    return first[: len(first) - len(shared)].strip()


def _bos(renderer: Renderer, example: str) -> int:
    """How many BOS tokens the tokenised example begins with."""
    bos = renderer.template.tokenizer.special_tokens_map.get("bos_token")
    ((ids, offsets),) = renderer.template.encode([example])
    texts = [example[left:right] for left, right in offsets[: len(ids)]]
    return next((i for i, text in enumerate(texts) if text != bos), len(texts)) if bos else 0


def _trims(renderer: Renderer) -> bool:
    return f"  {RESPONSE}  " not in _example(renderer, f"  {RESPONSE}  ")


def _rewrites(renderer: Renderer, response: str) -> bool:
    """Whether the rendering up to the response's end is another one before a user turn."""
    alone = _rendered(renderer, ("user", PROMPT), ("assistant", response))
    end = alone.rindex(RESPONSE) + len(RESPONSE)
    return not _example(renderer, response).startswith(alone[:end])


def _role(renderer: Renderer, role: str) -> str:
    """`refused`, `lost` or `kept`: what becomes of a message of this role."""
    turns = [("user", PROMPT), ("assistant", RESPONSE), ("user", FOLLOWUP)]
    turns.insert(2 if role == "tool" else 0, (role, OTHER))
    try:
        return "kept" if OTHER in _rendered(renderer, *turns) else "lost"
    except RenderError:
        return "refused"


def describe(renderer: Renderer) -> TemplateReport:
    """What the renderer's chat template does to a conversation.

    Args:
        renderer: any form; the conversations are those of the form `user`.

    Raises:
        RenderError: the template refuses even a prompt, a response and a follow-up.
        ModelError: the template is not valid Jinja.
    """
    example = _example(renderer)
    if PROMPT not in example or RESPONSE not in example or FOLLOWUP not in example:
        raise RenderError(
            "the chat template leaves out the text of a prompt, response or follow-up"
        )
    thinking = f"<think>{THOUGHT}</think>\n\n{RESPONSE}"
    roles = {role: _role(renderer, role) for role in ROLES}
    return TemplateReport(
        example=example,
        preamble=_preamble(renderer, example),
        bos=_bos(renderer, example),
        trims=_trims(renderer),
        drops_thinking=THOUGHT not in _example(renderer, thinking),
        rewrites_history=_rewrites(renderer, RESPONSE) or _rewrites(renderer, thinking),
        refused_roles=tuple(role for role in ROLES if roles[role] == "refused"),
        lost_roles=tuple(role for role in ROLES if roles[role] == "lost"),
        dated="strftime_now" in renderer.template.source,
        split=renderer.followups(Conversation.of(PROMPT, RESPONSE), [FOLLOWUP, OTHER]).split,
    )
