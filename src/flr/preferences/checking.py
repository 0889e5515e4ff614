"""Checks a file of preference data for the trainer that is to read it; see `checks`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flr import io, models, sources
from flr.errors import OptionError
from flr.preferences.checks import Finding, check
from flr.preferences.trainers import Limit
from flr.template import Template
from flr.types import Message


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found.

    Args:
        rows: of the file.
        findings: errors first.
    """

    rows: int
    findings: Sequence[Finding]

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(finding.level == "error" for finding in self.findings)


def limit_of(template: Template, tokens: int) -> Limit:
    """A limit that counts as a model's tokenizer and chat template do.

    Args:
        template: of the model.
        tokens: the trainer's limit.

    Raises:
        OptionError: a limit below one token.
    """

    def count(content: str | tuple[Message, ...]) -> int:
        if isinstance(content, str):
            rendered = content
        else:
            opened = content[-1].role != "assistant"
            chat = [message.as_dict() for message in content]
            (rendered,) = template.render([chat], opened=opened)
        ((ids, _),) = template.encode([rendered])
        return len(ids)

    return Limit(tokens, count)


def check_file(
    source: str,
    trainer: str,
    *,
    against: str | None = None,
    tokenizer: str | None = None,
    max_length: int | None = None,
    split: str | None = None,
    limit: int | None = None,
) -> CheckReport:
    """What is wrong with a file, for one trainer.

    Args:
        source: file, `-` for JSONL on standard input, or hub id.
        trainer: one of `flr.preferences.trainers.TRAINERS`.
        against: held-out file, whose prompts must not be in it.
        tokenizer: model whose tokenizer and template count tokens.
        max_length: the trainer's limit, tokens.
        split: of data sets on the hub that have several.
        limit: how many rows to look at.

    Raises:
        InputError: a file that cannot be read at all.
        ModelError: no such tokenizer, or none with a chat template.
        OptionError: one of tokenizer and max_length without the other; no such trainer or split.
    """
    if (tokenizer is None) != (max_length is None):
        raise OptionError("--tokenizer and --max-length belong together; give both or neither")
    longest = None
    if tokenizer and max_length is not None:
        template = Template(models.load_tokenizer(sources.locate(tokenizer)), option=None)
        longest = limit_of(template, max_length)
    rows = io.items(source, split=split, limit=limit)
    of_held_out = None if against and Path(against).exists() else split
    held_out = io.items(against, split=of_held_out) if against else ()
    return CheckReport(len(rows), check(rows, trainer, against=held_out, limit=longest))
