"""How often rewards agree with people, on real pairs, beside the trivial ways.

Data, arms, seeds and follow-ups are fixed here and in `src/flr/data`, before anything is scored:

    data     hh-rlhf helpful-base test, 200 pairs drawn with seed 0 (pairs with chosen == rejected
             left out); all 100 pairs of LLMBar Natural; each also as two disjoint halves
    arms     flr default         follow-up likelihood, set `default`, variant `mean`
             flr published       the same with the list of the paper's published code
             official published  the published code's own quantity with that list
             direct mean, sum    the response's own log-likelihood, per token and whole
             length              the longer response (characters)
             random              a coin, seed 0: the control
    figures  accuracy with ties half, and with ties wrong; 95 % bootstrap interval over prompts;
             difference to `flr default` with a paired interval

    python benchmarks/agreement.py --data DIR --published FILE --work DIR -o RESULT.json

DIR holds `hh-rlhf/helpful-base/test.jsonl.gz` and `llmbar/LLMBar/Natural/dataset.json`; FILE is
`utils.py` of github.com/e0397123/FLR. Nothing of the data is written to RESULT. Scoring is resumed
from the stores in the work folder.
"""

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from flr import followups, io
from flr.engines.base import Request
from flr.loading import ScorerOptions, make_scorer, prepare
from flr.rows import Row
from flr.runs import file_sha256
from flr.score_file import ScoreOptions, score_file
from flr.stats import bootstrap_interval, pairwise_accuracy, pairwise_points

SAMPLE, SEED = 200, 0
BLOCK = 16

Margins = dict[str, np.ndarray]


def helpful_base(data: Path) -> dict[str, list[dict[str, Any]]]:
    """A sample of pairs, as rows."""
    rows = io.load(str(data / "hh-rlhf" / "helpful-base" / "test.jsonl.gz"))
    pairs = [dict(row.columns) for row in rows if row.columns["chosen"] != row.columns["rejected"]]
    return {"helpful-base": random.Random(SEED).sample(pairs, SAMPLE)}


def llmbar(data: Path) -> dict[str, list[dict[str, Any]]]:
    """All pairs of LLMBar Natural, as rows."""
    items = json.loads((data / "llmbar" / "LLMBar" / "Natural" / "dataset.json").read_text("utf-8"))
    rows = []
    for item in items:
        outputs = [item["output_1"], item["output_2"]]
        chosen = outputs[item["label"] - 1]
        rejected = outputs[2 - item["label"]]
        rows.append({"prompt": item["input"], "chosen": chosen, "rejected": rejected})
    return {"llmbar natural": rows}


def flr_margins(rows_file: Path, work: Path, arm: str, options: ScoreOptions) -> np.ndarray:
    """Reward of chosen less reward of rejected, by `flr score` itself."""
    output = work / f"{rows_file.stem}-{arm}.jsonl"
    score_file(
        str(rows_file), output, options, lambda done, total, _: print(f"  {arm} {done}/{total}")
    )
    return np.array([row["reward_chosen"] - row["reward_rejected"] for row in io.read(str(output))])


def direct_margins(rows: Sequence[Row]) -> Margins:
    """Log-likelihood of the responses themselves, given their prompts."""
    options = ScorerOptions()
    parts = prepare(options)
    engine = make_scorer(options, parts).engine
    conversations = [conversation for row in rows for conversation in row.conversations]
    means: list[float] = []
    sums: list[float] = []
    for at in range(0, len(conversations), BLOCK):
        made = [parts.renderer.response(one).rows[0] for one in conversations[at : at + BLOCK]]
        asked = [Request(row.tokens[: row.stop], row.start, row.stop) for row in made]
        for answer in engine.loglikelihoods(asked):
            sums.append(answer.total)
            means.append(answer.total / max(1, answer.tokens))
    return {
        name: -np.diff(np.array(values).reshape(-1, 2)).ravel()  # chosen less rejected
        for name, values in (("direct mean", means), ("direct sum", sums))
    }


def trivial_margins(rows: Sequence[Row]) -> Margins:
    """Length, and a coin."""
    lengths = np.array([[len(one.response) for one in row.conversations] for row in rows], float)
    coin = np.random.default_rng(SEED).choice([-1.0, 1.0], len(rows))
    return {"length": lengths[:, 0] - lengths[:, 1], "random": coin}


def figures(margins: np.ndarray, own: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """Accuracy of one arm, and its difference to `flr default`."""
    points = pairwise_points(margins)
    return {
        "accuracy": pairwise_accuracy(margins),
        "interval": bootstrap_interval(points, groups=groups),
        "ties_wrong": pairwise_accuracy(margins, tie=0.0),
        "difference_to_flr_default": float((points - pairwise_points(own)).mean()),
        "difference_interval": bootstrap_interval(points - pairwise_points(own), groups=groups),
        "halves": [float(half.mean()) for half in np.array_split(points, 2)],
    }


def compare(
    name: str, rows: list[dict[str, Any]], work: Path, arms: Mapping[str, ScoreOptions]
) -> dict[str, Any]:
    """All arms on one data set."""
    print(name, flush=True)
    rows_file = work / f"{name.replace(', ', '-').replace(' ', '-')}.jsonl"
    io.write(rows_file, rows)
    loaded = io.load(str(rows_file))
    margins = {arm: flr_margins(rows_file, work, arm, options) for arm, options in arms.items()}
    margins |= direct_margins(loaded) | trivial_margins(loaded)
    prompts = [str(row.conversations[0].prompt) for row in loaded]
    groups = np.unique(prompts, return_inverse=True)[1]
    found = {arm: figures(one, margins["flr default"], groups) for arm, one in margins.items()}
    for arm, one in found.items():
        low, high = one["interval"]
        print(f"  {arm:20} {one['accuracy']:6.1%}  [{low:.1%}, {high:.1%}]", flush=True)
    return {"pairs": len(rows), "prompts": int(groups.max()) + 1, "arms": found}


def main() -> None:
    """Scores everything and writes the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--published", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--output", "-o", type=Path, required=True)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    imported = given.work / "published.yaml"
    published = followups.import_published(given.published)
    imported.write_text(followups.to_yaml(published), "utf-8")
    arms = {
        "flr default": ScoreOptions(),
        "flr published": ScoreOptions(set=str(imported)),
        "official published": ScoreOptions(set=str(imported), reward="official"),
    }
    sets = {**helpful_base(given.data), **llmbar(given.data)}
    result = {
        "date": date.today().isoformat(),
        "model": "smollm2",
        "made_with": dict(prepare(ScorerOptions()).fingerprint),
        "followups": {
            "default": followups.digest(followups.load("default")),
            "published": followups.digest(published),
            "published_file_sha256": file_sha256(given.published),
        },
        "data": {name: compare(name, rows, given.work, arms) for name, rows in sets.items()},
    }
    given.output.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(
        json.dumps(
            {name: one["arms"]["flr default"]["accuracy"] for name, one in result["data"].items()}
        )
    )


if __name__ == "__main__":
    main()
