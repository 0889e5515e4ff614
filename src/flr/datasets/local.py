"""The files of a set below a data folder.

A set's own file names are looked for first, then `NAME.*`, then the files of its split in a folder
`NAME`, then all files there. What could count twice is refused: a file beside its own `.gz`, a copy
in another folder.
"""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from stat import S_ISREG

from flr.datasets.catalogue import Spec
from flr.datasets.raw import RawRow, RawSource
from flr.errors import UserError
from flr.reading import READERS, file_items, unreadable
from flr.runs import file_sha256

SUFFIXES = sorted(READERS, key=len, reverse=True)

Places = Mapping[Path, tuple[str, ...]]
"""Data files; for each the data folder's own name, folders below it, its name without suffix."""


def _stem(path: Path) -> str:
    """The name of a file without its known suffix; empty where it has none."""
    endings = (suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix))
    ending = next(endings, path.name)
    return path.name[: -len(ending)]


def _may_be_file(path: Path) -> bool:
    """Whether it is a file, as far as can be seen; one that is wanted and hidden is named later."""
    try:
        return S_ISREG(path.stat().st_mode)
    except PermissionError:
        return True
    except OSError:  # a link to nowhere
        return False


def _check_folder(folder: Path) -> None:
    try:
        next(folder.iterdir(), None)
    except (OSError, ValueError) as error:
        raise unreadable(f"--data-dir {folder}", error) from None


def _data_files(folder: Path) -> Places:
    _check_folder(folder)
    top = folder.resolve().name
    return {
        path: (top, *path.relative_to(folder).parts[:-1], _stem(path))
        for path in sorted(folder.rglob("*"))
        if _stem(path) and _may_be_file(path)
    }


def _matching(places: Places, patterns: Sequence[str]) -> Places:
    def fits(parts: tuple[str, ...]) -> bool:
        place = "/" + "/".join(parts).casefold()
        return any(fnmatchcase(place, f"*/{pattern.casefold()}") for pattern in patterns)

    return {path: parts for path, parts in places.items() if fits(parts)}


def _levels(spec: Spec) -> Iterator[tuple[str, ...]]:
    """Patterns, of which the first that are found count."""
    yield spec.files
    if not spec.outputs:
        yield (spec.name,)
        yield tuple(f"{spec.name}/*{source.split}*" for source in spec.hub)
        yield (f"{spec.name}/*",)


def _found(spec: Spec, places: Places) -> Places:
    """The files of a set in the order of their paths; none where a part of them is missing."""
    levels = (_matching(places, level) for level in _levels(spec))
    found = next((level for level in levels if level), {})
    if not spec.outputs or not found:
        return found
    outputs = _matching(places, spec.outputs)
    return dict(sorted({**outputs, **found}.items())) if outputs else {}


def find(specs: Sequence[Spec], folder: Path) -> list[tuple[Path, ...]]:
    """The files of each of several sets.

    Raises:
        UserError: there is no such folder.
    """
    places = _data_files(folder)
    return [tuple(_found(spec, places)) for spec in specs]


def _missing(spec: Spec, folder: Path) -> UserError:
    """The error for a set that is not below a data folder."""
    patterns = [*spec.files, *(pattern for level in [*_levels(spec)][1:] for pattern in level)]
    looked = ", ".join(f"{pattern}.*" for pattern in dict.fromkeys(patterns))
    second = ", ".join(f"{pattern}.*" for pattern in spec.outputs)
    lines = [
        f"{spec.name}: not found below {folder}. Looked for {looked}"
        + (f", and with it {second}" if second else ""),
        f"Files end in {', '.join(SUFFIXES)}.",
    ]
    if spec.hub:
        listed = ", ".join(dict.fromkeys(source.id for source in spec.hub))
        lines.append(f"Without --data-dir it is read from the Hugging Face hub: {listed}.")
    else:
        lines.append(f"Get it from {spec.origin}.")
    return UserError("\n".join(lines))


def _twins(spec: Spec, paths: Sequence[Path], hashes: Sequence[str]) -> tuple[Path, Path] | None:
    """Two files that look like one given twice."""
    seen: dict[object, Path] = {}
    for path, sha256 in zip(paths, hashes, strict=True):
        signs: list[object] = [sha256, (path.parent, _stem(path))]
        for sign in signs:
            if sign in seen:
                return seen[sign], path
            seen[sign] = path
    folders = {path.parent: path for path in paths}
    if len(folders) > 1 and not spec.folders:
        first, second, *_ = folders.values()
        return first, second
    return None


def sha256_of(path: Path) -> str:
    """The sha256 of a data file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return file_sha256(path)
    except OSError as error:
        raise unreadable(str(path), error) from None


def read(spec: Spec, folder: Path) -> tuple[list[RawRow], dict[str, str]]:
    """The raw rows of a set below a data folder, and the sha256 of each file by its path there.

    Raises:
        UserError: nothing is found, or one thing twice.
        InputError: a file cannot be read.
    """
    places = _found(spec, _data_files(folder))
    if not places:
        raise _missing(spec, folder)
    paths = list(places)
    hashes = [sha256_of(path) for path in paths]
    if twins := _twins(spec, paths, hashes):
        raise UserError(
            f"{spec.name}: {twins[0]} and {twins[1]} look like one file twice; "
            "keep one, or name a --data-dir with only one of them."
        )
    names = [path.relative_to(folder).as_posix() for path in paths]
    rows = [
        RawRow(RawSource(str(path), name, places[path]), number, value)
        for path, name in zip(paths, names, strict=True)
        for number, value in file_items(str(path))
    ]
    return rows, dict(zip(names, hashes, strict=True))
