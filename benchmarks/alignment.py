"""Does a policy get better by pairs that follow-up likelihood made? Real prompts, with controls.

The plan is fixed here before anything is scored. smollm2 is the first policy and the follow-up
model. 128 prompts of hh-rlhf helpful-base, 8 responses each of at most 96 tokens (most are cut off,
and kept); the same responses serve every arm, which differ in nothing but the pairs:

    flr            the best against the worst by follow-up likelihood, categories CHOOSING
    flr-match      the same, of responses whose lengths differ by at most a quarter
    random         two random responses in random order (control)
    random-flr     the same two, put in order by follow-up likelihood
    direct         the best against the worst by the response's own log-likelihood a token

One pair a prompt, no margin asked for. DPO with LoRA, three training seeds an arm, which also draw
the random pairs; equal steps. Judged on 64 other prompts, one response each from every policy by
the same seed, against the first policy and against `random`:

    reward         follow-up likelihood by the categories JUDGING, that chose no pair
    role-switched  the same with the roles switched: the assistant gives the follow-up
    verifiable     share of the verifiable prompts passed, temperature 0
    characters, unfinished, distinct-n, divergence from the first policy

The question is whether `flr` beats `random` by JUDGING at equal length: the difference of rewards
less what length explains (one slope over all responses, taken within prompts), and the share won
among responses whose lengths differ by at most a quarter. Intervals are over prompts and seeds.

    python -m benchmarks.alignment tune --data DIR --work DIR -o RESULT.json
    python -m benchmarks.alignment run --data DIR --work DIR -o RESULT.json

`tune` picks the learning rate of LEARNING_RATES on prompts that `run` never sees, by the rule at
`tuned`; its result is committed before `run` trains. DIR holds the files of hh-rlhf. All stages
resume. RESULT.json gets figures and nothing of the data; twenty prompts with the responses of every
policy, to read, are in the work folder's compared/report.html.
"""

import argparse
import json
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.alignment_figures import Values, against, mean
from flr import devices, io, runs
from flr.comparing import CompareOptions, compare_policies
from flr.datasets import loading as datasets
from flr.datasets.base import Dataset, Item
from flr.evaluation import columns
from flr.evaluation.arms import parse
from flr.mining import MineOptions, mine_file
from flr.options import ModelOptions
from flr.rows import Row
from flr.runs import Store
from flr.sample_file import SampleOptions, sample_file
from flr.score_file import ScoreOptions, score_file
from flr.training.preference import AlignOptions, align_file

CHOOSING = "default:understanding+relevance+correctness"
JUDGING = "default:engagingness+informativeness+following"
ARMS = ("flr", "flr-match", "random", "random-flr", "direct")
SEEDS = (0, 1, 2)
FIRST, CONTROL = "smollm2", "random"
STEPS, BATCH = 32, 4
"""Optimizer steps of every training, and pairs of a step: 128 pairs once over."""
MAX_NEW_TOKENS = 96
LEARNING_RATES = (1e-4, 3e-4, 1e-3)
LEARNING_RATE = 3e-4
"""Picked by `tune`."""


@dataclass(frozen=True)
class Draw:
    """Which prompts, and how many responses each is trained on."""

    train: slice
    evaluation: slice
    responses: int


DRAWN = 256
"""Prompts that are drawn of the set, seed 0, and shuffled; the slices below do not overlap."""
RUN = Draw(slice(0, 128), slice(128, 192), 8)
TUNE = Draw(slice(192, 224), slice(224, 256), 4)


def prompts(data: Path) -> list[dict[str, Any]]:
    """The drawn prompts in a seeded order, as rows."""
    drawn = datasets.sample(datasets.load("hh-helpful-base", data), DRAWN, seed=0)
    first = {item.group: item.conversations[0].prompt for item in reversed(drawn.items)}
    order = np.random.default_rng(0).permutation(sorted(first)).tolist()
    return [{"prompt": [message.as_dict() for message in first[group]]} for group in order]


def mined(draw: Draw, data: Path, work: Path) -> Path:
    """Responses of the first policy to the training prompts, with rewards by CHOOSING."""
    rows = prompts(data)
    for name, part in (("train", draw.train), ("evaluation", draw.evaluation)):
        io.write(work / f"{name}.jsonl", rows[part])
    sampled, scored = work / "train.responses.jsonl", work / "train.rewards.jsonl"
    drawing = SampleOptions(n=draw.responses, max_new_tokens=MAX_NEW_TOKENS, seed=0)
    sample_file(str(work / "train.jsonl"), sampled, drawing, told("prompts sampled"))
    rewarding = ScoreOptions(set=CHOOSING, on_overflow="skip", on_special="skip")
    score_file(str(sampled), scored, rewarding, told("responses scored"))
    return scored


