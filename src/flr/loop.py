"""The loop: sample, score, mine, align, evaluate, and again with the policy that came out.

    round 0    the first policy is evaluated
    round k    policy k - 1 -> responses -> rewards -> preference data -> policy k, evaluated

Every stage is the verb of the same name with its own record, in one folder: a finished one is never
done again, one that was stopped goes on from its last block or checkpoint, by the same command.

    DIR/train.jsonl, DIR/evaluation.jsonl    the prompts, split once
    DIR/round-1/pairs.jsonl, ...             what `flr mine` writes
    DIR/round-1/policy                       what `flr align` writes
    DIR/evaluation/                          what `flr compare` writes of all policies so far
    DIR/state.yaml                           how far it is; `flr loop status DIR`
    DIR/results.json, DIR/report.html        the figures of every round

The follow-ups are split by category: some choose the pairs, the others judge the policies, so what
a policy is judged by is not what it was trained on.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

from flr import io, loop_state, runs, sources
from flr.comparing import CompareOptions, compare_policies
from flr.errors import InputError, OutputError, Problem, UserError
from flr.files import make_folder, write_text
from flr.labelling import LabelOptions
from flr.loop_options import ALIGNED, Halves, LoopOptions, halves_of, options_of
from flr.loop_state import LoopState, Stage
from flr.messages import comparable
from flr.mined.rows import Made, split
from flr.mining import MineOptions, ProgressOf, mine_file
from flr.pairing import PairingOptions
from flr.prompts import PromptOfRow
from flr.report.loop.html import page
from flr.training.options import PreferenceOptions
from flr.training.preference import AlignOptions, align_file, check_possible

PROMPTS, EVALUATION = ("train.jsonl", "evaluation.jsonl"), "evaluation"
RESULTS, REPORT = "results.json", "report.html"

_BY_STAGE = (PairingOptions, LabelOptions, PreferenceOptions)
"""Options that concern one stage alone."""

STAGE_OF: Mapping[str, Stage] = {
    "prompts": "sample",
    "responses": "score",
    "responses for the noise floor": "mine",
}
"""The stage of a round that is told of its progress under this name by `flr mine`, in order."""


@final
@dataclass(frozen=True, slots=True)
class LoopReport:
    """What a loop did.

    Args:
        results: what results.json says.
        computed: whether anything was.
    """

    results: Mapping[str, Any]
    computed: bool


def _row(prompt: PromptOfRow) -> dict[str, Any]:
    return {**prompt.columns, "prompt": [message.as_dict() for message in prompt.messages]}


def _key(prompt: PromptOfRow) -> str:
    return repr(comparable(prompt.messages))


def parted(
    source: str, options: LoopOptions
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Prompts to train on and prompts to evaluate on, no prompt among both.

    Raises:
        InputError: prompts that cannot be read, or too few of them.
    """
    prompts = io.load_prompts(source, split=options.split, limit=options.limit)
    made = [Made(_key(one), _row(one)) for one in prompts]
    if options.evaluate_on is None:
        train, evaluation = split(made, options.held_out, options.seed)
        if not evaluation:
            problem = Problem(None, "", "one prompt cannot be split into training and evaluation")
            raise InputError(source, [problem], "Give more prompts, or --evaluate-on FILE.")
        return [one.row for one in train], [one.row for one in evaluation]
    others = io.load_prompts(options.evaluate_on)
    held_out = {_key(one) for one in others}
    train = [one for one in made if one.key not in held_out]
    if not train:
        problem = Problem(None, "", f"every prompt is among those of {options.evaluate_on}")
        raise InputError(source, [problem])
    return [one.row for one in train], [_row(one) for one in others]


