"""Is a follow-up model better after it has learned from feedback? Real feedback, with controls.

The plan is fixed here before anything is scored. smollm2 learns from what people said of passages
that answer questions (FeedbackQA) and from a judge's critiques (prometheus-eval: MT-Bench and
Vicuna), put into a user's words by the rules of `flr feedback rewrite`. The prompts of each source
are parted once for all (seed 0): 45 % to learn from, 10 % to settle the learning rate, 45 % to
judge on; of Vicuna 90 % to learn from. No prompt is in two parts.

    true        feedback on its own response
    shuffled    the same conversations and the same feedback, which lies with a response to another
                prompt of the same source (control)
    chat        the same conversations as plain chat: the response is learned (control)

`true` and `shuffled` are trained in both forms, and asked in the form that they have learned;
`chat` is trained once, and asked in both. All have equal steps over the same rows, as many of each
score, none with more than 2,400 characters before its feedback. A seed draws the rows, their order
and who gets whose feedback. The learning rate is that of LEARNING_RATES under which feedback about
prompts that settle is likeliest, role-switched. Judged with the set `short` on what none has seen:

    feedbackqa       Pearson's and Spearman's correlation with people's ratings
    mtbench-single   the same with GPT-4's scores
    hh-helpful-base  share of the pairs of 150 prompts in the right order

The claim that feedback makes a better reward holds where `true` is better than smollm2 and than
both controls, asked in the same form. Intervals are over prompts and seeds.

    python -m benchmarks.feedback settle --data DIR --work DIR -o SETTLED.json
    python -m benchmarks.feedback before --data DIR --work DIR -o BEFORE.json
    python -m benchmarks.feedback run --seed 0 --data DIR --work DIR -o SEED-0.json
    python -m benchmarks.feedback report --data DIR BEFORE.json SEED-0.json ... -o RESULT.json

The result of `settle` is committed before `run`. DIR of --data holds the sets' files in the shape
of their publishers. A command that was stopped goes on; `run` writes what it has after each arm.
The results hold figures and a reward a response, and nothing of the data.
"""

import argparse
import json
import platform
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from flr import devices, io, runs
from flr.chat import Form
from flr.datasets import loading as datasets
from flr.datasets.base import Dataset, Item
from flr.evaluation.evaluate import MEASURES
from flr.evaluation.figures import Column, figure, group_indices
from flr.feedback.building import BuildOptions, balanced, build_file
from flr.feedback.rewriting import RewriteOptions, rewrite_file
from flr.feedback.rows import Feedback, feedback_of, row_of
from flr.resampling import Estimate, Statistic, estimates
from flr.score_file import ScoreOptions, score_file
from flr.training.tuning import TuneOptions, tune_file

FIRST = "smollm2"
SETS = {"feedbackqa": None, "mtbench-single": None, "hh-helpful-base": 150}
"""Sets that judge, with the number of prompts that are drawn (seed 0)."""
JUDGING = "short"
FILES = (
    "feedbackqa/CDC/feedback_valid.json",
    "feedbackqa/Australia/feedback_valid.json",
    "prometheus-eval/mt_bench_eval.json",
    "prometheus-eval/vicuna_eval.json",
)
FORMS: tuple[Form, ...] = ("user", "role-switched")
SEEDS = (0, 1, 2)
STEPS, BATCH = 40, 8
"""Optimizer steps of every training, and rows of a step: 320 rows once over."""
MOST_CHARACTERS = 2400
"""Before the feedback: longer rows, which are few but of MT-Bench, would take half of the time."""
SETTLING_ROWS = 96
LEARNING_RATES = (1e-4, 3e-4, 1e-3)
LEARNING_RATE = 1e-3
"""Picked by `settle`: results/2026-11-29-feedback-settle.json."""


@dataclass(frozen=True)
class Arm:
    """What is learned, and in which forms the model is asked."""

    name: str
    form: Form | None
    asked: tuple[Form, ...]


ARMS = (
    *(Arm(f"true, {form}", form, (form,)) for form in FORMS),
    *(Arm(f"shuffled, {form}", form, (form,)) for form in FORMS),
    Arm("chat", None, FORMS),
)


@dataclass(frozen=True)
class Parts:
    """Keys of the prompts of each part; see `key_of`."""

    learn: frozenset[str]
    settle: frozenset[str]
    judge: frozenset[str]


def key_of(said: Feedback) -> str:
    """Equal for feedback about one prompt; second turns of MT-Bench are those of the first."""
    group = said.about.get("group")
    return str(group or said.conversation.prompt[0].content)


