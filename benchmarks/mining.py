"""Mines preference pairs from real prompts in one go, and times sampling beside a bare loop.

64 prompts of hh-rlhf helpful-base (drawn by seed 0), smollm2 as policy and as follow-up model, 8
responses a prompt of at most 96 tokens (most are cut off, so unfinished ones are kept), the best
against the worst. Then, in the same process, the same blocks are sampled again in turns by

    flr     `flr.sampling.sample`: rendering, batches, generate, texts
    bare    `model.generate` on the same padded batches and settings, nothing else

    python benchmarks/mining.py --data DIR --work DIR -o RESULT.json

DIR holds the files of hh-rlhf. Nothing of the data is written to RESULT.json: figures alone. Exit
code 1 where flr samples at less than 0.9 of the rate of the bare loop.
"""

import argparse
import json
import platform
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch

from flr import devices, io
from flr.datasets import loading as datasets
from flr.generators.hf import HFGenerator, batches
from flr.mining import MineOptions, mine_file
from flr.policies import PolicyParts, make_generator, prepare_policy
from flr.report.mined import text
from flr.runs import versions
from flr.sampling import Prompt, sample, seed_of

PROMPTS, SEED, LEAST = 64, 0, 0.9
OPTIONS = MineOptions(n=8, max_new_tokens=96, keep_unfinished=True, seed=SEED)
BLOCK = 8
"""Prompts of a block, with 8 responses each."""


def write_prompts(data: Path, path: Path) -> None:
    """The prompts of a seeded sample, one row each."""
    drawn = datasets.sample(datasets.load("hh-helpful-base", data), PROMPTS, SEED)
    first = {item.group: item.conversations[0].prompt for item in reversed(drawn.items)}
    rows = [
        {"prompt": [message.as_dict() for message in first[group]]}
        for group in dict.fromkeys(item.group for item in drawn.items)
    ]
    io.write(path, rows)


def mined(prompts: Path, output: Path) -> dict[str, Any]:
    """One run of `flr mine`, and the seconds of its stages; texts are left out."""
    begun: dict[str, float] = {}

    def progress_of(unit: str) -> Callable[[int, int, int], None]:
        begun[unit] = time.perf_counter()
        return lambda *_: None

    start = time.perf_counter()
    report = mine_file(str(prompts), output, OPTIONS, progress_of)
    end = time.perf_counter()
    print(text(report.record))
    sampling, scoring = (report.record["stages"][stage] for stage in ("sample", "score"))
    left_out = ("examples", "input", "rewards", "run", "stages")
    return {
        "seconds_of_stages_with_loading": {
            "sampling": begun["responses"] - start,
            "scoring": begun["responses for the noise floor"] - begun["responses"],
            "noise floor and pairing": end - begun["responses for the noise floor"],
        },
        "blocks_computed_now": report.computed,
        "sampling": {
            **sampling,
            "responses_per_second": sampling["responses"] / sampling["seconds"],
        },
        "scoring": {
            **scoring,
            "responses_per_second": scoring["responses"] / scoring["seconds_measuring"],
        },
        "pairing": {key: report.record[key] for key in report.record if key not in left_out},
    }


def bare(generator: HFGenerator, parts: PolicyParts, block: Sequence[Prompt]) -> int:
    """The loop that anyone would write; returns the tokens written."""
    rows = [parts.prompter.row(prompt.messages).tokens for prompt in block]
    written = 0
    torch.manual_seed(seed_of(block, SEED))
    for batch in batches([len(row) for row in rows], OPTIONS.sampling, generator.batch_tokens):
        longest = max(len(rows[at]) for at in batch)
        padded = [[generator.pad] * (longest - len(rows[at])) + list(rows[at]) for at in batch]
        mask = [[0] * (longest - len(rows[at])) + [1] * len(rows[at]) for at in batch]
        with torch.inference_mode():
            model: Any = generator.model
            whole = model.generate(
                input_ids=torch.tensor(padded), attention_mask=torch.tensor(mask)
            )
        for row in whole[:, longest:].tolist():
            ends = [at for at, token in enumerate(row) if token in generator.stops]
            written += min(ends, default=len(row))
    return written


def beside_a_bare_loop(prompts: Path) -> dict[str, Any]:
    """Tokens a second of both, the same blocks in turns, the first one changing."""
    parts = prepare_policy(OPTIONS)
    generator = make_generator(OPTIONS, parts)
    assert isinstance(generator, HFGenerator), "transformers generates here"
    rows = [Prompt(row.number, row.messages) for row in io.load_prompts(str(prompts))]
    blocks = [rows[at : at + BLOCK] for at in range(0, len(rows), BLOCK)]
    ways: dict[str, Callable[[Sequence[Prompt]], int]] = {
        "flr": lambda block: sample(generator, block, parts=parts, seed=SEED).tokens_run,
        "bare": lambda block: bare(generator, parts, block),
    }
    seconds, tokens = dict.fromkeys(ways, 0.0), dict.fromkeys(ways, 0)
    for number, block in enumerate(blocks):
        for name in sorted(ways, reverse=bool(number % 2)):
            begun = time.perf_counter()
            tokens[name] += ways[name](block)
            seconds[name] += time.perf_counter() - begun
    assert tokens["flr"] == tokens["bare"], "both draw the same"
    rates = {name: tokens[name] / seconds[name] for name in ways}
    return {"tokens": tokens, "tokens_per_second": rates, "ratio": rates["flr"] / rates["bare"]}


def main(arguments: Sequence[str]) -> int:
    """Mines, times, writes, and returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--output", "-o", type=Path, required=True)
    given = parser.parse_args(arguments)
    given.work.mkdir(parents=True, exist_ok=True)
    prompts = given.work / "prompts.jsonl"
    write_prompts(given.data, prompts)
    run = mined(prompts, given.work / "pairs.jsonl")
    compared = beside_a_bare_loop(prompts)
    result = {
        "date": date.today().isoformat(),
        "command": shlex.join(
            ["python", "benchmarks/mining.py", "--data", "DIR", "--work", "DIR", "-o", "RESULT"]
        ),
        "machine": f"{platform.machine()}, {devices.describe_device('cpu')}",
        "versions": versions(),
        "mine": run,
        "sampling_beside_a_bare_loop": compared,
    }
    given.output.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(json.dumps(compared))
    return 0 if compared["ratio"] >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
