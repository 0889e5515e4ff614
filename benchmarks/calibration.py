"""What do labels add to follow-up likelihood, do the weights travel, how many follow-ups suffice?

The plan is fixed here before anything is scored: smollm2, the set `default`, variant mean. Weights
are learned on half of the prompts of a sample of hh-rlhf helpful-base and measured

    on the other half
    on harmless-base, mtbench-single and feedbackqa (transfer), of which nothing is learned

in three ways: weights of categories, of single follow-ups, and of both with labels drawn by lot
(control: what is learned of nothing). Each half is drawn by five seeds; a figure is that of each
seed, and their mean. Within a seed intervals are over the measured prompts. On sets with ratings a
pair is any two responses to one prompt with different ratings; every prompt counts once.

Added after the first run, in which mtbench-single turned out to have pairs of 2 prompts alone: on
sets with ratings also Pearson's and Spearman's correlation of the reward with them.

    python -m benchmarks.calibration --data DIR --work DIR -o RESULT.json

DIR of --data holds the sets' files in the shape of their publishers. A command that was stopped
goes on. The result holds weights of our own follow-ups and figures, and nothing of the data.
"""

import argparse
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from benchmarks.feedback import FIGURES, measured, told
from flr import devices, followups, io, runs
from flr.calibration.choosing import chosen
from flr.calibration.labelled import Labelled, read_labelled, split
from flr.calibration.learning import CalibrateOptions, Learned, learn
from flr.calibration.measured import coefficients_in, compared, curve
from flr.calibration.probability import knots
from flr.datasets import loading as datasets
from flr.datasets.base import Dataset, Item
from flr.evaluation.figures import figure
from flr.rewards import category_shares
from flr.score_file import ScoreOptions, score_file
from flr.scored import followup_values, stored_scores
from flr.types import Conversation, FollowUpSet

SET = "default"
LEARNED_ON = "hh-helpful-base"
SETS = {LEARNED_ON: 800, "hh-harmless-base": 200, "mtbench-single": None, "feedbackqa": 100}
"""Prompts that are drawn of each set (seed 0); None takes all."""
RATED = ("mtbench-single", "feedbackqa")
SEEDS = (0, 1, 2, 3, 4)
ARMS = ("categories", "followups", "categories, labels by lot", "followups, labels by lot")


def _transcript(conversation: Conversation) -> str:
    """A conversation as hh-rlhf is published: the two of some pairs part before the response."""
    speakers = {"user": "Human", "assistant": "Assistant"}
    return "".join(f"\n\n{speakers[m.role]}: {m.content}" for m in conversation.messages)


def rows_of(item: Item, kind: str) -> list[dict[str, Any]]:
    """The rows of an item that `flr score` reads: its pairs, or its responses with ratings."""
    labelled = list(zip(item.conversations, item.labels, strict=True))
    if kind == "rating":
        return [{"messages": [m.as_dict() for m in t.messages], "rating": r} for t, r in labelled]
    better = [_transcript(talk) for talk, label in labelled if label == 1]
    worse = [_transcript(talk) for talk, label in labelled if label != 1]
    return [{"chosen": one, "rejected": other} for one in better for other in worse]


def drawn(name: str, data: Path) -> Dataset:
    """The sample of a set."""
    dataset, count = datasets.load(name, data), SETS[name]
    return dataset if count is None else datasets.sample(dataset, count, seed=0)


def labelled(name: str, data: Path, work: Path) -> Labelled:
    """The labelled pairs of a set, scored."""
    dataset = drawn(name, data)
    source, scored = work / f"{name}.jsonl", work / f"{name}.scored.jsonl"
    io.write(source, [row for item in dataset.items for row in rows_of(item, dataset.kind)])
    options = ScoreOptions(set=SET, per_followup=True, on_overflow="skip", on_special="skip")
    score_file(str(source), scored, options, told(name))
    return read_labelled(str(scored), io.load(str(scored)), followups.load(SET), fewest=False)


@dataclass(frozen=True)
class Rated:
    """The responses of a set with ratings, and the values of every follow-up after each."""

    dataset: Dataset
    values: Float[np.ndarray, "response followup"]


def rated(name: str, data: Path, work: Path) -> Rated:
    """A set with ratings, as `labelled` has scored it.

    Raises:
        ValueError: a response was left out of scoring.
    """
    source = str(work / f"{name}.scored.jsonl")
    rows = io.load(source)
    scores = stored_scores(source, rows)
    found = [followup_values(score)[1] for row in rows for score in scores[row.number] if score]
    dataset = drawn(name, data)
    if len(found) != sum(len(item.labels) for item in dataset.items):
        raise ValueError(f"{name}: some responses were not scored")
    return Rated(dataset, np.stack(found))