def parted(keys: Mapping[str, set[str]]) -> Parts:
    """The prompts of each source in three parts; sources that judge nothing in two."""
    found: dict[str, set[str]] = {"learn": set(), "settle": set(), "judge": set()}
    for source, own in keys.items():
        order = np.random.default_rng(0).permutation(sorted(own)).tolist()
        ends = (0.9, 1.0) if source == "vicuna-single" else (0.45, 0.55)
        first, second = (round(end * len(order)) for end in ends)
        found["learn"] |= set(order[:first])
        found["settle"] |= set(order[first:second])
        found["judge"] |= set(order[second:])
    return Parts(**{name: frozenset(own) for name, own in found.items()})


def prompts(data: Path) -> Parts:
    """The parts of all prompts with feedback."""
    names = ("feedbackqa", "mtbench-single", "vicuna-single")
    return parted({n: {item.group for item in datasets.load(n, data).items} for n in names})


def said(data: Path, work: Path) -> list[Feedback]:
    """All feedback in a user's words, of rows that are short enough."""
    work.mkdir(parents=True, exist_ok=True)
    built, own = work / "critiques.jsonl", work / "words.jsonl"
    build_file([str(data / name) for name in FILES], built, BuildOptions(form="user"))
    rewrite_file(str(built), own, RewriteOptions())
    found = [feedback_of(row) for row in io.read(str(own))]
    return [one for one in found if _characters(one) <= MOST_CHARACTERS]


def _characters(one: Feedback) -> int:
    return sum(len(message.content) for message in one.conversation.messages)


def drawn(found: Sequence[Feedback], count: int, seed: int) -> list[Feedback]:
    """So many rows in a random order, as many of each score."""
    kept = balanced(found, seed)
    order = np.random.default_rng(seed).permutation(len(kept))[:count]
    return [kept[at] for at in order]


def shuffled(found: Sequence[Feedback], seed: int) -> list[Feedback]:
    """The same conversations, each with the feedback on a response to another prompt of its source.

    The rows of a source are laid in a circle, those of a prompt side by side, prompts in a random
    order; each takes the text as many places on as the commonest prompt has rows.

    Raises:
        ValueError: more than half of a source's rows are about one prompt.
    """
    dice = np.random.default_rng(seed)
    places: dict[Any, list[int]] = defaultdict(list)
    for at in dice.permutation(len(found)).tolist():
        places[found[at].about["source"]].append(at)
    result = list(found)
    for own in places.values():
        first = {key_of(found[at]): place for place, at in enumerate(own)}
        circle = sorted(own, key=lambda at: first[key_of(found[at])])
        sizes = [sum(key_of(found[at]) == key for at in own) for key in first]
        if 2 * max(sizes) > len(own):
            raise ValueError("more than half of a source's rows are about one prompt")
        taken = circle[max(sizes) :] + circle[: max(sizes)]
        for at, other in zip(circle, taken, strict=True):
            result[at] = replace(found[at], text=found[other].text)
    return result


def lessons(arm: Arm, found: Sequence[Feedback], seed: int) -> list[dict[str, Any]]:
    """The rows that an arm is trained on, about the same conversations in the same order."""
    if arm.form is None:
        return [
            {
                "prompt": [message.as_dict() for message in one.conversation.prompt],
                "completion": [one.conversation.messages[-1].as_dict()],
            }
            for one in found
        ]
    own = shuffled(found, seed) if arm.name.startswith("shuffled") else found
    return [row_of(one, arm.form) for one in own]


def told(what: str) -> Callable[[int, int, int], None]:
    """A progress that is printed."""

    def tell(done: int, total: int, _: int) -> None:
        print(f"{what}: {done} of {total}", flush=True)

    return tell


def tuned(
    rows: Sequence[Mapping[str, Any]],
    folder: Path,
    rate: float,
    seed: int,
    held_out: Path | None = None,
) -> dict[str, Any]:
    """Trains a model into a folder; the record."""
    source = folder.with_suffix(".jsonl")
    io.write(source, list(rows))
    options = TuneOptions(
        lora=True,
        learning_rate=rate,
        max_steps=STEPS,
        batch_size=BATCH,
        micro_batch=1,
        save_steps=STEPS // 4,
        held_out=None if held_out is None else str(held_out),
        seed=seed,
        resume=True,
    )
    return dict(
        tune_file(str(source), folder, options, told(f"{folder.name}: steps"), print).record
    )


def settled(data: Path, work: Path) -> dict[str, Any]:
    """The learning rate under which feedback about other prompts is likeliest."""
    parts, all_said = prompts(data), said(data, work)
    rows = drawn([one for one in all_said if key_of(one) in parts.learn], STEPS * BATCH, seed=0)
    other = drawn([one for one in all_said if key_of(one) in parts.settle], SETTLING_ROWS, seed=0)
    held_out = work / "settling.jsonl"
    io.write(held_out, [row_of(one, "role-switched") for one in other])
    found: dict[str, Any] = {}
    for rate in LEARNING_RATES:
        learned = [row_of(one, "role-switched") for one in rows]
        record = tuned(learned, work / f"rate-{rate:g}", rate, 0, held_out)
        names = ("steps", "seconds", "loss", "held_out_figures", "held_out_curve")
        found[f"{rate:g}"] = {name: record[name] for name in names}

    def loss(rate: float) -> float:
        return found[f"{rate:g}"]["held_out_figures"]["after"]["loss"]

    return {"learning_rate": min(LEARNING_RATES, key=loss), "rates": found}


