"""Benchmarks rewards on data sets: every reward from one pass over the data, resumable by block.

    sets -> items -> blocks -> passes of the models -> rewards -> figures -> result files

In the output folder: `results.json` (every figure, and how it was made), `results.md`,
`items.jsonl` (an item a row, with every reward), `report.html`, and `run.sqlite`, the store of
finished blocks, from which the same command goes on.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from flr import bench_record, result_files, runs
from flr.datasets import loading as datasets
from flr.datasets.base import Dataset
from flr.errors import OptionError, UserError
from flr.evaluation.arms import Arms, parse
from flr.evaluation.columns import Outcome, Plan, Spent, fill, make_outcome, make_plan
from flr.evaluation.robustness import attacked
from flr.files import make_folder
from flr.filling import Progress
from flr.options import ModelOptions, WorkerOptions, check_positive, check_workers
from flr.report.bench.html import page
from flr.report.bench.markdown import markdown
from flr.result_files import ResultsReport
from flr.runs import Store
from flr.sources import engine_of
from flr.workers import divided

PARTIAL = (
    "suite paper, partial: those of the paper's sets that are known by name, with PKU-SafeRLHF in "
    "BeaverTails' place; not to be averaged beside the paper's own figures"
)


@dataclass(frozen=True, kw_only=True)
class BenchOptions(WorkerOptions, ModelOptions):
    """What is compared, on what."""

    reward: str = "flr,direct,length,random"
    """Rewards to compare: flr[:VARIANT][:SET], direct, length, random, classifier:MODEL,
    dpo:MODEL:REF, judge:MODEL, with commas between."""
    suite: Literal["paper", "local"] | None = None
    """paper: the paper's sets as far as they are known; local: all that lie below --data-dir."""
    data_dir: Path | None = None
    """Folder with the sets' files [default: the Hugging Face hub]."""
    split: str | None = None
    """Split of sets that are read from the Hugging Face hub [default: their usual or only one]."""
    limit: int | None = None
    """A random sample of N prompts of each set."""
    seed: int = 0
    """Of the sample, the coin and the bootstrap."""
    force: bool = False
    """Replace an OUTPUT that was made otherwise."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_workers(self, engine_of(self.model))
        check_positive("limit", self.limit)
        if self.seed < 0:
            raise OptionError(f"--seed {self.seed}; 0 or more was expected")


def _load(name: str, options: BenchOptions, *, robustness: bool) -> Dataset:
    """One set, a sample of it where there is a limit, spoilt where that is asked for."""
    dataset = datasets.load(name, options.data_dir, split=options.split)
    if options.limit is not None:
        dataset = datasets.sample(dataset, options.limit, options.seed)
    return attacked(dataset, options.seed) if robustness else dataset


def _load_all(
    names: Sequence[str], options: BenchOptions, *, robustness: bool
) -> tuple[list[Dataset], list[str]]:
    """The sets that are named and those of the suite; and notes.

    Of the suite `local` a set that cannot be used is left out with a note: nobody asked for it.
    """
    suite = datasets.suite(options.suite, options.data_dir) if options.suite else ()
    sets: list[Dataset] = []
    notes = [PARTIAL] if options.suite == "paper" else []
    for name in dict.fromkeys([*names, *suite]):
        try:
            sets.append(_load(name, options, robustness=robustness))
        except UserError as error:
            if options.suite != "local" or name in names:
                raise
            notes.append(f"{name} is left out: {error}")
    if not sets:
        raise OptionError(
            "no set to benchmark on: name some, or give --suite; `flr bench list` shows them"
            + "".join(f"\n{note}" for note in notes)
        )
    return sets, notes


def _run_key(plans: Sequence[Plan], arms: Arms, options: BenchOptions, notes: Sequence[str]) -> str:
    return runs.key_of(
        {
            "sets": [asdict(plan.dataset) for plan in plans],
            "rewards": [[arm.name, arm.definition] for arm in arms.arms],
            "passes": {name: one.fingerprint for name, one in arms.passes.items()},
            "seed": options.seed,
            "notes": notes,
            "versions": runs.versions(),
        }
    )


def bench(
    names: Sequence[str],
    output: Path,
    options: BenchOptions,
    progress: Progress = lambda _done, _total, _tokens: None,
    *,
    robustness: bool = False,
    command: str = "",
    warn: Callable[[str], None] = lambda _: None,
) -> ResultsReport:
    """Compares rewards on data sets and writes what came out.

    Args:
        names: of sets, or files or hub ids of preference pairs.
        output: a folder, made where it is missing.
        options: see `BenchOptions`.
        progress: told of conversations done, of all passes together.
        robustness: spoil the responses of the sets first; see `flr.evaluation.robustness`.
        command: how the run was asked for, for the record.
        warn: told what the user should know before the work begins.

    Raises:
        InputError: files that are not in their form.
        OutputError: the folder cannot be written, or holds other results.
        UserError: what the options name cannot be found or used, or a set with nothing to use.
    """
    options = divided(options, options.workers)
    sets, notes = _load_all(names, options, robustness=robustness)
    arms = parse(options.reward, options, seed=options.seed, workers=options.workers)
    plans = [make_plan(dataset, arms, options.seed) for dataset in sets]
    for note in (*notes, *_refusals(plans)):
        warn(note)
    run_key = _run_key(plans, arms, options, notes)
    make_folder(output)
    asked = runs.plain({**asdict(options), "sets": [one.name for one in sets]})
    earlier = result_files.earlier(output, run_key, asked, verb="flr bench", force=options.force)
    if earlier is not None:
        return ResultsReport(earlier, computed=0, finished_before=True)
    with Store(output / "run.sqlite") as store:
        computed = fill(store, plans, arms, progress)
        spent = {name: Spent() for name in arms.passes}
        outcomes = [make_outcome(store, one, arms.passes, spent) for one in plans]
    results = {
        "run": run_key,
        "flr": runs.versions()["flr"],
        "command": command,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "options": runs.plain(asdict(options)),
        "made_with": {"versions": runs.versions(), "passes": bench_record.passes(arms, spent)},
        "notes": notes,
        **_results(plans, outcomes, arms, options, robustness=robustness),
    }
    rows = [row for made in outcomes for row in bench_record.rows(made)]
    files = {
        "results.md": markdown(results),
        "items.jsonl": rows,
        "report.html": page(results, rows),
    }
    return ResultsReport(result_files.write(output, results, files), computed)


def _refusals(plans: Sequence[Plan]) -> Iterator[str]:
    for plan in plans:
        for name, reason in plan.not_computed.items():
            yield f"{plan.dataset.name}: {name} is left out: {reason}"


def _results(
    plans: Sequence[Plan],
    outcomes: Sequence[Outcome],
    arms: Arms,
    options: BenchOptions,
    *,
    robustness: bool,
) -> dict[str, Any]:
    """The figures of every set, and which rewards they are of."""
    reference = arms.reference
    return {
        "rewards": [arm.name for arm in arms.arms],
        "reference": reference,
        "sets": {
            one.dataset.name: bench_record.figures(
                one, made, reference, robustness=robustness, seed=options.seed
            )
            for one, made in zip(plans, outcomes, strict=True)
        },
    }
