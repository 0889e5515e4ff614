"""Compares policies: do the responses of one beat those of another?

    prompts -> responses of every policy -> rewards, divergence, checks -> figures -> result files

All policies are asked the same prompts with the same seeds. In the output folder: `results.json`
(every figure, and how it was made), `results.md`, `report.html`, `items.jsonl` (a prompt a row),
`policy-1.responses.jsonl` and so on (one file a policy, each with its own run record and store),
and `run.sqlite`, the store of what was measured. Each policy is sampled and measured by itself, so
a policy that is added at the end computes nothing anew for the others.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flr import bench_record, io, result_files, runs
from flr.comparison import alpaca_eval, record
from flr.comparison.figures import Policy, figures
from flr.comparison.measured import measure, sample
from flr.comparison.options import CompareOptions as CompareOptions
from flr.comparison.prepared import Comparison, prepare
from flr.errors import OptionError
from flr.evaluation.columns import Spent
from flr.files import make_folder
from flr.filling import ProgressOf
from flr.report.compare.html import page
from flr.report.compare.markdown import markdown
from flr.result_files import Content, ResultsReport
from flr.workers import divided

FILES = ("results.md", "items.jsonl", "report.html", "verifiable.jsonl")
"""What is written beside results.json and the responses; the last where it is asked for."""


def named(policies: Sequence[str]) -> dict[str, str]:
    """The policies by their display names; equal ones are told apart.

    Example:
        >>> named(["smollm2", "mine", "smollm2"])
        {'smollm2': 'smollm2', 'mine': 'mine', 'smollm2 (2)': 'smollm2'}
    """
    found: dict[str, str] = {}
    for policy in policies:
        name, number = policy, 1
        while name in found:
            number += 1
            name = f"{policy} ({number})"
        found[name] = policy
    return found


def compare_policies(
    policies: Mapping[str, str],
    prompts: str,
    output: Path,
    options: CompareOptions,
    progress_of: ProgressOf = lambda _: lambda *_: None,
    warn: Callable[[str], None] = lambda _: None,
    *,
    command: str = "",
) -> ResultsReport:
    """Compares policies by their responses to the same prompts, and writes what came out.

    Args:
        policies: at least one, by display name; the others are held against the first.
        prompts: file, `-` for JSONL on standard input, or hub id; see `flr.io.load_prompts`.
        output: a folder, made where it is missing. A call with the same folder, `force` and one
            policy more at the end computes nothing anew for the others.
        options: see `CompareOptions`.
        progress_of: see `ProgressOf`.
        warn: told what the user should know.
        command: how the run was asked for, for the record.

    Raises:
        InputError: prompts that cannot be taken, all of them named, before any weights are loaded.
        OutputError: the folder cannot be written, or holds other results.
        UserError: what the options name cannot be found or used, or nothing has a reward.
    """
    if not policies:
        raise OptionError("there is no policy to compare; give at least one")
    for name in (result_files.RESULTS, *FILES):
        io.check_place(prompts, output / name)
    options = divided(options, options.workers)
    found = prepare(policies, prompts, output, options)
    for note in found.notes:
        warn(note)
    make_folder(output)
    asked = runs.plain({**asdict(options), "policies": list(policies)})
    del asked["export"]  # which changes nothing in the results
    force = options.force
    done = result_files.earlier(output, found.run_key, asked, verb="flr compare", force=force)
    report = None if done is None else ResultsReport(done, computed=0, finished_before=True)
    if report is None:
        _forget(output)
        computed = sample(found, progress_of)
        results, measured = _compare(found, output, options, progress_of, command)
        report = ResultsReport(results, computed + measured)
    if options.export:
        _export(found, warn)
    return report


def _forget(output: Path) -> None:
    """Removes what an earlier comparison made that this one may not replace; nothing of others."""
    if not (output / result_files.RESULTS).exists():
        return
    for path in (output / "verifiable.jsonl", *output.glob("policy-*.alpaca-eval.json")):
        path.unlink(missing_ok=True)


def _export(found: Comparison, warn: Callable[[str], None]) -> None:
    """Writes each policy's responses in the form of AlpacaEval."""
    dataset = Path(found.source).stem
    for at, (name, asking) in enumerate(found.askings.items(), 1):
        rows, lost = alpaca_eval.model_outputs(found.prompts, asking.said(), name, dataset)
        path = found.askings[name].path.with_name(f"policy-{at}.alpaca-eval.json")
        result_files.write_json(path, rows)
        if lost:
            warn(
                f"{path.name} cannot hold {lost} of {len(found.prompts)} prompts: they have "
                "several messages, or are there twice"
            )


def _compare(
    found: Comparison,
    output: Path,
    options: CompareOptions,
    progress_of: ProgressOf,
    command: str,
) -> tuple[Mapping[str, Any], int]:
    """Measures what was sampled and writes the result files; how many blocks were measured."""
    said = {name: asking.said() for name, asking in found.askings.items()}
    checked = {name: asking.said() for name, asking in found.verifying.items()}
    spent = {name: Spent() for name in found.arms.passes}
    store = output / "run.sqlite"
    policies, computed = measure(found, said, checked, store, spent, progress_of)
    results = {
        "run": found.run_key,
        "flr": runs.versions()["flr"],
        "command": command,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "options": runs.plain(asdict(options)),
        "made_with": {
            "versions": runs.versions(),
            "passes": bench_record.passes(found.arms, spent),
            "sampling": {n: dict(one.parts.fingerprint) for n, one in found.askings.items()},
            "divergence": {name: dict(one.fingerprint) for name, one in found.moving.items()},
        },
        "notes": list(found.notes),
        **_results(found, policies, options.seed),
    }
    files: dict[str, Content] = {
        "results.md": markdown(results),
        "items.jsonl": list(record.rows(found.prompts, policies)),
        "report.html": page(results),
    }
    if found.checked:
        rows = record.verifiable_rows(found.checked, checked, policies)
        files["verifiable.jsonl"] = list(rows)
    also = [one.path.name for one in (*found.askings.values(), *found.verifying.values())]
    return result_files.write(output, results, files, also), computed


def _left_out(found: Comparison, policies: Mapping[str, Policy]) -> Iterator[list[Any]]:
    """Policy, row, response (from 0; None for the whole prompt) and reason.

    A verifiable prompt that could not be asked is not passed; its row is its number among them.
    """
    for name, one in policies.items():
        for number, reason in found.askings[name].skipped.items():
            yield [name, number, None, reason]
        for number, reason in found.verifying[name].skipped.items() if found.verifying else ():
            yield [name, f"verifiable {number}", None, reason]
        for place, reason in (one.rewards | one.judged).left_out.items():
            yield [name, *place, reason]


def _results(found: Comparison, policies: Mapping[str, Policy], seed: int) -> dict[str, Any]:
    """Every figure, of which policies and rewards they are, and some responses to read."""
    made = figures(policies, found.groups, found.checked, seed=seed)
    return {
        "prompts": {"source": found.source, "count": len(found.prompts)},
        "reference": found.reference,
        "rewards": found.rewards,
        "noise_floor": policies[found.reference].rewards.floors,
        "left_out": list(_left_out(found, policies)),
        "policies": {
            name: {
                "source": asking.options.policy,
                "identity": asking.parts.source.identity,
                "responses": asking.path.name,
                **made["policies"][name],
            }
            for name, asking in found.askings.items()
        },
        "against": made["against"],
        "examples": record.examples(found.prompts, policies, seed),
    }