@final
class _Loop:
    """One run of a loop."""

    def __init__(
        self,
        folder: Path,
        options: LoopOptions,
        halves: Halves,
        state: LoopState,
        progress_of: ProgressOf,
        warn: Callable[[str], None],
    ) -> None:
        self.folder, self.options, self.halves, self.state = folder, options, halves, state
        self.progress_of, self.warn = progress_of, warn
        self.computed = False

    def policy(self, number: int) -> str:
        """The policy that a round ends with."""
        return str(self.folder / f"round-{number}" / "policy") if number else self.options.policy

    def mine(self, number: int) -> Path:
        """Preference data from the policy of the round before."""
        pairs = self.folder / f"round-{number}" / "pairs.jsonl"
        make_folder(pairs.parent)
        policy = self.policy(number - 1)
        changes: dict[str, Any] = {
            "policy": policy,
            "set": self.halves.choosing,
            "seed": self.options.seed + number,
            "format": self.options.format,
            "held_out": 0.0,
            "split": None,
            "limit": None,
        }
        if number > 1:
            changes |= {"policy_revision": None, "policy_chat_template": None}
        options = options_of(MineOptions, self.options, **changes)
        if self.options.follow_policy:
            revision, template = options.policy_revision, options.policy_chat_template
            options = replace(options, model=policy, revision=revision, chat_template=template)

        def progress_of(unit: str) -> Any:
            stages = list(STAGE_OF.values())
            at = stages.index(STAGE_OF[unit])
            if at:
                self.state.finish(number, stages[at - 1])
            self.state.begin(number, stages[at])
            return self.progress_of(f"round {number}: {unit}")

        source = str(self.folder / PROMPTS[0])
        report = mine_file(source, pairs, options, progress_of, self.warn)
        self._mined(number, report)
        return pairs

    def _mined(self, number: int, report: runs.Report) -> None:
        self.computed |= bool(report.computed)
        record = report.record
        for stage in ("sample", "score"):
            told = record["stages"][stage]
            self.state.finish(number, stage, {k: told[k] for k in _TOLD if told.get(k) is not None})
        found = {name: record[name] for name in ("rows", "noise_floor") if name in record}
        self.state.finish(number, "mine", found)

    def align(self, number: int, pairs: Path) -> None:
        """Trains the policy of the round before on the pairs."""
        self.state.begin(number, "align")
        changes = {**ALIGNED, "policy": self.policy(number - 1)}
        if number > 1:
            changes |= {"policy_revision": None, "policy_chat_template": None}
        report = align_file(
            str(pairs),
            Path(self.policy(number)),
            options_of(AlignOptions, self.options, **changes),
            self.progress_of(f"round {number}: steps"),
            self.warn,
        )
        self.computed |= bool(report.computed)
        told = {f"loss, {end}": value for end, value in report.record["loss"].items()}
        self.state.finish(number, "align", {"steps": report.record["steps"], **told})

    def evaluate(self, number: int) -> Mapping[str, Any]:
        """Holds all policies so far against the first one; a later evaluation is one of this, too.

        Where the loop is gone through again, the evaluation of all rounds is there already, and is
        not to be replaced by that of fewer.
        """
        known = _read(self.folder / EVALUATION / RESULTS)
        if self._is_of_more(known, number):
            self.state.finish(number, "evaluate", _brief(known, f"round {number}"))
            return known
        self.state.begin(number, "evaluate")
        policies = {f"round {at}": self.policy(at) for at in range(number + 1)}
        options = options_of(
            CompareOptions,
            self.options,
            reward=f"flr:{self.options.reward}:{self.halves.judging}",
            n=1,
            divergence=True,
            force=True,
            split=None,
            limit=None,
        )
        done = compare_policies(
            policies,
            str(self.folder / PROMPTS[1]),
            self.folder / EVALUATION,
            options,
            lambda unit: self.progress_of(f"round {number}: {unit}"),
            self.warn,
        )
        self.computed |= not done.finished_before
        self.state.finish(number, "evaluate", _brief(done.results, f"round {number}"))
        return done.results

    def _is_of_more(self, results: Mapping[str, Any], number: int) -> bool:
        """Whether an evaluation is of these very policies, and of a later one."""
        seen = results.get("policies", {})
        return f"round {number + 1}" in seen and all(
            seen[f"round {at}"]["identity"] == self._identity(at) for at in range(number + 1)
        )

    def _identity(self, number: int) -> str:
        revision = None if number else self.options.policy_revision
        return sources.locate(self.policy(number), revision=revision).identity

    def run(self) -> dict[str, Any]:
        """All rounds; returns the results of the last evaluation and what was mined."""
        results = self.evaluate(0)
        for number in range(1, self.options.rounds + 1):
            self.align(number, self.mine(number))
            results = self.evaluate(number)
        return {
            "halves": asdict(self.halves),
            "rounds": self.options.rounds,
            "stages": [asdict(stage) for stage in self.state.stages],
            "evaluation": results,
        }


_TOLD = ("responses", "tokens_per_second", "finish_reasons", "seconds", "seconds_measuring")


def _read(path: Path) -> dict[str, Any]:
    """Results that were written; empty where there are none that can be read."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _brief(results: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What the state says of a policy: the value of each of its main figures."""
    figures = results["policies"][name]["figures"]
    told = {key: figures[key] for key in ("characters", "unfinished", "divergence")}
    told |= {f"reward {reward}": figure for reward, figure in figures["reward"].items()}
    if figures["verifiable"] is not None:
        told["verifiable"] = figures["verifiable"]["pass_rate"]
    return {key: figure["value"] for key, figure in told.items() if figure is not None}


