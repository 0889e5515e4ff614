"""The files that a run of `flr mine` writes beside each other, and what must not be lost of others.

    OUTPUT              rows for training
    OUTPUT.held-out     rows of other prompts, where they are asked for
    dataset_info.json   names both for LLaMA-Factory

Each but the last has a record of its run, so that nobody else's file is replaced unless forced.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flr import dataset_info, io, runs
from flr.errors import InputError, Problem, UserError
from flr.mined import Mined, OutputOptions, others
from flr.preference_formats import PAIRED, UNPAIRED
from flr.rows import Row


def beside(output: Path, what: str, suffix: str = ".jsonl") -> Path:
    """Another file of the run: `pairs.jsonl` has `pairs.responses.jsonl` beside it."""
    return output.with_name(f"{output.stem}.{what}{suffix}")


def _held_out(output: Path) -> Path:
    return beside(output, "held-out", output.suffix)


def _outputs(output: Path, options: OutputOptions) -> list[Path]:
    """The files that this run writes or, being of an earlier one of the same name, removes."""
    held_out = _held_out(output)
    return [output, held_out] if options.held_out or runs.read_record(held_out) else [output]


def _has_info(options: OutputOptions) -> bool:
    return options.format.startswith("llama-factory")


def _tried(row: Row, options: OutputOptions) -> list[dict[str, Any]]:
    """The rows that would be written if every response were good."""
    extra = others(row)
    if options.is_paired:
        return [PAIRED[options.format](one, one, extra) for one in row.conversations]
    return [UNPAIRED[options.format](one, True, extra) for one in row.conversations]


def check(source: str, rows: Sequence[Row], output: Path, options: OutputOptions) -> None:
    """Raises, before any work, where the format or the file cannot hold a row.

    Args:
        source: the input, for errors.
        rows: of the input.
        output: the main file.
        options: what is written.

    Raises:
        InputError: rows that the format cannot hold, all of them named.
        OutputError: OUTPUT cannot hold their columns, is the input, or cannot be entered for
            LLaMA-Factory.
    """
    tried: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for row in rows:
        try:
            tried += _tried(row, options)[:1]
        except UserError as error:
            problems.append(Problem(row.number, "", str(error)))
    if problems:
        raise InputError(source, problems)
    io.check_output(output, tried)
    for path in (output, _held_out(output)):
        io.check_place(source, path)
    if _has_info(options):
        dataset_info.check(output)


def is_done(output: Path, run_key: str, options: OutputOptions) -> bool:
    """Whether every file of the run is there, whole, and no other of an earlier run."""
    done = all(runs.is_done(path, run_key) for path in _outputs(output, options))
    return done and (not _has_info(options) or dataset_info.beside(output).is_file())


def check_free(
    output: Path, run_key: str, options: OutputOptions, *, stages: bool, force: bool
) -> None:
    """Raises where a file that will be written holds what this run did not make, unless forced.

    Args:
        output: the main file.
        run_key: of the run.
        options: what is written.
        stages: whether responses or rewards are written too; who made those that are there is
            looked at by their own runs, but for files that none of ours has made.
        force: replace them.

    Raises:
        OutputError: there is one.
    """
    for path in _outputs(output, options):
        runs.check_free(path, run_key, force=force)
    for path in (beside(output, "responses"), beside(output, "rewards")):
        if stages and not runs.read_record(path):
            runs.check_free(path, run_key, force=force)


def write(mined: Mined, output: Path, run_key: str, options: OutputOptions, *, force: bool) -> None:
    """Writes the files, OUTPUT last; its record is still to be written.

    Raises:
        OutputError: a file cannot be written, or holds something else.
    """
    held_out, outputs = _held_out(output), _outputs(output, options)
    for path in outputs:
        runs.begin_output(path, run_key, force=force)
    if mined.held_out:
        io.write(held_out, mined.held_out)
        runs.write_record(held_out, run_key, {"held_out_of": output.name})
    elif held_out in outputs:
        runs.discard(held_out)
    if _has_info(options):
        written = [output, held_out] if mined.held_out else [output]
        gone = set(outputs) - set(written)
        dataset_info.update(written, gone, paired=options.is_paired)
    io.write(output, mined.rows)
