"""Does a policy get better by pairs that follow-up likelihood made? Real prompts, with controls.

The plan is fixed here before anything is scored. smollm2 is the first policy and the follow-up
model. 128 prompts of hh-rlhf helpful-base, 8 responses each of at most 96 tokens (most are cut off,
and kept); the same responses serve every arm, which differ in nothing but the pairs:

    flr            the best against the worst by follow-up likelihood, categories CHOOSING
    flr-match      the same, of responses whose lengths differ by at most a quarter
    random         two random responses in random order (control)
    random-flr     the same two, put in order by follow-up likelihood
    direct         the best against the worst by the response's own log-likelihood a token

One pair a prompt, no margin asked for. DPO with LoRA, equal steps. A seed is a replication of it
all: it draws the responses, the random pairs, the order of training, the responses that are judged.
Judged on 64 other prompts, one response each from every policy by the same seed, against the first
policy and against `random`:

    reward         follow-up likelihood by the categories JUDGING, that chose no pair
    role-switched  the same with the roles switched: the assistant gives the follow-up
    verifiable     share of the verifiable prompts passed, temperature 0
    characters, unfinished, distinct-n, divergence from the first policy

The question is whether `flr` beats `random` by JUDGING at equal length: the difference of rewards
less what length explains (one slope over all arms' responses to the same prompts), and the share
won among responses whose lengths differ by at most a quarter. Intervals are over prompts and seeds.

    python -m benchmarks.alignment tune --data DIR --work DIR -o TUNE.json
    python -m benchmarks.alignment run --seed 0 --data DIR --work DIR -o SEED-0.json
    python -m benchmarks.alignment report SEED-0.json SEED-1.json SEED-2.json -o RESULT.json

`tune` picks the learning rate of LEARNING_RATES on prompts that `run` never sees, by the rule at
`tuned`; its result is committed before `run` trains. DIR of --data holds the files of hh-rlhf. A
command that was stopped goes on. The results hold figures and what the policies said, and nothing
of the data; the page with twenty prompts to read is WORK/run/SEED/compared/report.html.
"""

import argparse
import json
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

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
Form = Literal["user", "role-switched"]
ARMS = ("flr", "flr-match", "random", "random-flr", "direct")
SEEDS = (0, 1, 2)
FIRST, CONTROL = "smollm2", "random"
STEPS, BATCH = 32, 4
"""Optimizer steps of every training, and pairs of a step: 128 pairs once over."""
MAX_NEW_TOKENS = 96
OF_POLICY = ("distinct_1", "distinct_2", "distinct_2_across", "divergence")
"""Figures of a policy's responses together."""
LEARNING_RATES = (1e-4, 3e-4, 1e-3)
LEARNING_RATE = 1e-3
"""Picked by `tune` (results/2026-11-28-alignment-tune.json), before the first `run`."""


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


def mined(draw: Draw, data: Path, work: Path, seed: int) -> Path:
    """Responses of the first policy to the training prompts, with rewards by CHOOSING."""
    work.mkdir(parents=True, exist_ok=True)
    rows = prompts(data)
    for name, part in (("train", draw.train), ("evaluation", draw.evaluation)):
        io.write(work / f"{name}.jsonl", rows[part])
    sampled, scored = work / "train.responses.jsonl", work / "train.rewards.jsonl"
    drawing = SampleOptions(n=draw.responses, max_new_tokens=MAX_NEW_TOKENS, seed=seed)
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
            "direct": [
                own if at in known else None  # the same responses as in the other arms
                for at, own in enumerate(likelihoods)
            ],
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
        micro_batch=1,
        seed=seed,
        resume=True,
    )
    align_file(str(pairs), policy, options, told(f"{name}: steps"), print)
    return policy


def compared(
    policies: Mapping[str, str], work: Path, reward: str, form: Form, seed: int, *, whole: bool
) -> dict[str, Any]:
    """All policies on the evaluation prompts: results, and a row a prompt.

    Args:
        policies: by name.
        work: folder with the evaluation prompts.
        reward: set of follow-ups.
        form: of the conversations that are scored.
        seed: of the responses.
        whole: whether verifiable prompts are asked too.
    """
    options = CompareOptions(
        reward=f"flr:mean:{reward}",
        form=form,
        max_new_tokens=MAX_NEW_TOKENS,
        seed=seed,
        divergence=True,
        verifiable=whole,
        on_overflow="skip",
        on_special="skip",
        force=True,
    )
    folder = work / "compared"
    done = compare_policies(policies, str(work / "evaluation.jsonl"), folder, options, told, print)
    return {
        "results": done.results,
        "items": io.read(str(folder / "items.jsonl")),
        "checked": io.read(str(folder / "verifiable.jsonl")) if whole else [],
    }


def tuned(data: Path, work: Path) -> dict[str, Any]:
    """The learning rate: the one with the highest mean reward by CHOOSING on other prompts.

    What judges later has no say in it, and of rates that are equally good the smallest is taken.
    """
    scored, found = mined(TUNE, data, work, seed=0), {}
    policies = {FIRST: FIRST}
    for rate in LEARNING_RATES:
        policies[f"{rate:g}"] = str(trained("flr", 0, scored, work, rate, f"{rate:g}"))
    seen = compared(policies, work, CHOOSING, "user", 0, whole=False)["results"]["policies"]
    for name in policies:
        own = seen[name]["figures"]
        found[name] = {
            key: own[key] for key in ("reward", "characters", "unfinished", "divergence")
        }
    (reward,) = [name for name in found[FIRST]["reward"] if name != "length"]
    best = max(LEARNING_RATES, key=lambda rate: found[f"{rate:g}"]["reward"][reward]["value"])
    return {"learning_rate": best, "figures": found}