def _run_key(train: Sequence[Any], evaluation: Sequence[Any], options: LoopOptions) -> str:
    """A hash over what makes another loop.

    How pairs are made and how a policy is trained is not in it: where a stage is done, its own
    record refuses to have it done otherwise, and where it was refused, what it asked for is taken.
    """
    free = {field.name for kind in _BY_STAGE for field in fields(kind)} - {"method"}
    free |= {"rounds", "workers", "ray", "force"}
    given = {name: value for name, value in asdict(options).items() if name not in free}
    return runs.key_of({"train": train, "evaluation": evaluation, **given})


def _check_inputs(folder: Path, source: str, options: LoopOptions) -> None:
    """Raises where a file of the loop is one that it reads.

    Raises:
        OutputError: there is one.
    """
    for name in (*PROMPTS, RESULTS, REPORT):
        for given in filter(None, (source, options.evaluate_on)):
            io.check_place(given, folder / name)


def _state(folder: Path, run: str, command: str, options: LoopOptions) -> LoopState:
    """The state of the folder, or that of a loop which begins there.

    Raises:
        OutputError: another loop was run there, or something lies there that no loop is known to
            have made. What rounds write is looked at by their stages.
    """
    found = loop_state.read(folder)
    if found is None and not options.force:
        for name in (*PROMPTS, EVALUATION, RESULTS, REPORT):
            if (folder / name).exists():
                raise OutputError(
                    f"{folder / name} is there already, and no {loop_state.STATE} says that a loop "
                    "made it; give another folder, or --force to replace it"
                )
    if found is None or options.force:
        return LoopState(folder, run=run, command=command, rounds=options.rounds)
    if found.run != run:
        raise OutputError(
            f"{folder} holds another loop ({found.command}); give another folder, or --force to "
            "replace it, stage by stage"
        )
    begun = max((one.round for one in found.stages), default=0)
    if begun > options.rounds:
        raise OutputError(
            f"--rounds {options.rounds}: {folder} holds {begun} already, and all of them are "
            f"shown; give --rounds {begun} or more, or another folder"
        )
    found.rounds, found.command = options.rounds, command
    return found


def run_loop(
    source: str,
    folder: Path,
    options: LoopOptions,
    progress_of: ProgressOf = lambda _: lambda *_: None,
    warn: Callable[[str], None] = lambda _: None,
    *,
    command: str = "",
) -> LoopReport:
    """Improves a policy round by round.

    Args:
        source: prompts; a file or hub id.
        folder: of the loop, made where it is missing.
        options: see `LoopOptions`.
        progress_of: gives the progress of a stage, by what it counts.
        warn: told what the user should know.
        command: as the user gave it.

    Raises:
        InputError: prompts that cannot be used, all of them named.
        OutputError: the folder cannot be written, or holds another loop or what no loop made.
        UserError: what the options name cannot be found or used, or nothing is mined.
    """
    check_possible(options_of(AlignOptions, options, **ALIGNED))
    found_halves = halves_of(options)
    if options.max_new_tokens >= options.max_length:
        warn(
            f"--max-new-tokens {options.max_new_tokens}: responses may be too long for "
            f"--max-length {options.max_length}, which holds a prompt too; the training would "
            "stop there, and go on with a larger --max-length or --check warn"
        )
    train, evaluation = parted(source, options)
    run = _run_key(train, evaluation, options)
    _check_inputs(folder, source, options)
    make_folder(folder)
    told_before = loop_state.text(folder)
    state = _state(folder, run, command, options)
    loop = _Loop(folder, options, found_halves, state, progress_of, warn)
    loop.state.write()
    for name, rows in zip(PROMPTS, (train, evaluation), strict=True):
        io.write(folder / name, rows)
    before = _read(folder / RESULTS)
    try:
        found = loop.run()
    except UserError:
        if told_before is not None and not loop.computed:
            write_text(folder / loop_state.STATE, told_before)  # its command still goes on
        raise
    if not loop.computed and before.get("run") == run and before.get("rounds") == options.rounds:
        return LoopReport(before, computed=False)
    results = {
        "run": run,
        "flr": runs.versions()["flr"],
        "command": command,
        **found,
        "options": runs.plain(asdict(replace(options, force=False))),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_text(folder / REPORT, page(results))
    write_text(folder / RESULTS, json.dumps(runs.plain(results), indent=1) + "\n")
    return LoopReport(results, loop.computed)
