"""Prompts whose responses a program can check: a measure that no model's opinion enters.

The prompts are data (`data/verifiable/prompts.yaml`): each has a kind, that kind's arguments, an
example that passes and one that fails. Reading refuses a file with anything wrong in it, and says
all that is: of its shape by `reading`, of its examples here. How a kind is judged is
`checks`'; sampling the responses and counting those that pass is done elsewhere.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from flr.errors import InputError, Problem
from flr.followups.checks import shown
from flr.verifiable.checks import CHECKS
from flr.verifiable.reading import TEXT_KEYS, about_repeats, about_shape, entries
from flr.verifiable.text import echoes, repeats_itself

DATA = Path(__file__).parents[1] / "data" / "verifiable" / "prompts.yaml"
"""Where the prompts lie."""

KINDS = tuple(CHECKS)
"""What a program can be asked to check, in the order of the documentation."""

LONGEST = 5_000
"""Characters; no prompt needs a tenth of them, and no longer response passes."""


@dataclass(frozen=True, slots=True)
class VerifiablePrompt:
    """A prompt, and how a response to it is judged.

    Args:
        id: a short name, unique among the prompts.
        kind: one of `KINDS`.
        prompt: what the user says.
        arguments: what its kind's check takes beside the response.
        good: a response that passes.
        bad: a plausible response that fails.
    """

    id: str
    kind: str
    prompt: str
    arguments: Mapping[str, Any] = field(hash=False)
    good: str
    bad: str

    def passes(self, response: str) -> bool:
        """Whether a response does what the prompt asks, as far as a program can see.

        A copy of the prompt or of a part of it, the same words over and over, and more than
        `LONGEST` characters fail whatever the kind; an empty response passes no check. Where the
        prompt stands in the response among other things, those have to pass without it too.

        Args:
            response: the text, without template tokens or think blocks.

        Example:
            >>> by_id = {prompt.id: prompt for prompt in load()}
            >>> legs = by_id["spider-legs"]
            >>> legs.passes("A spider has eight legs."), legs.passes("Six or eight.")
            (True, False)
        """
        if len(response) > LONGEST:
            return False
        rest = re.sub(re.escape(self.prompt), " ", response, flags=re.IGNORECASE)
        check = CHECKS[self.kind]
        fits = all(check(text, **self.arguments) for text in {response, rest})
        return fits and not echoes(response, self.prompt) and not repeats_itself(response)


def _made(entry: Mapping[str, Any]) -> VerifiablePrompt:
    arguments = {name: value for name, value in entry.items() if name not in TEXT_KEYS}
    return VerifiablePrompt(arguments=arguments, **{name: entry[name] for name in TEXT_KEYS})


def _about_examples(prompt: VerifiablePrompt) -> Iterator[tuple[str, str]]:
    if not prompt.passes(prompt.good):
        yield "good", f"does not pass its own check: {shown(prompt.good)}"
    if prompt.passes(prompt.bad):
        yield "bad", f"passes the check: {shown(prompt.bad)}"
    if prompt.passes(prompt.prompt):
        yield "prompt", "passes its own check when it is said back"


def parse(text: str, label: str) -> tuple[VerifiablePrompt, ...]:
    """The prompts in the text of a YAML file.

    Args:
        text: a mapping with the key `prompts`: a list of entries.
        label: how errors name the file.

    Returns:
        The prompts in the file's order.

    Raises:
        InputError: anything is wrong with any entry; all of it is listed, by row and id.
    """
    found = entries(text, label)
    problems = list(about_repeats(found))
    for row, entry in enumerate(found, start=1):
        name = entry.get("id", "") if isinstance(entry, dict) else ""
        for key, message in list(about_shape(entry)) or list(_about_examples(_made(entry))):
            problems.append(Problem(row, f"{name}.{key}".strip("."), message))
    if problems:
        raise InputError(label, sorted(problems, key=lambda problem: problem.row or 0))
    return tuple(map(_made, found))


@cache
def load() -> tuple[VerifiablePrompt, ...]:
    """The prompts that come with flr.

    Returns:
        The prompts in the file's order, kind by kind.

    Example:
        >>> prompts = load()
        >>> prompts[0].kind, prompts[0].passes(prompts[0].good)
        ('number', True)
    """
    return parse(DATA.read_text("utf-8"), DATA.name)
