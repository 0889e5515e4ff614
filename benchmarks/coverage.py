"""How often the 95 % intervals of `flr bench` hold the true figure, on simulated sets.

A set has prompts with 1 to 8 values each, which share an effect of their prompt:

    accuracy   the margin of a pair is normal: mean 0.4, variance 1, half of it the prompt's
               effect, so the true accuracy is Phi(0.4) = 65.5 %
    pearson    reward and rating have variance 1, half of it the prompt's effect; the effects
               correlate by 0.6, what is left by 0.2, so the true correlation is 0.4

Both intervals come from the functions that `flr bench` uses, whole prompts drawn (`prompts`);
beside them the same with single rows drawn (`rows`), which takes the values of a prompt for
independent. `width` is the mean width of the intervals.

    python benchmarks/coverage.py [--sets 2000] [--resamples 1000] [-o RESULT.json]

Exit code 1 where, at 200 or 1,000 prompts, `prompts` covers outside 92-97 %, or `rows` covers 92 %
or more: then this check could not have failed.
"""

import argparse
import json
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from flr import devices
from flr.correlations import resampled_pearson
from flr.resampling import Statistic, estimates, resampled_mean
from flr.runs import versions
from flr.stats import pairwise_points

LARGEST_CLUSTER = 8
PROMPT_SHARE = 0.5
"""Part of each variance that the values of a prompt share."""

MEAN_MARGIN = 0.4
EFFECTS_CORRELATE, REST_CORRELATES = 0.6, 0.2

TRUE = {
    "accuracy": NormalDist().cdf(MEAN_MARGIN),
    "pearson": PROMPT_SHARE * EFFECTS_CORRELATE + (1 - PROMPT_SHARE) * REST_CORRELATES,
}
CHECKED, LOWEST, HIGHEST = (200, 1000), 0.92, 0.97

Found = dict[str, dict[str, Any]]
"""By figure, then by what is drawn."""


def correlated(generator: np.random.Generator, size: int, correlation: float) -> np.ndarray:
    """Two rows of standard normal values with this correlation."""
    first, second = generator.standard_normal((2, size))
    return np.stack([first, correlation * first + np.sqrt(1 - correlation**2) * second])


def simulated(generator: np.random.Generator, prompts: int) -> tuple[np.ndarray, ...]:
    """Margins, rewards, ratings, and the prompt of each."""
    index = np.repeat(np.arange(prompts), generator.integers(1, LARGEST_CLUSTER + 1, prompts))
    own, shared = np.sqrt(1 - PROMPT_SHARE), np.sqrt(PROMPT_SHARE)
    effect, rest = generator.standard_normal(prompts), generator.standard_normal(len(index))
    margins = MEAN_MARGIN + shared * effect[index] + own * rest
    effects = correlated(generator, prompts, EFFECTS_CORRELATE)
    rewards, ratings = shared * effects[:, index] + own * correlated(
        generator, len(index), REST_CORRELATES
    )
    return margins, rewards, ratings, index


def intervals(
    values: tuple[np.ndarray, ...], index: np.ndarray, resamples: int, seed: int
) -> dict[str, tuple[float, float]]:
    """The interval of each figure, where the groups of `index` are drawn."""
    margins, rewards, ratings = values
    statistics = {
        "accuracy": Statistic(resampled_mean, (pairwise_points(margins),), index, resamples),
        "pearson": Statistic(resampled_pearson, (rewards, ratings), index, resamples),
    }
    found = estimates(statistics, int(index.max()) + 1, seed)
    return {name: one.interval() for name, one in found.items()}


def coverage(prompts: int, sets: int, resamples: int) -> Found:
    """The share of sets whose interval holds the true figure, and the mean width."""
    ends: dict[str, list[dict[str, tuple[float, float]]]] = {"prompts": [], "rows": []}
    for trial in range(sets):
        *values, index = simulated(np.random.default_rng([prompts, trial]), prompts)
        for drawn, groups in (("prompts", index), ("rows", np.arange(len(index)))):
            ends[drawn].append(intervals(tuple(values), groups, resamples, trial))
    found: Found = {name: {} for name in TRUE}
    for name, true in TRUE.items():
        for drawn, each in ends.items():
            low, high = np.array([one[name] for one in each]).T
            covered = float(((low <= true) & (true <= high)).mean())
            found[name][drawn] = {"coverage": covered, "width": float((high - low).mean())}
    return found


def complaints(prompts: int, found: Found) -> list[str]:
    """What is not as it must be, in words."""
    said: list[str] = []
    for name, by_drawn in found.items():
        own, rows = (by_drawn[drawn]["coverage"] for drawn in ("prompts", "rows"))
        if not LOWEST <= own <= HIGHEST:
            said.append(f"{name}, {prompts} prompts: {own:.1%} is outside 92-97 %")
        if rows >= LOWEST:
            said.append(f"{name}, {prompts} prompts: drawing rows covers {rows:.1%} too")
    return said


def measured(sizes: Sequence[int], sets: int, resamples: int) -> dict[str, Any]:
    """Coverage at each size, printed as it comes, and what is wrong with it."""
    by_size: dict[str, Found] = {}
    said: list[str] = []
    print("coverage of the 95 % interval where prompts are drawn, and where rows are")
    for prompts in sizes:
        found = by_size[str(prompts)] = coverage(prompts, sets, resamples)
        said += complaints(prompts, found) if prompts in CHECKED else []
        for name, one in found.items():
            shares = [one[drawn]["coverage"] for drawn in ("prompts", "rows")]
            print(f"  {prompts:5} prompts  {name:9} {shares[0]:7.2%} {shares[1]:7.2%}", flush=True)
    print(*said, sep="\n", end="\n" if said else "")
    return {"sizes": by_size, "complaints": said}


def main(arguments: Sequence[str]) -> int:
    """Simulates, writes what came out, and returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=int, default=2000, help="simulated sets of each size")
    parser.add_argument("--resamples", type=int, default=1000, help="of each interval")
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, *CHECKED], help="in prompts")
    parser.add_argument("--output", "-o", type=Path)
    given = parser.parse_args(arguments)
    start = time.perf_counter()
    result = {
        "date": date.today().isoformat(),
        "command": shlex.join(["python", "benchmarks/coverage.py", *arguments]),
        "machine": f"{platform.machine()}, {devices.describe_device('cpu')}",
        "versions": {**versions(), "scipy": version("scipy")},
        "sets": given.sets,
        "resamples": given.resamples,
        "true": TRUE,
        **measured(given.sizes, given.sets, given.resamples),
        "seconds": round(time.perf_counter() - start, 1),
    }
    if given.output:
        given.output.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(json.dumps(result))
    return 1 if result["complaints"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
