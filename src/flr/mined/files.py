"""The files that a run of `flr mine` writes beside each other, and what must not be lost of others.

    OUTPUT              rows for training
    OUTPUT.held-out     rows of other prompts, where they are asked for
    dataset_info.json   names both for LLaMA-Factory

Each but the last has a record of its run, so that nobody else's file is replaced unless forced. The
first two are those of `flr feedback`, too.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flr import io, runs
from flr.errors import InputError, Problem, UserError
from flr.mined.input import Stage
from flr.mined.rows import Mined, OutputOptions, others
from flr.preferences import dataset_info
from flr.preferences.formats import PAIRED, UNPAIRED
from flr.rows import Row


def beside(output: Path, what: str, suffix: str = ".jsonl") -> Path:
    """Another file of the run: `pairs.jsonl` has `pairs.responses.jsonl` beside it."""
    return output.with_name(f"{output.stem}.{what}{suffix}")


def held_out_of(output: Path) -> Path:
    """The file of the prompts that are held out."""
    return beside(output, "held-out", output.suffix)


def _is_ours(held_out: Path, output: Path) -> bool:
    """Whether a file was held out by an earlier run of the same OUTPUT."""
    return runs.read_record(held_out).get("held_out_of") == output.name


def outputs(output: Path, *, has_held_out: bool) -> list[Path]:
    """The files that a run writes or, being of an earlier one of the same name, removes."""
    held_out = held_out_of(output)
    return [output, held_out] if has_held_out or _is_ours(held_out, output) else [output]


def check_places(source: str, output: Path) -> None:
    """Raises `OutputError` where OUTPUT, or the file of held-out prompts, is the input."""
    for path in (output, held_out_of(output)):
        io.check_place(source, path)


def begin(
    paths: Sequence[Path], held_out: Sequence[Mapping[str, Any]], run_key: str, *, force: bool
) -> None:
    """Writes the held-out rows, or removes those of an earlier run; OUTPUT is still to be written.

    Args:
        paths: `outputs` of the run.
        held_out: rows of the second of them, perhaps none.
        run_key: of the run.
        force: replace what another run has made.

    Raises:
        OutputError: a file cannot be written, or holds something else.
    """
    output, *others = paths
    told = {"held_out_of": output.name}
    runs.begin_output(output, run_key, force=force)
    for path in others:
        runs.begin_output(path, run_key, force=force, **told)
        if held_out:
            io.write(path, held_out)
            runs.write_record(path, run_key, told)
        else:
            runs.discard(path)


def _stage_files(output: Path, stage: Stage) -> list[Path]:
    """The files of the stages that the input still needs."""
    names: dict[Stage, tuple[str, ...]] = {
        "sample": ("responses", "rewards"),
        "score": ("rewards",),
        "pair": (),
    }
    return [beside(output, name) for name in names[stage]]


def _has_info(options: OutputOptions) -> bool:
    return options.format.startswith("llama-factory")


def _tried(row: Row, options: OutputOptions) -> dict[str, Any]:
    """The row that would be written of the last response, were it good; all responses are tried."""
    extra, written = others(row), dict[str, Any]()
    for one in row.conversations:
        if options.is_paired:
            written = PAIRED[options.format](one, one, extra)
        else:
            written = UNPAIRED[options.format](one, True, extra)
    return written


def check(
    source: str, rows: Sequence[Row], output: Path, options: OutputOptions, stage: Stage
) -> None:
    """Raises, before any work, where the format or a file cannot hold a row.

    Args:
        source: the input, for errors.
        rows: of the input.
        output: the main file.
        options: what is written.
        stage: the first one.

    Raises:
        InputError: rows that the format cannot hold, all of them named.
        OutputError: OUTPUT cannot hold their columns, a file is the input, or cannot be entered for
            LLaMA-Factory.
    """
    tried: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for row in rows:
        try:
            tried.append(_tried(row, options))
        except UserError as error:
            problems.append(Problem(row.number, "", str(error)))
    if problems:
        raise InputError(source, problems)
    io.check_output(output, tried)
    check_places(source, output)
    for path in _stage_files(output, stage):
        io.check_place(source, path)
    if _has_info(options):
        dataset_info.check([output, held_out_of(output)])


def is_done(output: Path, run_key: str, options: OutputOptions) -> bool:
    """Whether every file of the run is there, and whole."""
    if not runs.is_done(output, run_key):
        return False
    files = [output]
    if runs.read_record(output).get("rows_held_out"):
        files.append(held_out_of(output))
    entered = not _has_info(options) or dataset_info.holds(files, paired=options.is_paired)
    return entered and all(runs.is_done(path, run_key) for path in files)


def check_free(
    output: Path, run_key: str, options: OutputOptions, stage: Stage, *, force: bool
) -> None:
    """Raises where a file that will be written holds what this run did not make, unless forced.

    Args:
        output: the main file.
        run_key: of the run.
        options: what is written.
        stage: the first one. Who made the files of stages is looked at by their own runs, but for
            files that none of ours has made, and rewards of responses that are no longer there.
        force: replace them.

    Raises:
        OutputError: there is one.
    """
    for path in outputs(output, has_held_out=options.held_out > 0):
        runs.check_free(path, run_key, force=force)
    known = True
    for path in _stage_files(output, stage):
        if not known or not runs.read_record(path):
            runs.check_free(path, run_key, force=force)
        known = path.exists()


def write(mined: Mined, output: Path, run_key: str, options: OutputOptions, *, force: bool) -> None:
    """Writes the files, OUTPUT last; its record is still to be written.

    Raises:
        OutputError: a file cannot be written, or holds something else.
    """
    held_out = held_out_of(output)
    paths = outputs(output, has_held_out=options.held_out > 0)
    begin(paths, mined.held_out, run_key, force=force)
    dataset_info.forget([output, held_out])
    if _has_info(options):
        files = [output, held_out] if mined.held_out else [output]
        dataset_info.enter(files, paired=options.is_paired)
    io.write(output, mined.rows)
