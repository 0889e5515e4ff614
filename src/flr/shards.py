"""Runs in shards, for Slurm or any other scheduler: every N-th block each, merged at the end.

    flr score INPUT -o OUTPUT --shard 1/8         on one machine
    flr score INPUT -o OUTPUT --shard 2/8         on another, at any time
    ...
    flr merge OUTPUT                              when all of them are done

A shard computes its blocks into a store of its own beside OUTPUT and then writes a record of them.
Merging gathers the blocks and lets the verb write OUTPUT as it would have without shards, with
nothing left to compute: the same bytes.
"""

import glob
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar, final

from flr import files, runs
from flr.errors import OptionError, OutputError
from flr.filling import Progress, Work, fill
from flr.runs import Report, Store
from flr.workers import Block, Result

T = TypeVar("T")


@final
@dataclass(frozen=True, order=True, slots=True)
class Shard:
    """One part of a run.

    Args:
        number: from 1 to `of`.
        of: how many parts there are.
    """

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def part(self, blocks: Sequence[T]) -> Sequence[T]:
        """The blocks of this shard: every `of`-th, so that all shards have like amounts of work.

        Example:
            >>> Shard(2, 3).part("abcdefgh")
            'beh'
        """
        return blocks[self.number - 1 :: self.of]

    def place(self, output: Path) -> Path:
        """By what name its store and its record lie beside OUTPUT."""
        return output.with_name(f"{output.name}.shard-{self.number}-of-{self.of}")


def parse(text: str) -> Shard:
    """A shard as it is given.

    Raises:
        OptionError: it is none.

    Example:
        >>> parse("2/8")
        Shard(number=2, of=8)
    """
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    number, of = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= of:
        raise OptionError(f"--shard {text}: I/N with 1 <= I <= N was expected, such as 2/8")
    return Shard(number, of)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What all shards of a run have in common.

    Args:
        verb: that makes OUTPUT.
        source: INPUT.
        output: OUTPUT.
        options: of the verb, a dataclass.
        key: of the run.
        made_with: everything but the blocks that changes the bits of what is computed.
    """

    verb: str
    source: str
    output: Path
    options: Any
    key: str
    made_with: Mapping[str, Any]


def compute(
    run: Run, shard: Shard, blocks: Sequence[Block], work: Work, progress: Progress
) -> Report:
    """Computes the blocks of one shard, and writes its record when all are there.

    Raises:
        OptionError: INPUT is standard input, which no other shard could read.
    """
    if run.source == "-":
        raise OptionError("--shard: every shard reads the whole INPUT; give a file, not -")
    place = shard.place(run.output)
    own = shard.part(blocks)
    with Store(runs.store_path(place)) as store:
        computed = fill(store, own, run.made_with, work, progress)
    record = {
        "run": run.key,
        "shard": str(shard),
        "verb": run.verb,
        "input": run.source,
        "options": asdict(run.options),
        "made_with": dict(run.made_with),
        "blocks": {"own": len(own), "all": len(blocks), "computed_last": computed},
    }
    files.write_text(runs.record_path(place), json.dumps(runs.plain(record), indent=2) + "\n")
    return Report(record, computed)


def done_with(output: Path, report: Report) -> str:
    """What is said when a shard is finished."""
    record, now = report.record, "" if report.computed else " (they were finished before)"
    return (
        f"shard {record['shard']} of {output}: {record['blocks']['own']} of "
        f"{record['blocks']['all']} blocks{now}; when all shards are finished: flr merge {output}"
    )


@final
@dataclass(frozen=True, slots=True)
class Gathered:
    """What finished shards say of their run.

    Args:
        verb: that they are of.
        source: INPUT.
        options: of the verb, as plain data.
        made_with: see `Run`.
    """

    verb: str
    source: str
    options: Mapping[str, Any]
    made_with: Mapping[str, Any]

    def work(self, blocks: Sequence[Block]) -> Iterator[tuple[int, Result]]:
        """In place of what computes blocks: there must be none left."""
        if blocks:
            raise OutputError(
                f"the shards lack {len(blocks)} blocks of {self.source}; has it changed since?"
            )
        yield from ()


def gather(output: Path) -> Gathered:
    """Gathers the blocks of all shards in the store of OUTPUT.

    Raises:
        OutputError: there are no shards, one is missing, or one is of another run.
    """
    found = dict(sorted(_records(output), key=lambda pair: pair[0]))
    if not found:
        raise OutputError(f"{output} has no finished shards; --shard 1/8 computes the first of 8")
    (first, one), *others = found.items()
    for shard, record in others:
        if shard.of != first.of or record["run"] != one["run"]:
            raise OutputError(
                f"shards {first} and {shard} of {output} are not of one run: other input, options, "
                "versions, kind of machine or number of shards; remove what is not wanted "
                f"({shard.place(output)}.run.*)"
            )
    missing = [str(s) for s in (Shard(n + 1, first.of) for n in range(first.of)) if s not in found]
    if missing:
        raise OutputError(
            f"of {first.of} shards of {output}, {len(missing)} are not finished: "
            f"{', '.join(missing[:10])}{', ...' if len(missing) > 10 else ''}"
        )
    with Store(runs.store_path(output)) as store:
        for shard in found:
            for key, results in _blocks(shard, runs.store_path(shard.place(output))):
                store.put(key, results)
    return Gathered(one["verb"], one["input"], one["options"], one["made_with"])


def _blocks(shard: Shard, place: Path) -> Iterator[tuple[str, Any]]:
    """The finished blocks of a shard.

    Raises:
        OutputError: its store is not there, or is damaged.
    """
    if not place.is_file():
        raise OutputError(f"shard {shard} has its record here, but not {place}; copy that, too")
    with Store(place) as part:
        for key in part.keys():  # noqa: SIM118 - a store is no mapping
            results = part.get(key)
            if results is None:
                raise OutputError(f"{place} is damaged; compute shard {shard} again, or copy it")
            yield key, results


def _records(output: Path) -> Iterator[tuple[Shard, dict[str, Any]]]:
    """The records of finished shards."""
    for path in output.parent.glob(f"{glob.escape(output.name)}.shard-*-of-*.run.json"):
        name = path.name.removesuffix(".run.json")
        if numbers := re.search(r"\.shard-(\d+)-of-(\d+)$", name):
            record = runs.read_record(path.with_name(name))
            if record.get("run"):
                yield parse("/".join(numbers.groups())), record
