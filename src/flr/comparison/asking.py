"""Asks a policy a set of prompts: its responses lie in a file of their own, and are read back.

    prompts -> those that the policy can take -> its file (`sample_file`) -> responses by place

All policies are asked with the same options and the same seed; nothing here knows of two of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from flr import io
from flr.filling import Progress
from flr.policies import PolicyParts, prepare_policy
from flr.prompts import PromptOfRow
from flr.sample_file import SampleOptions, sample_rows, usable_prompts

Place = tuple[int, int]
"""Which response: number of its prompt's row, from 1, and its own number there, from 0."""


@final
@dataclass(frozen=True, slots=True)
class Said:
    """One response.

    Args:
        text: as it is, empty or unfinished.
        tokens: its length, tokens of the policy.
        finished: whether the policy ended it, and not the limit.
    """

    text: str
    tokens: int
    finished: bool


@final
@dataclass(frozen=True, slots=True)
class Asking:
    """A policy, and what it is asked.

    Args:
        rows: all prompts.
        source: where they are from.
        path: the file of the responses.
        options: which policy, and how it samples.
        parts: what is known of the policy.
        skipped: rows that it cannot take and that are left out, with the reason.
    """

    rows: Sequence[PromptOfRow]
    source: str
    path: Path
    options: SampleOptions
    parts: PolicyParts
    skipped: Mapping[int, str]

    @classmethod
    def of(
        cls, rows: Sequence[PromptOfRow], source: str, path: Path, options: SampleOptions
    ) -> "Asking":
        """Looks at policy and prompts; loads no weights.

        Raises:
            InputError: prompts that the policy cannot take, unless they are to be left out.
            UserError: there is no such policy, or it cannot be used.
        """
        parts = prepare_policy(options)
        _, skipped = usable_prompts(source, rows, parts, options)
        return cls(rows, source, path, options, parts, dict(skipped))

    def sample(self, progress: Progress) -> int:
        """Draws what is not there yet; returns how many blocks those were.

        Raises:
            OutputError: the file cannot be written, or holds something else.
        """
        report = sample_rows(self.rows, self.source, self.path, self.options, progress)
        return report.computed

    def said(self) -> dict[Place, Said]:
        """The responses, from the file."""
        numbers = [row.number for row in self.rows if row.number not in self.skipped]
        found: dict[Place, Said] = {}
        for number, row in zip(numbers, io.read(str(self.path)), strict=True):
            drawn = zip(
                row["responses"], row["response_tokens"], row["finish_reasons"], strict=True
            )
            for at, (text, tokens, reason) in enumerate(drawn):
                found[number, at] = Said(text, tokens, reason == "stop")
        return found
