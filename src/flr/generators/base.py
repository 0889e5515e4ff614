"""The generator contract: n sampled responses to each prompt of a block.

A block is what is drawn together, from one seed. Every generator keeps the order of the prompts,
answers each of them n times or raises, and gives tokens: what a response says as text is the
tokenizer's affair, whether it is any good that of the reward.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from flr.errors import OptionError


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How responses are drawn; nothing of the policy's own generation settings has a say in it.

    Args:
        n: responses to each prompt.
        temperature: what the logits are divided by; 0 takes the likeliest token always.
        top_p: the likeliest tokens are drawn from, as many as have this probability together.
        max_new_tokens: longest response, tokens.

    Raises:
        OptionError: a number that it cannot be.
    """

    n: int = 8
    temperature: float = 0.7
    top_p: float = 0.9
    max_new_tokens: int = 2048

    def __post_init__(self) -> None:
        for name, number in (("n", self.n), ("max-new-tokens", self.max_new_tokens)):
            if number < 1:
                raise OptionError(f"--{name} {number}; 1 or more was expected")
        if not 0 <= self.temperature < float("inf"):
            raise OptionError(f"--temperature {self.temperature}; 0 or more was expected")
        if not 0 < self.top_p <= 1:
            raise OptionError(f"--top-p {self.top_p}; more than 0 and at most 1 was expected")
        if self.temperature == 0 and self.n > 1:
            raise OptionError(
                f"--temperature 0 gives {self.n} equal responses; take -n 1, or a temperature above"
            )


@final
@dataclass(frozen=True, slots=True)
class Generated:
    """One response.

    Args:
        tokens: its ids, without the token that ended it.
        finished: whether it ended by itself, and not for its length.
    """

    tokens: tuple[int, ...]
    finished: bool


class Generator(ABC):
    """Draws responses from one policy, which stays loaded."""

    @abstractmethod
    def generate(
        self, prompts: Sequence[tuple[int, ...]], seed: int
    ) -> list[tuple[Generated, ...]]:
        """n responses to each prompt, in order.

        Args:
            prompts: token rows of one block, each of at least one token.
            seed: of the block; the same prompts and seed give the same responses on one kind of
                machine (device, dtype, threads, versions).

        Raises:
            ModelError: the policy's logits are no numbers, or memory ran out.
        """
