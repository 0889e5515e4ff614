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

    python benchmarks/alignment.py tune --data DIR --work DIR -o RESULT.json
    python benchmarks/alignment.py run --data DIR --work DIR -o RESULT.json

`tune` picks the learning rate of LEARNING_RATES on prompts that `run` never sees, by the rule at
`tuned`; its result is committed before `run` trains. DIR holds the files of hh-rlhf. All stages
resume. RESULT.json gets figures; of the data, prompts and responses of twenty examples go to
RESULT.md's twin in the work folder only.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flr import io
from flr.datasets import loading as datasets
from flr.sample_file import SampleOptions, sample_file
from flr.score_file import ScoreOptions, score_file

CHOOSING = "default:understanding+relevance+correctness"
JUDGING = "default:engagingness+informativeness+following"
ARMS = ("flr", "flr-match", "random", "random-flr", "direct")
SEEDS = (0, 1, 2)
STEPS, BATCH = 32, 4
"""Optimizer steps of every training, and pairs of a step: 128 pairs once over."""
MAX_NEW_TOKENS = 96
LEARNING_RATES = (1e-4, 3e-4, 1e-3)


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


DRAWS: Mapping[str, Draw] = {"run": RUN, "tune": TUNE}


def main(arguments: Sequence[str]) -> int:
    """Runs the stages, and returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=DRAWS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    given = parser.parse_args(arguments)
    work = given.work / given.what
    work.mkdir(parents=True, exist_ok=True)
    print(mined(DRAWS[given.what], given.data, work))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
