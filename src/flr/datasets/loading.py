"""Benchmark sets into items: by name, or any file or hub id in RewardBench's or TRL's form."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from os.path import normpath
from pathlib import Path

from flr import io
from flr.datasets import local, pairwise
from flr.datasets.base import Dataset, Kind
from flr.datasets.catalogue import ALL, SPECS, SUITES, HubSource, Spec
from flr.datasets.raw import Converted, RawRow, RawSource, by_row
from flr.errors import InputError, OptionError, Problem, UserError, did_you_mean
from flr.reading import file_items, reader_of

PAIRS = (
    "A file or hub id that is no set of `flr bench list` holds pairs: columns chosen and rejected, "
    "and prompt where they are responses alone; texts or lists of messages. Rename its columns, or "
    "mend these rows."
)


def _dataset(
    name: str, kind: Kind, source: str, rows: Sequence[RawRow], converted: Converted
) -> Dataset:
    items, left_out = converted
    if not rows:
        raise InputError(source, [Problem(None, "", "has no rows")])
    if not items:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        raise UserError(
            f"{name}: nothing in {source} can be used (rows: {len(rows)}; {reasons}). "
            "Check that the file is the one that was meant."
        )
    return Dataset(name, kind, items, source, left_out=left_out)


def _from_files(spec: Spec, folder: Path) -> Dataset:
    rows, hashes = local.read(spec, folder)
    dataset = _dataset(spec.name, spec.kind, ", ".join(hashes), rows, spec.convert(rows))
    return replace(dataset, files=hashes, sections=spec.sections)


def _hub_rows(source: HubSource, split: str) -> list[RawRow]:
    rows = io.read(source.name, split=split, data_dir=source.data_dir or None)
    name = "/".join(filter(None, (source.name, source.data_dir)))
    origin = RawSource(name, name, (source.id, source.config or source.data_dir, split))
    return [RawRow(origin, number, row) for number, row in enumerate(rows, 1)]


def _from_hub(spec: Spec, split: str | None) -> Dataset:
    if not spec.hub:
        raise UserError(
            f"{spec.name} is not read from the Hugging Face hub. Get {spec.origin}, "
            "and give the folder that you put it in with --data-dir."
        )
    if split is not None and len(spec.hub) > 1:
        raise OptionError(f"--split {split}: {spec.name} is made of several data sets.")
    rows = [row for source in spec.hub for row in _hub_rows(source, split or source.split)]
    named = [
        f"{'/'.join(filter(None, (source.id, source.data_dir)))} (split {split or source.split})"
        for source in spec.hub
    ]
    listed = ", ".join(dict.fromkeys(named))
    dataset = _dataset(spec.name, spec.kind, listed, rows, spec.convert(rows))
    return replace(dataset, sections=spec.sections)


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:  # a name that is too long
        return False


def _check_other(name: str, data_dir: Path | None, split: str | None) -> None:
    """Refuses what is neither a known set nor a file or id that could be read."""
    is_file = _is_file(name)
    if is_file and split is not None:
        raise OptionError(f"--split {split} is for data sets of the hub; {name} is a file.")
    if is_file or reader_of(name) is not None:
        return  # what keeps a file from being read is said where it is read
    if "/" not in name:
        raise UserError(
            f"unknown data set {name!r}.{did_you_mean(name, list(SPECS))} `flr bench list` shows "
            "all; a file or hub id with columns chosen and rejected (and prompt) can be named too."
        )
    if data_dir is not None:
        raise UserError(
            f"{name} is no file, and with --data-dir nothing is read from the Hugging Face hub; "
            "leave out --data-dir to read it from there."
        )


def _other(name: str, data_dir: Path | None, split: str | None) -> Dataset:
    """A file or data set of the hub that is no known set."""
    _check_other(name, data_dir, split)
    is_file = _is_file(name)
    name = normpath(name) if is_file else name
    short = Path(name).name if is_file else name
    numbered = file_items(name) if is_file else enumerate(io.read(name, split=split), 1)
    rows = [RawRow(RawSource(name, short, ()), number, value) for number, value in numbered]
    try:
        converted = by_row(pairwise.preference)(rows)
    except InputError as error:
        raise InputError(error.path, error.problems, PAIRS) from None
    dataset = _dataset(name, "pairwise", name, rows, converted)
    return replace(dataset, files={short: local.sha256_of(Path(name))} if is_file else {})


def load(name: str, data_dir: Path | None = None, split: str | None = None) -> Dataset:
    """A benchmark set.

    Args:
        name: a set of the catalogue; or a file or hub id whose rows are pairs in RewardBench's or
            TRL's form, where a text in a column `subset` names the subset.
        data_dir: read known sets from files below this folder, never from the hub.
        split: of a data set on the hub, in place of the usual one.

    Returns:
        All items that can be used, in the file's order, with the count of what was left out.

    Raises:
        UserError: unknown name, nothing found below `data_dir`, or no row that can be used.
        InputError: files that cannot be read, or have other columns.
        OptionError: a split that cannot be.
    """
    spec = SPECS.get(name)
    if spec is None:
        return _other(name, data_dir, split)
    if data_dir is None:
        return _from_hub(spec, split)
    if split is not None:
        raise OptionError(f"--split {split} is for data sets of the hub; leave out --data-dir.")
    return _from_files(spec, data_dir)


def available(data_dir: Path | None = None) -> list[tuple[Spec, tuple[Path, ...]]]:
    """Every set of the catalogue with its files below a data folder; none where there are none.

    Raises:
        UserError: there is no such folder.
    """
    if data_dir is None:
        return [(spec, ()) for spec in ALL]
    return list(zip(ALL, local.find(ALL, data_dir), strict=True))


def _check_all_there(name: str, data_dir: Path) -> None:
    """Refuses a suite of which not every set lies below the data folder; names all that do not."""
    here = {spec.name for spec, files in available(data_dir) if files}
    found = [one for one in SUITES[name] if one in here]
    if len(found) < len(SUITES[name]):
        missing = ", ".join(one for one in SUITES[name] if one not in here)
        instead = f"name those that are: {' '.join(found)}; or " if found else ""
        raise UserError(
            f"suite {name}: not below {data_dir}: {missing}. Put them there (naming one says what "
            f"is looked for); {instead}give --suite local for all known sets that lie there."
        )


def suite(name: str, data_dir: Path | None = None) -> tuple[str, ...]:
    """The names of the sets in a suite: `paper`, or `local` for all below the data folder.

    Raises:
        UserError: an unknown suite, `local` without a data folder or with nothing in it, another
            one of which a set is not below the data folder.
    """
    if name in SUITES:
        if data_dir is not None:
            _check_all_there(name, data_dir)
        return SUITES[name]
    known = [*SUITES, "local"]
    if name != "local":
        listed = ", ".join(known)
        raise OptionError(
            f"unknown suite {name!r}; it is one of {listed}.{did_you_mean(name, known)}"
        )
    if data_dir is None:
        raise OptionError("--suite local needs --data-dir, the folder to look in.")
    names = tuple(spec.name for spec, files in available(data_dir) if files)
    if not names:
        raise UserError(f"no known data set below {data_dir}; `flr bench list` shows their names.")
    return names


def sample(dataset: Dataset, limit: int, seed: int) -> Dataset:
    """A seeded random sample of groups, each with all its items, in the file's order.

    A group's place in the draw depends on the seed and its own text alone, so a larger sample holds
    every smaller one of the same seed.

    Args:
        dataset: what to draw from.
        limit: how many groups, at least 1; all where there are not more.
        seed: of the draw.

    Raises:
        OptionError: a limit below 1.
    """
    if limit < 1:
        raise OptionError(f"--limit is {limit}; expected at least 1.")

    def place(group: str) -> bytes:
        return hashlib.sha256(f"{seed}\n{group}".encode()).digest()

    drawn = set(sorted({item.group for item in dataset.items}, key=place)[:limit])
    return replace(dataset, items=tuple(item for item in dataset.items if item.group in drawn))