def replicated(data: Path, work: Path, seed: int) -> dict[str, Any]:
    """What one seed measures: of every policy, a number a prompt."""
    scored = mined(RUN, data, work, seed)
    policies = {FIRST: FIRST}
    for arm in ARMS:
        policies[arm] = str(trained(arm, seed, scored, work, LEARNING_RATE, arm))
    forms: tuple[Form, ...] = ("role-switched", "user")  # so that the page is of the latter
    views = {form: compared(policies, work, JUDGING, form, seed, whole=True) for form in forms}
    return {
        "seed": seed,
        "learning_rate": LEARNING_RATE,
        "training": {name: _training(path) for name, path in policies.items() if name != FIRST},
        "policies": {name: measured(views, name) for name in policies},
        "said": [row["responses"] for row in views["user"]["items"]],
    }


def _training(policy: str) -> dict[str, Any]:
    """What is known of a training."""
    record = json.loads((Path(policy) / "align.json").read_text("utf-8"))
    names = ("rows", "rows_trained_on", "steps", "seconds", "loss", "accuracy", "margin")
    return {name: record[name] for name in names}


def measured(views: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, Any]:
    """A policy's numbers, one a prompt; a reward is None where the response has none."""
    items, checked = views["user"]["items"], views["user"]["checked"]
    figures = views["user"]["results"]["policies"][name]["figures"]
    return {
        **{f"reward, {form}": _rewards(view["items"], name) for form, view in views.items()},
        "verifiable": [float(row["passes"][name]) for row in checked],
        "characters": [float(len(row["responses"][name][0])) for row in items],
        "unfinished": [float(row["finish_reasons"][name][0] == "length") for row in items],
        **{figure: figures[figure]["value"] for figure in OF_POLICY if figures[figure]},
    }


def _rewards(items: Sequence[Mapping[str, Any]], name: str) -> list[float | None]:
    (reward,) = [key for key in items[0]["rewards"] if key != "length"]
    return [row["rewards"][reward][name][0] for row in items]


def reported(files: Sequence[Path]) -> dict[str, Any]:
    """The figures of every arm by itself, beside the first policy and beside the random pairs."""
    seeds = [json.loads(path.read_text("utf-8")) for path in files]
    return {
        "seeds": [one["seed"] for one in seeds],
        "learning_rate": [one["learning_rate"] for one in seeds],
        "seconds_of_training": {
            arm: [one["training"][arm]["seconds"] for one in seeds] for arm in ARMS
        },
        **figures([one["policies"] for one in seeds]),
    }


def by_arm(seeds: Sequence[Mapping[str, Any]], of: str) -> dict[str, Values]:
    """One number of all policies, a row a seed and a column a prompt; NaN for none."""
    names = (FIRST, *ARMS)
    return {name: np.array([one[name][of] for one in seeds], np.float64) for name in names}


def figures(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Every arm by itself and beside others.

    A prompt to which any response has no reward is left out of whatever rewards are made of.

    Args:
        seeds: the numbers of `measured` by policy, a seed each.
    """
    rewards = {form: by_arm(seeds, f"reward, {form}") for form in ("user", "role-switched")}
    whole = np.stack([values for of in rewards.values() for values in of.values()])
    kept = ~np.isnan(whole).any(axis=(0, 1))
    rewards = {f: {name: v[:, kept] for name, v in of.items()} for f, of in rewards.items()}
    lengths, unfinished = by_arm(seeds, "characters"), by_arm(seeds, "unfinished")
    kept_lengths = {name: values[:, kept] for name, values in lengths.items()}
    passed = by_arm(seeds, "verifiable")
    found: dict[str, Any] = {}
    for arm in (FIRST, *ARMS):
        found[arm] = {
            "characters": mean(lengths[arm]),
            "unfinished": mean(unfinished[arm]),
            "verifiable": mean(passed[arm]),
            **{f"reward, {form}": mean(of[arm]) for form, of in rewards.items()},
            **{name: [one[arm].get(name) for one in seeds] for name in OF_POLICY},
        }
        for other in (FIRST, CONTROL):
            if arm not in (FIRST, other):
                found[arm][f"against {other}"] = {
                    **{f: against(arm, other, of, kept_lengths) for f, of in rewards.items()},
                    "verifiable": mean(passed[arm] - passed[other]),
                }
    return {"prompts_left_out": int((~kept).sum()), "arms": found}


def main(arguments: Sequence[str]) -> int:
    """Runs a command, and returns the exit code."""
    given = _parser().parse_args(arguments)
    if given.what == "tune":
        made = tuned(given.data, given.work / "tune")
    elif given.what == "run":
        made = replicated(given.data, given.work / "run" / str(given.seed), given.seed)
    else:
        made = reported(given.files)
    result = {
        "date": date.today().isoformat(),
        "command": f"python -m benchmarks.alignment {given.what}",
        "machine": f"{platform.machine()}, {devices.describe_device('cpu')}",
        "versions": runs.versions(),
        **made,
    }
    given.output.write_text(json.dumps(runs.plain(result), indent=1) + "\n", "utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="what", required=True)
    for what in ("tune", "run"):
        command = commands.add_parser(what)
        command.add_argument("--data", type=Path, required=True)
        command.add_argument("--work", type=Path, required=True)
        if what == "run":
            command.add_argument("--seed", type=int, choices=SEEDS, required=True)
    commands.add_parser("report").add_argument("files", type=Path, nargs=len(SEEDS))
    for command in commands.choices.values():
        command.add_argument("--output", "-o", type=Path, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
