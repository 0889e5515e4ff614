"""The trainers that preference data can be checked for: how they read rows, and what they lose.

What happens to a row that is longer than a limit of T tokens:

    trl-dpo, trl-kto   dropped where the prompt has T tokens or more, else cut at its end; T is
                       max_length, 1024 unless set
    openrlhf           dropped by train_dpo where the prompt has T - 2 or more, else cut at its end,
                       the last token left becoming the end-of-text token; T is max_len, 512
    llama-factory      (kto too) never dropped; T is shared out, and prompt and response each lose
                       their ends; T is cutoff_len, 2048
    rewardbench        neither cut nor dropped; --force_truncation cuts it at its beginning; T is
                       max_length, 512

Source:
    TRL 1.9, `DPOTrainer._prepare_dataset` and `DataCollatorForPreference` (`keep_start`), and
    KTOTrainer's; OpenRLHF 0.11, `RewardDataset.process_data` and `__getitem__`; LLaMA-Factory
    0.9.5, `data/processor/processor_utils.py`; reward-bench (January 2026), `rewardbench.py`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from flr.errors import OptionError
from flr.preferences.llama_factory import llama_factory, llama_factory_kto
from flr.preferences.reading import Reader, openrlhf, rewardbench, trl_dpo, trl_kto
from flr.types import Message

Level = Literal["error", "warning"]
"""`error` where a trainer refuses, loses or mistakes something, or learns it twice; else
`warning`."""

CountTokens = Callable[[str | tuple[Message, ...]], int]
"""How many tokens a text has as it is, or messages in the chat template. Where the last message is
not the assistant's, the opening of the assistant's turn counts too. May raise a `UserError`."""

Lost = tuple[Level, str, str]
"""A level, a field, and what happens to it."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How long rows may be.

    Args:
        tokens: what the trainer calls max_length, max_len or cutoff_len.
        count: counts tokens as the trainer's tokenizer does.
    """

    tokens: int
    count: CountTokens

    def __post_init__(self) -> None:
        if self.tokens < 1:
            raise OptionError(f"--max-length {self.tokens}; expected at least 1 token")


def _keep_start(
    prompt: int, responses: Mapping[str, int], limit: int, *, trainer: str, reserved: int
) -> Iterator[Lost]:
    """Drops a row whose prompt fills the limit, and cuts the others at the end."""
    if prompt >= limit - reserved:
        yield "error", "prompt", f"alone fills the limit: {trainer} drops the row"
        return
    for name, length in responses.items():
        if prompt + length > limit:
            yield "error", name, f"goes beyond the limit: {trainer} cuts its end off"


def _both_cut(prompt: int, responses: Mapping[str, int], limit: int) -> Iterator[Lost]:
    """LLaMA-Factory's way: room is shared by the longer response and the prompt."""
    longest = max(responses.values())
    if 2 * longest < limit:
        room = limit
    elif 2 * prompt < limit:
        room = limit - prompt
    else:
        room = int(limit * (longest / (prompt + longest)))  # rounded as there
    for name, length in responses.items():
        if length > room:
            yield "error", name, "goes beyond the limit: LLaMA-Factory cuts its end off"
    if prompt > limit - min(room, longest):
        yield (
            "error",
            "prompt",
            "goes beyond the limit: LLaMA-Factory cuts off its end, the question",
        )


def _not_cut(prompt: int, responses: Mapping[str, int], limit: int) -> Iterator[Lost]:
    for name, length in responses.items():
        if prompt + length > limit:
            yield "warning", name, "goes beyond the limit; RewardBench leaves it so"


@dataclass(frozen=True, slots=True)
class Trainer:
    """How a trainer reads a row, and what it does with one that is not as it should be.

    Args:
        read: its way of reading.
        lost: what is lost of a row, from the tokens of its prompt, of each response, and the limit.
        out_of_turn: what becomes of messages that are not user and assistant in turn.
        turns: whether that is an error; where the trainer reads them as they are, it is none.
        label: the column that says whether a response is a good one, where there is one.
        shuffles: whether it takes rows in an order of its own.
    """

    read: Reader
    lost: Callable[[int, Mapping[str, int], int], Iterator[Lost]]
    out_of_turn: str = "some chat templates refuse such a conversation (see --tokenizer)"
    turns: Level = "warning"
    label: str = "label"
    shuffles: bool = True


_SKIPPED = "LLaMA-Factory skips such a row"
_trl_cut = partial(_keep_start, trainer="TRL", reserved=0)

TRAINERS: Mapping[str, Trainer] = {
    "trl-dpo": Trainer(trl_dpo, _trl_cut),
    "trl-kto": Trainer(trl_kto, _trl_cut, shuffles=False),
    "llama-factory": Trainer(llama_factory, _both_cut, _SKIPPED, "error"),
    "llama-factory-kto": Trainer(llama_factory_kto, _both_cut, _SKIPPED, "error", "kto_tag"),
    "openrlhf": Trainer(openrlhf, partial(_keep_start, trainer="OpenRLHF", reserved=2)),
    "rewardbench": Trainer(
        rewardbench, _not_cut, "RewardBench names them so by their position", "error"
    ),
}
"""The trainers that a file can be checked for, by the name that the command line gives them."""