def told(what: str) -> Any:
    """A progress that is printed."""

    def tell(done: int, total: int, _: int) -> None:
        print(f"{what}: {done} of {total}", flush=True)

    return tell


def own_likelihoods(scored: Path, work: Path) -> list[list[float]]:
    """Log-likelihood a token of every response under the first policy, nats."""
    rows = io.load(str(scored))
    items = tuple(_item(row) for row in rows)
    arms = parse("direct", ModelOptions(), seed=0)
    plan = columns.make_plan(Dataset("responses", "rating", items, str(scored)), arms, seed=0)
    with Store(work / "direct.sqlite") as store:
        columns.fill(store, [plan], arms, told("own likelihoods"))
        spent = {name: columns.Spent() for name in arms.passes}
        outcome = columns.make_outcome(store, plan, arms.passes, spent)
    assert not outcome.left_out, "every response has a likelihood"
    return [one.tolist() for one in outcome.columns["direct:mean"].values]


def _item(row: Row) -> Item:
    labels = tuple(0.0 for _ in row.conversations)
    return Item(str(row.number), str(row.number), row.conversations, labels)


def rewarded(
    arm: str, seed: int, rows: Sequence[Mapping[str, Any]], own: Sequence[Sequence[float]]
) -> Iterator[dict[str, Any]]:
    """The rows of which `flr mine` makes an arm's pairs, the best against the worst.

    The two random responses of a prompt are the same in both random arms of a seed.
    """
    dice = np.random.default_rng(seed)
    for row, likelihoods in zip(rows, own, strict=True):
        known = [at for at, reward in enumerate(row["rewards"]) if reward is not None]
        two, coin = dice.permutation(known)[:2].tolist(), dice.permutation([0.0, 1.0]).tolist()
        rewards = {
            "flr": row["rewards"],
            "flr-match": row["rewards"],
            "direct": likelihoods,
            "random-flr": [one if at in two else None for at, one in enumerate(row["rewards"])],
            "random": [
                coin[two.index(at)] if at in two else None for at in range(len(row["rewards"]))
            ],
        }
        kept = {name: row[name] for name in ("prompt", "responses", "finish_reasons")}
        yield {**kept, "rewards": rewards[arm]}


def trained(arm: str, seed: int, scored: Path, work: Path, rate: float, name: str) -> Path:
    """The policy of an arm and a seed."""
    source, pairs = (work / "pairs" / f"{name}{end}.jsonl" for end in (".rewards", ""))
    policy = work / "policies" / name
    for folder in (source.parent, policy.parent):
        folder.mkdir(exist_ok=True)
    own = own_likelihoods(scored, work)
    io.write(source, list(rewarded(arm, seed, io.read(str(scored)), own)))
    control = "match" if arm == "flr-match" else "none"
    options = MineOptions(min_margin=0.0, keep_unfinished=True, length_control=control, seed=seed)
    mine_file(str(source), pairs, options)
    options = AlignOptions(
        lora=True,
        learning_rate=rate,
        max_steps=STEPS,
        batch_size=BATCH,
        seed=seed,
        resume=True,
    )
    align_file(str(pairs), policy, options, told(f"{name}: steps"), print)
    return policy


def compared(policies: Mapping[str, str], work: Path, form: Any, reward: str) -> dict[str, Any]:
    """All policies on the evaluation prompts: results, and a row a prompt."""
    options = CompareOptions(
        reward=f"flr:mean:{reward}",
        form=form,
        max_new_tokens=MAX_NEW_TOKENS,
        seed=1,
        divergence=True,
        verifiable=form == "user",
        force=True,
    )
    folder = work / "compared"
    done = compare_policies(policies, str(work / "evaluation.jsonl"), folder, options, told, print)
    return {"results": done.results, "items": io.read(str(folder / "items.jsonl"))}


def tuned(data: Path, work: Path) -> dict[str, Any]:
    """The learning rate: the one with the highest mean reward by CHOOSING on other prompts.

    What judges later has no say in it, and of rates that are equally good the smallest is taken.
    """
    scored, found = mined(TUNE, data, work), {}
    policies = {FIRST: FIRST}
    for rate in LEARNING_RATES:
        policies[f"{rate:g}"] = str(trained("flr", 0, scored, work, rate, f"{rate:g}"))
    figures = compared(policies, work, "user", CHOOSING)["results"]["policies"]
    for name in policies:
        own = figures[name]["figures"]
        found[name] = {
            key: own[key] for key in ("reward", "characters", "unfinished", "divergence")
        }
    (reward,) = found[FIRST]["reward"]
    best = max(LEARNING_RATES, key=lambda rate: found[f"{rate:g}"]["reward"][reward]["value"])
    return {"learning_rate": best, "figures": found}