def correlations(given: Rated, whole: FollowUpSet, made: FollowUpSet) -> dict[str, Any]:
    """How the reward goes with ratings before and after, and the difference."""
    columns = {
        when: (given.values @ coefficients_in(whole, one)).tolist()
        for when, one in (("before", whole), ("after", made))
    }
    found, _ = measured(given.dataset, columns)
    return {
        of: {
            "before": figure(found["before", of]),
            "after": figure(found["after", of]),
            "difference": figure(found["after", of] - found["before", of]),
        }
        for of in FIGURES["rating"]
    }


def by_lot(pairs: Labelled, seed: int) -> Labelled:
    """The same pairs, each of them turned round where a coin says so."""
    sides = np.random.default_rng([seed, 1]).choice([-1.0, 1.0], len(pairs.weights))
    return replace(pairs, differences=pairs.differences * sides[:, None])


def learned(arm: str, pairs: Labelled, seed: int) -> Learned:
    """What one arm learns of half of the prompts."""
    way, _, lot = arm.partition(", ")
    taught = by_lot(pairs, seed) if lot else pairs
    options = CalibrateOptions(learn="categories" if way == "categories" else "followups")
    return learn(followups.load(SET), taught, replace(options, seed=seed))


def replicated(
    sets: Mapping[str, Labelled], ratings: Mapping[str, Rated], seed: int
) -> dict[str, Any]:
    """What one split says of every arm."""
    whole = followups.load(SET)
    half, rest = split(sets[LEARNED_ON], 0.5, seed)
    others = {f"{LEARNED_ON}, other half": rest} | {
        name: pairs for name, pairs in sets.items() if name != LEARNED_ON
    }
    found: dict[str, Any] = {"seed": seed, "learned_from": half.prompts, "arms": {}}
    print(f"seed {seed}", flush=True)
    every = {arm: learned(arm, half, seed) for arm in ARMS}
    for arm, made in every.items():
        found["arms"][arm] = {
            "penalty": str(chosen(made.tried)),
            "followups": len(made.made.followups),
            "weights": category_shares(made.made.categories, made.made.weights),
            "texts": [asdict(one) for one in made.made.followups] if arm == ARMS[1] else None,
            "warnings": made.warnings,
            "accuracy": {name: compared(p, whole, made.made, seed) for name, p in others.items()},
            "correlations": {
                name: correlations(one, whole, made.made) for name, one in ratings.items()
            },
        }
    steps = every[ARMS[0]].steps
    found["curve"] = {name: curve(pairs, whole, steps, seed) for name, pairs in others.items()}
    margins = rest.differences @ coefficients_in(whole, whole)
    found["probability"] = knots(margins, rest.weights)
    return found


def _mean(own: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean over seeds of a figure before and after, and the difference of each seed."""
    differences = [one["difference"]["value"] for one in own]
    return {
        "before": float(np.mean([one["before"]["value"] for one in own])),
        "after": float(np.mean([one["after"]["value"] for one in own])),
        "difference": float(np.mean(differences)),
        "by_seed": differences,
        "intervals": [one["difference"]["interval"] for one in own],
    }


def over_seeds(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of every arm and set the mean difference to the uniform mean, and that of each seed."""
    arms = {arm: [one["arms"][arm] for one in seeds] for arm in ARMS}
    return {
        arm: {
            "accuracy": {n: _mean([one["accuracy"][n] for one in own]) for n in own[0]["accuracy"]},
            "correlations": {
                name: {of: _mean([one["correlations"][name][of] for one in own]) for of in figures}
                for name, figures in own[0]["correlations"].items()
            },
        }
        for arm, own in arms.items()
    }


def curves(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of every set the accuracy by the number of follow-ups, in the order that was learned and in
    random ones: the mean over seeds."""
    return {
        name: [
            {
                "followups": points[0]["followups"],
                "accuracy": float(np.mean([point["accuracy"]["value"] for point in points])),
                "random": float(np.mean([point["random"] for point in points])),
            }
            for points in zip(*(one["curve"][name] for one in seeds), strict=True)
        ]
        for name in seeds[0]["curve"]
    }


def main(arguments: Sequence[str]) -> int:
    """Scores what is not scored yet, learns, measures, writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--output", "-o", type=Path, required=True)
    given = parser.parse_args(arguments)
    given.work.mkdir(parents=True, exist_ok=True)
    sets = {name: labelled(name, given.data, given.work) for name in SETS}
    ratings = {name: rated(name, given.data, given.work) for name in RATED}
    seeds = [replicated(sets, ratings, seed) for seed in SEEDS]
    result = {
        "date": date.today().isoformat(),
        "command": "python -m benchmarks.calibration",
        "machine": f"{platform.machine()}, {devices.describe_device('cpu')}",
        "versions": runs.versions(),
        "set": {"name": SET, "sha256": followups.digest(followups.load(SET))},
        "counts": {name: dict(pairs.counts) for name, pairs in sets.items()},
        "mean_of_seeds": over_seeds(seeds),
        "curves": curves(seeds),
        "seeds": seeds,
    }
    given.output.write_text(json.dumps(runs.plain(result), indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
