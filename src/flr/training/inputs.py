"""What a training is made of, before any weights are read: the rows, the model, and their check.

Everything that can be said against a run is said here: rows that TRL would misread, cut or drop,
a model without a chat template, options that do not fit it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from gguf import GGUFReader

from flr import io, models
from flr.engines.sharing import longest_row
from flr.errors import InputError, OptionError, Problem
from flr.loading import read_template
from flr.preferences.checking import limit_of
from flr.preferences.checks import Finding, check
from flr.preferences.reading import rendered_columns
from flr.reading import Numbered
from flr.sources import Source
from flr.template import Template

COLUMNS = ("prompt", "chosen", "rejected", "completion", "label")
"""What TRL is given of a row, so that no other column disturbs it."""


@final
@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a file.

    Args:
        source: the file, or hub id.
        items: as they were read, with their numbers.
        taken: as TRL is given them.
    """

    source: str
    items: Sequence[Numbered]
    taken: Sequence[Mapping[str, Any]]

    @property
    def labels(self) -> list[bool]:
        """Of the rows that have one."""
        return [row["label"] for row in self.taken if isinstance(row.get("label"), bool)]


def _rendered(number: int, row: Mapping[str, Any]) -> Iterator[Problem]:
    """Columns that TRL would have in the conversation, and a table of different rows would lose."""
    for name in rendered_columns(row):
        message = (
            "TRL renders it into the conversation, where nothing else of flr does (sampling, "
            "scoring, counting tokens); leave the column out, or train with TRL itself"
        )
        yield Problem(number, name, message)


def read(source: str, split: str | None) -> Rows:
    """The rows of a file or hub id.

    Args:
        source: which.
        split: of a data set on the hub; a file has none.

    Raises:
        InputError: it cannot be read, holds no rows, or columns that TRL would render into them.
        OptionError: standard input, which cannot be read by every process; no such split.
    """
    if source == "-":
        raise OptionError("flr align reads its rows in every process; give a file in place of -")
    items = io.items(source, split=split)
    problems: list[Problem] = []
    taken: list[Mapping[str, Any]] = []
    for number, value in items:
        if isinstance(value, Mapping):
            problems += _rendered(number, value)
            taken.append({name: value[name] for name in COLUMNS if value.get(name) is not None})
        else:
            unread = Problem(number, "", "an object with columns was expected")
            problems.append(value if isinstance(value, Problem) else unread)
    if problems or not taken:
        raise InputError(source, problems or [Problem(None, "", "has no rows")])
    return Rows(source, items, taken)


@final
@dataclass(frozen=True, slots=True)
class Base:
    """The model that is trained, but for its weights.

    Args:
        source: where it lies.
        tokenizer: with the chat template in force.
        template: of the tokenizer.
        longest: what it takes, tokens; None for no limit.
    """

    source: Source
    tokenizer: Any
    template: Template
    longest: int | None


def split_of(source: str, split: str | None) -> str | None:
    """The split of a source, where it is a data set on the hub and not a file."""
    return None if Path(source).exists() else split


def weight_bytes(source: Source, device: str) -> int:
    """Size of a model's weights, those below an adapter where it is one; packed ones as bf16.

    0 on a CPU: the size has a say on a GPU alone, and that of a GGUF file takes seconds.
    """
    if device == "cpu":
        return 0
    below = source.base or source
    if below.gguf:
        packed = GGUFReader(below.folder / below.gguf).tensors
        return sum(2 * int(tensor.n_elements) for tensor in packed)
    return sum(one.stat().st_size for one in below.folder.glob("*.safetensors"))


def prepare_base(
    source: Source, template: Path | None, option: str, *, trust_remote_code: bool
) -> Base:
    """Reads a model's tokenizer and configuration.

    Args:
        source: where it lies.
        template: Jinja file in place of the model's own; the saved model has it too.
        option: by which it is given.
        trust_remote_code: run code that comes with it.

    Raises:
        ModelError: they cannot be read, or there is no chat template.
        OptionError: a template file that cannot be read.
    """
    tokenizer = models.load_tokenizer(source, trust_remote_code=trust_remote_code)
    override = read_template(template, option)
    if override is not None:
        tokenizer.chat_template = override
    config = models.load_config(source, trust_remote_code=trust_remote_code)
    return Base(source, tokenizer, Template(tokenizer, option=option), longest_row(config))


def findings(
    rows: Rows, held_out: Rows | None, trainer: str, template: Template, tokens: int | None
) -> dict[str, Sequence[Finding]]:
    """What `flr check` says of each file, by its name.

    Args:
        rows: to train on.
        held_out: to evaluate on.
        trainer: of `flr.preferences.trainers.TRAINERS`.
        template: of the policy, which counts tokens.
        tokens: TRL's limit; None for none.
    """
    limit = None if tokens is None else limit_of(template, tokens)
    against = held_out.items if held_out else ()
    found: dict[str, Sequence[Finding]] = {}
    found[rows.source] = check(rows.items, trainer, against=against, limit=limit)
    if held_out:
        of_held_out = check(held_out.items, trainer, limit=limit)
        # What concerns a file as a whole (one label only) is no fault where it is evaluated on.
        found[held_out.source] = tuple(one for one in of_held_out if one.rows)
    return found


def refuse(found: Mapping[str, Sequence[Finding]]) -> None:
    """Raises where TRL would misread or lose rows.

    Raises:
        InputError: all errors of the first file that has some.
    """
    for source, of_file in found.items():
        errors = [str(one).removeprefix("error: ") for one in of_file if one.level == "error"]
        if errors:
            raise InputError(
                source,
                [Problem(None, "", words) for words in errors],
                "Mend the file, give a larger --max-length where rows are too long, or --check "
                "warn to train all the same.",
            )
