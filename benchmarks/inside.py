"""GRPO in TRL takes two steps on smollm2 with follow-up likelihood as its reward, in both ways.

    in_python  `GRPOTrainer(reward_funcs=[FLRReward(...)])` in this process
    by_command `trl grpo ... --reward_funcs flr.integrations.trl.flr_reward` in another process,
               the reward configured by environment variables

smollm2 is the policy and the follow-up model; eight prompts written here, four responses each, two
prompts a step. TRL writes the completions of every step with their rewards; those are held against
`flr.score` of the same conversations afterwards, in fp32.

    python benchmarks/inside.py --work DIR -o RESULT.json

Exit code 1 where a reward that TRL logged is missing, or more than 1e-4 from that of `flr.score`.
"""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datasets import load_dataset

import flr
from flr import devices, io, models, sources
from flr.integrations.trl import FLRReward
from flr.runs import versions

TRL: Any = import_module("trl")  # it names its parts lazily
STEPS, GENERATIONS, TOKENS, TOLERANCE = 2, 4, 32, 1e-4
OPTIONS = {"model": "smollm2", "set": "short", "dtype": "fp32"}
PROMPTS = (
    "Name three fruits that are red.",
    "How do I boil an egg?",
    "What is the capital of Australia?",
    "Write one sentence about the sea.",
    "Why is the sky blue? Answer briefly.",
    "Give me a tip for learning to swim.",
    "Translate 'good morning' to French.",
    "My plant has yellow leaves. What can I do?",
)
COMMON = {
    "max_steps": STEPS,
    "num_generations": GENERATIONS,
    "per_device_train_batch_size": 2 * GENERATIONS,
    "max_completion_length": TOKENS,
    "logging_steps": 1,
    "log_completions": True,
    "num_completions_to_print": 0,
    "save_strategy": "no",
    "report_to": "none",
    "use_cpu": True,
    "bf16": False,
    "disable_tqdm": True,
}
"""Settings of both runs."""


def in_python(policy: Path, prompts: Path, output: Path) -> dict[str, Any]:
    """Two steps in this process."""
    trainer = TRL.GRPOTrainer(
        model=str(policy),
        args=TRL.GRPOConfig(output_dir=str(output), **COMMON),
        train_dataset=load_dataset(str(prompts), split="train"),
        reward_funcs=[FLRReward(**OPTIONS)],
    )
    trainer.train()
    return {
        "logged": [
            {
                name: log[name]
                for name in log
                if name.startswith(("rewards/", "flr/")) or name in ("reward_std", "grad_norm")
            }
            for log in trainer.state.log_history[:STEPS]
        ],
    }


def by_command(policy: Path, prompts: Path, output: Path) -> dict[str, Any]:
    """Two steps from TRL's command line."""
    settings = {
        "model_name_or_path": str(policy),
        "dataset_name": str(prompts),
        "output_dir": str(output),
        "reward_funcs": "flr.integrations.trl.flr_reward",
        **COMMON,
    }
    command = [part for name, one in settings.items() for part in (f"--{name}", str(one))]
    variables = {f"FLR_{name.upper()}": value for name, value in OPTIONS.items()}
    subprocess.run(
        [sys.executable, "-m", "trl.cli.main", "grpo", *command],
        env={**os.environ, **variables},
        check=True,
    )
    shown = shlex.join(["trl", "grpo", *command])
    for path, name in ((policy, "SMOLLM2"), (prompts, "PROMPTS"), (output, "OUTPUT")):
        shown = shown.replace(str(path), name)
    return {"command": shown, "variables": variables}


def logged(output: Path) -> list[dict[str, Any]]:
    """The completions that TRL wrote, with their rewards, step by step."""
    paths = sorted((output / "completions").glob("*.parquet"))
    return [dict(row) for path in paths for row in io.read(str(path))]


def compared(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What TRL logged beside `flr.score` of the same conversations."""
    conversations = [{"messages": [*row["prompt"], *row["completion"]]} for row in rows]
    scores = flr.score(conversations, strip_thinking=True, **OPTIONS)
    rewards = [None if score is None else score.reward for score in scores]
    differences = [
        abs(row["flr_reward"] - reward)
        for row, reward in zip(rows, rewards, strict=True)
        if reward is not None and row["flr_reward"] is not None
    ]
    return {
        "responses": len(rows),
        "steps": sorted({row["step"] for row in rows}),
        "compared": len(differences),
        "largest_difference": max(differences),
        "examples": [
            {
                "prompt": row["prompt"][-1]["content"],
                "completion": row["completion"][-1]["content"],
                "logged": row["flr_reward"],
                "scored": reward,
            }
            for row, reward in list(zip(rows, rewards, strict=True))[:: GENERATIONS + 1]
        ],
    }


def main(arguments: Sequence[str]) -> int:
    """Trains twice, compares, writes, and returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--output", "-o", type=Path, required=True)
    given = parser.parse_args(arguments)
    prompts = given.work / "prompts"
    prompts.mkdir(parents=True, exist_ok=True)
    io.write(
        prompts / "train.jsonl",
        [{"prompt": [{"role": "user", "content": text}]} for text in PROMPTS],
    )
    policy = models.plain_folder(sources.locate("smollm2"))
    ways: dict[str, Callable[[Path, Path, Path], dict[str, Any]]] = {
        "in_python": in_python,
        "by_command": by_command,
    }
    result: dict[str, Any] = {
        "date": date.today().isoformat(),
        "command": "python benchmarks/inside.py --work DIR -o RESULT",
        "machine": f"{platform.machine()}, {devices.describe_device('cpu')}",
        "load_at_the_start": os.getloadavg()[0],
        "versions": {**versions(), "trl": version("trl")},
        "options": OPTIONS,
    }
    for name, way in ways.items():
        begun = time.perf_counter()
        made = way(policy, prompts, given.work / name)
        made["seconds"] = time.perf_counter() - begun
        result[name] = {**made, **compared(logged(given.work / name))}
    given.output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
    good = [
        one["compared"] == STEPS * 2 * GENERATIONS and one["largest_difference"] < TOLERANCE
        for one in (result[name] for name in ways)
    ]
    print(json.dumps({name: result[name]["largest_difference"] for name in ways}))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