def evidence(data: Path, work: Path) -> dict[str, Any]:
    """The figures of all arms."""
    scored = mined(RUN, data, work)
    named = {(arm, seed): f"{arm} {seed}" for arm in ARMS for seed in SEEDS}
    policies = {FIRST: FIRST}
    for seed in SEEDS:
        for arm in ARMS:
            name = named[arm, seed]
            path = trained(arm, seed, scored, work, LEARNING_RATE, name.replace(" ", "-"))
            policies[name] = str(path)
    views: dict[str, dict[str, Any]] = {}
    checked: list[Any] = []
    for form in ("user", "role-switched"):
        views[form] = compared(policies, work, form, JUDGING)
        checked = checked or io.read(str(work / "compared" / "verifiable.jsonl"))
    return {
        "learning_rate": LEARNING_RATE,
        "training": {name: _training(path) for name, path in policies.items() if name != FIRST},
        "arms": figures(views, checked),
    }


def _training(policy: str) -> dict[str, Any]:
    """What is known of a training: its curves, its figures, its seconds."""
    record = json.loads((Path(policy) / "align.json").read_text("utf-8"))
    return {name: record[name] for name in ("rows", "steps", "seconds", "figures")}


def _values(items: Sequence[Mapping[str, Any]], of: str, name: str) -> list[float]:
    """One number of a policy's response to each prompt."""
    if of == "characters":
        return [float(len(row["responses"][name][0])) for row in items]
    if of == "unfinished":
        return [float(row["finish_reasons"][name][0] == "length") for row in items]
    (reward,) = [key for key in items[0]["rewards"] if key != "length"]
    return [row["rewards"][reward][name][0] for row in items]


def by_arm(items: Sequence[Mapping[str, Any]], of: str) -> dict[str, Values]:
    """The same of all policies: a row a training seed; the first policy has one row."""
    found = {arm: np.array([_values(items, of, f"{arm} {seed}") for seed in SEEDS]) for arm in ARMS}
    return {**found, FIRST: np.array([_values(items, of, FIRST)])}


def figures(views: Mapping[str, Mapping[str, Any]], checked: Sequence[Any]) -> dict[str, Any]:
    """Every arm by itself, beside the first policy and beside the random pairs.

    Args:
        views: results and items by form.
        checked: the rows of the verifiable prompts.
    """
    items = views["user"]["items"]
    lengths, unfinished = by_arm(items, "characters"), by_arm(items, "unfinished")
    rewards = {form: by_arm(view["items"], "reward") for form, view in views.items()}
    passed = {
        arm: np.array([[float(row["passes"][f"{arm} {s}"]) for row in checked] for s in SEEDS])
        for arm in ARMS
    } | {FIRST: np.array([[float(row["passes"][FIRST]) for row in checked]])}
    policies = views["user"]["results"]["policies"]
    found: dict[str, Any] = {}
    for arm in (FIRST, *ARMS):
        seeds = [f"{arm} {seed}" for seed in SEEDS] if arm != FIRST else [FIRST]
        found[arm] = {
            "characters": mean(lengths[arm]),
            "unfinished": mean(unfinished[arm]),
            "verifiable": mean(passed[arm]),
            **{f"reward, {form}": mean(one[arm]) for form, one in rewards.items()},
            **{
                name: [policies[seed]["figures"][name] for seed in seeds]
                for name in ("distinct_1", "distinct_2", "distinct_2_across", "divergence")
            },
        }
        for other in (FIRST, CONTROL):
            if arm not in (FIRST, other):
                found[arm][f"against {other}"] = {
                    **{f: against(arm, other, one, lengths) for f, one in rewards.items()},
                    "verifiable": mean(passed[arm] - passed[other]),
                }
    return found


STAGES = {"tune": tuned, "run": evidence}


def main(arguments: Sequence[str]) -> int:
    """Runs the stages, and returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=STAGES)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--output", "-o", type=Path, required=True)
    given = parser.parse_args(arguments)
    work = given.work / given.what
    work.mkdir(parents=True, exist_ok=True)
    result = {
        "date": date.today().isoformat(),
        "command": f"python -m benchmarks.alignment {given.what} --data DIR --work DIR -o RESULT",
        "machine": f"{platform.machine()}, {devices.describe_device('cpu')}",
        "versions": runs.versions(),
        **STAGES[given.what](given.data, work),
    }
    given.output.write_text(json.dumps(runs.plain(result), indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
