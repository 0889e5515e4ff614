"""Puts the shards of a run together: the OUTPUT of one run, with nothing left to compute."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, final, get_type_hints

from flr.errors import OutputError
from flr.filling import Progress
from flr.options import kinds_of
from flr.runs import Report
from flr.sample_file import SampleOptions, sample_file
from flr.score_file import ScoreOptions, score_file
from flr.shards import gather

Options = TypeVar("Options")


@final
@dataclass(frozen=True, slots=True)
class Merged:
    """What merging made.

    Args:
        verb: that the shards were of.
        report: of that verb.
    """

    verb: str
    report: Report


def merge(output: Path, progress: Progress, *, force: bool = False) -> Merged:
    """Writes OUTPUT from the shards beside it.

    Args:
        output: as it was given to the shards.
        progress: see `Progress`.
        force: replace an OUTPUT that was made otherwise.

    Raises:
        OutputError: a shard is missing or of another run, or INPUT has changed since.
    """
    found = gather(output)
    options = {**found.options, "force": force, "ray": None, "workers": None, "device": None}
    if found.verb == "score":
        scored = _options(ScoreOptions, options)
        return Merged("score", score_file(found.source, output, scored, progress, part=found))
    if found.verb == "sample":
        sampled = _options(SampleOptions, options)
        return Merged("sample", sample_file(found.source, output, sampled, progress, part=found))
    raise OutputError(f"{output}: its shards are of no verb that this flr knows ({found.verb})")


def _options(kind: type[Options], plain: Mapping[str, Any]) -> Options:
    """Options as a record has them."""
    paths = {name for name, hint in get_type_hints(kind).items() if Path in kinds_of(hint)}
    return kind(**{n: Path(v) if n in paths and v is not None else v for n, v in plain.items()})