def judging(data: Path) -> dict[str, Dataset]:
    """The sets that judge: their prompts that nothing was learned of."""
    judge, found = prompts(data).judge, dict[str, Dataset]()
    for name, count in SETS.items():
        whole = datasets.load(name, data)
        if count is None:
            items = tuple(item for item in whole.items if item.group in judge)
            found[name] = replace(whole, items=items)
        else:
            found[name] = datasets.sample(whole, count, seed=0)
    return found


def judged(
    model: str, form: Form, sets: Mapping[str, Dataset], folder: Path
) -> dict[str, list[float | None]]:
    """The reward of every response of every set, in their order; None where it has none."""
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[float | None]] = {}
    for name, one in sets.items():
        source, scored = folder / f"{name}.jsonl", folder / f"{name}.rewards.jsonl"
        talks = [talk for item in one.items for talk in item.conversations]
        io.write(source, [{"messages": [m.as_dict() for m in talk.messages]} for talk in talks])
        options = ScoreOptions(
            model=model, set=JUDGING, form=form, on_overflow="skip", on_special="skip"
        )
        score_file(str(source), scored, options, told(f"{folder.name}, {name}"))
        found[name] = [row["reward"] for row in io.read(str(scored))]
    return found


def before(data: Path, work: Path) -> dict[str, Any]:
    """The rewards of the model that has learned nothing."""
    sets = judging(data)
    return {
        "rewards": {form: judged(FIRST, form, sets, work / f"{FIRST}-{form}") for form in FORMS}
    }


def replicated(
    data: Path, work: Path, seed: int, done: Mapping[str, Any], keep: Callable[[Any], None]
) -> dict[str, Any]:
    """What one seed measures: of every arm, a reward a response.

    Args:
        data: of the sets.
        work: folder for models.
        seed: of the replication.
        done: what an earlier run has measured.
        keep: given what there is after each arm.

    Raises:
        ValueError: the earlier run was made otherwise.
    """
    if done and (done["seed"], done["learning_rate"]) != (seed, LEARNING_RATE):
        raise ValueError("what was measured before is of another seed or learning rate")
    parts, sets = prompts(data), judging(data)
    all_said = [one for one in said(data, work) if key_of(one) in parts.learn]
    rows = drawn(all_said, STEPS * BATCH, seed)
    found = {"seed": seed, "learning_rate": LEARNING_RATE, "arms": dict(done.get("arms", {}))}
    for arm in ARMS:
        if arm.name in found["arms"]:
            continue
        folder = work / arm.name.replace(", ", "-")
        record = tuned(lessons(arm, rows, seed), folder, LEARNING_RATE, seed)
        names = ("rows_trained_on", "steps", "tokens", "tokens_learned", "seconds", "loss")
        found["arms"][arm.name] = {
            "training": {name: record[name] for name in names},
            "rewards": {
                form: judged(str(folder), form, sets, work / f"{folder.name}-asked-{form}")
                for form in arm.asked
            },
        }
        keep(found)
    return found


def over_seeds(found: Sequence[Estimate]) -> Estimate:
    """The mean of one figure over seeds, in whose resamples seeds are drawn, too.

    With three seeds the interval is a coarse one.

    Source:
        Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1, 2007.
    """
    count = len(found)
    resamples = len(found[0].resampled)
    dice = np.random.default_rng(0)
    weights = dice.multinomial(count, np.full(count, 1 / count), resamples) / count
    resampled = (weights * np.stack([one.resampled for one in found], axis=1)).sum(axis=1)
    return Estimate(float(np.mean([one.value for one in found])), resampled, found[0].count)


FIGURES = {"rating": ("pearson", "spearman"), "pairwise": ("accuracy",)}


def _kept(one: Dataset, columns: Mapping[str, Sequence[float | None]]) -> list[bool]:
    """Of each item, whether every model has rewarded every response."""
    sizes = [len(item.labels) for item in one.items]
    ends = np.cumsum(sizes)[:-1]
    whole = np.all([[value is not None for value in own] for own in columns.values()], axis=0)
    return [bool(part.all()) for part in np.split(whole, ends)]


