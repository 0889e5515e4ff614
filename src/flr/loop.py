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
from typing import Any, TypeVar, final

from flr import followups, io, loop_state, runs
from flr.comparing import CompareOptions, compare_policies
from flr.errors import InputError, OptionError, OutputError, Problem
from flr.files import make_folder, write_text
from flr.labelling import LabelOptions
from flr.loop_state import LoopState, Stage
from flr.messages import comparable
from flr.mined.rows import Made, split
from flr.mining import MineOptions, ProgressOf, mine_file
from flr.options import check_positive
from flr.pairing import PairingOptions
from flr.prompts import PromptOfRow
from flr.report.loop.html import page
from flr.sample_file import SampleOptions
from flr.score_file import ScoreOptions
from flr.scoring import merged_weights
from flr.training.preference import AlignOptions, TrainingOptions, align_file, check_possible
from flr.types import FollowUpSet

PROMPTS, EVALUATION = ("train.jsonl", "evaluation.jsonl"), "evaluation"
RESULTS, REPORT = "results.json", "report.html"

_ALIGNED: Mapping[str, Any] = {"held_out": None, "split": None, "resume": True}
"""How every round is trained, whatever the options of the loop say of its prompts."""

_BY_STAGE = (PairingOptions, LabelOptions, TrainingOptions)
"""Options that concern one stage alone."""

STAGE_OF: Mapping[str, Stage] = {
    "prompts": "sample",
    "responses": "score",
    "responses for the noise floor": "mine",
}
"""The stage of a round that is told of its progress under this name by `flr mine`, in order."""

Options = TypeVar("Options")


@dataclass(frozen=True, kw_only=True)
class LoopOptions(TrainingOptions, LabelOptions, PairingOptions, ScoreOptions, SampleOptions):
    """How a policy is improved round by round."""

    rounds: int = 2
    """How many times responses are sampled and the policy is trained on what is mined of them; the
    same command with more goes on."""
    choosing: str | None = None
    """Categories of the follow-up set that choose pairs, as relevance+correctness; the others judge
    [default: the first half]."""
    held_out: float = 0.1
    """Part of the prompts that is kept for evaluation, at least one; none of them is trained on."""
    evaluate_on: str | None = None
    """File or dataset id of other prompts for evaluation, in place of --held-out."""
    follow_policy: bool = False
    """Let the policy of the round before be the follow-up model that chooses pairs; --model goes on
    judging."""
    verifiable: bool = False
    """Evaluate on the verifiable prompts too."""

    def __post_init__(self) -> None:
        for kind in (ScoreOptions, PairingOptions, LabelOptions, TrainingOptions):
            kind.__post_init__(self)
        check_positive("rounds", self.rounds)
        if not 0 < self.held_out < 1:
            raise OptionError(f"--held-out {self.held_out}; above 0 and below 1 was expected")
        _as(MineOptions, self, format=self.format, held_out=0.0)  # which checks what is mined
        self._check_choice()
        _as(AlignOptions, self, **_ALIGNED)  # and what is trained

    def _check_choice(self) -> None:
        """Raises where `flr mine` would find nothing to choose by, or from."""
        if self.method == "dpo" and self.n < 2:
            raise OptionError(f"--n {self.n}: a pair needs two responses to a prompt; 2 or more")
        by_zero = self.label_threshold is None and self.label_quantile is None
        if self.method == "kto" and by_zero and self.reward != "pmi":
            raise OptionError(
                "--method kto: a label is absolute, and so must the reward be; give "
                "--label-quantile 0.3, or a --label-threshold of your own, or --reward pmi, whose "
                "0 means no better than nothing"
            )

    @property
    def format(self) -> str:
        """The form of what is mined."""
        return "trl" if self.method == "dpo" else "trl-kto"


def _as(kind: type[Options], given: Any, **changes: Any) -> Options:
    """The options of one verb among those of the loop."""
    names = [field.name for field in fields(kind)]  # pyright: ignore[reportArgumentType]
    taken = {name: getattr(given, name) for name in names if hasattr(given, name)}
    return kind(**{**taken, **changes})


@final
@dataclass(frozen=True, slots=True)
class Halves:
    """A follow-up set in two, by name.

    Args:
        choosing: what pairs are chosen by.
        judging: what policies are judged by.
    """

    choosing: str
    judging: str


def halves(name: str, whole: FollowUpSet, choosing: str | None) -> Halves:
    """The categories that choose, and the others.

    Args:
        name: of the set, as it is given to `followups.load`, perhaps with some categories.
        whole: the set.
        choosing: categories with + between; None for the first half.

    Raises:
        FollowUpError: a category that the set has not.
        OptionError: nothing is left to judge by.

    Example:
        >>> halves("short", followups.load("short"), "following+relevance").judging
        'short:understanding+correctness+engagingness+informativeness'
        >>> some = "short:relevance+correctness"
        >>> halves(some, followups.load(some), None)
        Halves(choosing='short:relevance', judging='short:correctness')
    """
    known = whole.categories
    named = known[: len(known) // 2] if choosing is None else choosing.split("+")
    chosen = followups.part(whole, named).categories if named else ()
    others = [one for one in known if one not in chosen]
    if not chosen or not others:
        raise OptionError(
            f"follow-up set {whole.name!r} has {', '.join(known)}: some have to choose pairs and "
            "some to judge; give --choosing fewer of them, or another --set"
        )
    base, _ = followups.parted(name)
    return Halves(f"{base}:{'+'.join(chosen)}", f"{base}:{'+'.join(others)}")


def _check_weights(weights: Mapping[str, float], whole: FollowUpSet, choosing: FollowUpSet) -> None:
    """Raises for weights that no reward has.

    Raises:
        OptionError: of a category that the set has not, or that judges.
    """
    merged_weights(whole, weights)
    for name in weights:
        if name not in choosing.categories:
            raise OptionError(
                f"--weights.{name}: weights are of the categories that choose pairs, "
                f"{', '.join(choosing.categories)}; {name} judges, and judges by the set's own "
                "weight; leave it out, or name it in --choosing"
            )
    merged_weights(choosing, weights)


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
        progress_of: ProgressOf,
        warn: Callable[[str], None],
        state: LoopState,
    ) -> None:
        self.folder, self.options, self.state = folder, options, state
        self.progress_of, self.warn = progress_of, warn
        whole = followups.load(options.set)
        self.halves = halves(options.set, whole, options.choosing)
        _check_weights(options.weights, whole, followups.load(self.halves.choosing))
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
        options = _as(MineOptions, self.options, **changes)
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
        changes = {**_ALIGNED, "policy": self.policy(number - 1)}
        if number > 1:
            changes |= {"policy_revision": None, "policy_chat_template": None}
        report = align_file(
            str(pairs),
            Path(self.policy(number)),
            _as(AlignOptions, self.options, **changes),
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
        is_done = self.state.is_finished(number, "evaluate")
        if is_done and f"round {number + 1}" in known.get("policies", {}):
            self.state.finish(number, "evaluate", _brief(known, f"round {number}"))
            return known
        self.state.begin(number, "evaluate")
        policies = {f"round {at}": self.policy(at) for at in range(number + 1)}
        options = _as(
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
    free |= {"rounds", "workers", "force"}
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
    check_possible(_as(AlignOptions, options, **_ALIGNED))
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
    loop = _Loop(folder, options, progress_of, warn, _state(folder, run, command, options))
    loop.state.write()
    for name, rows in zip(PROMPTS, (train, evaluation), strict=True):
        io.write(folder / name, rows)
    found, before = loop.run(), _read(folder / RESULTS)
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