def measured(
    one: Dataset, columns: Mapping[str, Sequence[float | None]]
) -> tuple[dict[tuple[str, str], Estimate], int]:
    """The figures of every column, from the same draws of prompts; and items left out."""
    kept = _kept(one, columns)
    items: list[Item] = [item for item, whole in zip(one.items, kept, strict=True) if whole]
    rest = replace(one, items=tuple(items))
    ends = np.cumsum([len(item.labels) for item in one.items])[:-1]
    statistics: dict[tuple[str, str], Statistic] = {}
    for name, own in columns.items():
        parts = np.split(np.array(own, np.float64), ends)
        values = [part for part, whole in zip(parts, kept, strict=True) if whole]
        figures = MEASURES[one.kind](rest, Column(values)).statistics
        statistics |= {(name, f): figures[(f,)] for f in FIGURES[one.kind]}
    groups = int(group_indices(rest).max()) + 1
    return estimates(statistics, groups), kept.count(False)


def reported(data: Path, files: Sequence[Path]) -> dict[str, Any]:
    """Every arm by itself, beside smollm2, and true feedback beside its controls."""
    first, *seeds = [json.loads(path.read_text("utf-8")) for path in files]
    found: dict[str, Any] = {}
    for name, one in judging(data).items():
        columns = {f"{FIRST}|{form}|-": first["rewards"][form][name] for form in FORMS}
        for seed in seeds:
            for arm in ARMS:
                own = seed["arms"][arm.name]["rewards"]
                kind = arm.name.split(",")[0]
                columns |= {f"{kind}|{f}|{seed['seed']}": own[f][name] for f in arm.asked}
        estimated, left_out = measured(one, columns)
        found[name] = {"items_left_out": left_out, "items": len(one.items) - left_out}
        for of in FIGURES[one.kind]:
            found[name][of] = {
                form: beside(
                    estimated[f"{FIRST}|{form}|-", of],
                    {
                        kind: [estimated[f"{kind}|{form}|{s['seed']}", of] for s in seeds]
                        for kind in ("true", "shuffled", "chat")
                    },
                )
                for form in FORMS
            }
    return {
        "seeds": [one["seed"] for one in seeds],
        "learning_rate": [one["learning_rate"] for one in seeds],
        "training": {
            arm.name: [one["arms"][arm.name]["training"] for one in seeds] for arm in ARMS
        },
        "sets": found,
    }


def beside(first: Estimate, arms: Mapping[str, Sequence[Estimate]]) -> dict[str, Any]:
    """One figure in one form: of each model, and differences to those that it is held against.

    Args:
        first: of smollm2.
        arms: of each arm, one a seed.
    """
    pairs = [(kind, FIRST) for kind in arms] + [("true", "shuffled"), ("true", "chat")]
    differences: dict[str, Any] = {}
    for kind, other in pairs:
        against = [first] * len(arms[kind]) if other == FIRST else arms[other]
        differences[f"{kind} - {other}"] = _over(
            [own - his for own, his in zip(arms[kind], against, strict=True)]
        )
    each = {kind: _over(own) for kind, own in arms.items()}
    return {FIRST: figure(first), **each, "differences": differences}


def _over(seeds: Sequence[Estimate]) -> dict[str, Any]:
    return {**figure(over_seeds(seeds)), "by_seed": [one.value for one in seeds]}


def main(arguments: Sequence[str]) -> int:
    """Runs a command, and returns the exit code."""
    given = _parser().parse_args(arguments)
    output: Path = given.output

    def write(made: Mapping[str, Any]) -> None:
        result = {
            "date": date.today().isoformat(),
            "command": f"python -m benchmarks.feedback {given.what}",
            "machine": f"{platform.machine()}, {devices.describe_device('cpu')}",
            "versions": runs.versions(),
            "plan": {
                "steps": STEPS,
                "batch": BATCH,
                "set": JUDGING,
                "arms": [asdict(a) for a in ARMS],
            },
            **made,
        }
        output.write_text(json.dumps(runs.plain(result), indent=1) + "\n", "utf-8")

    if given.what == "settle":
        write(settled(given.data, given.work / "settle"))
    elif given.what == "before":
        write(before(given.data, given.work / "before"))
    elif given.what == "run":
        done = json.loads(output.read_text("utf-8")) if output.exists() else {}
        work = given.work / "run" / str(given.seed)
        write(replicated(given.data, work, given.seed, done, write))
    else:
        write(reported(given.data, given.files))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="what", required=True)
    for what in ("settle", "before", "run", "report"):
        command = commands.add_parser(what)
        command.add_argument("--data", type=Path, required=True)
        command.add_argument("--output", "-o", type=Path, required=True)
        if what != "report":
            command.add_argument("--work", type=Path, required=True)
    commands.choices["run"].add_argument("--seed", type=int, choices=SEEDS, required=True)
    commands.choices["report"].add_argument("files", type=Path, nargs="+")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
