"""Are mined files read by the trainers' own loaders, and read as they were written?

Mines rows (one prompt with a system message and several turns, one with emoji and white space at
its ends, the demo's prompts) in every format, and lets LLaMA-Factory and OpenRLHF read them, each
in an environment of its own. What they tokenised is compared with what was written; TRL's trainers
do a step on the same formats in `tests/test_trl.py`.

    benchmarks/readers/install.sh ENVIRONMENTS
    python benchmarks/readers.py ENVIRONMENTS -o RESULT.json

RESULT.json says how many rows each loader has read. Any difference ends it with an error.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from flr import demo, devices, io
from flr.mining import MineOptions, mine_file
from flr.runs import versions
from tests.tiny_model import save_tiny_model

READERS = Path(__file__).parent / "readers"

ODD = [
    {
        "prompt": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Tea?"},
            {"role": "assistant", "content": "Green or black?"},
            {"role": "user", "content": "Green."},
        ],
        "responses": ["Here it is.", "Then black."],
        "rewards": [1, 0.25],
    },
    {
        "prompt": "  \U0001f375 \u2013 \u00a0?\n",
        "responses": ["\U0001f44d\U0001f3fd ", "\t\u2014"],
        "rewards": [0, -0.5],
    },
]


def rewarded() -> list[dict[str, Any]]:
    """Rows with rewards, as scoring writes them."""
    told = [
        {
            "prompt": one["prompt"],
            "responses": [one["chosen"], one["rejected"]],
            "rewards": [0.5, 0],
        }
        for one in demo.pairs()
    ]
    return [*ODD, *told]


def read_by(environment: Path, script: str, *arguments: Path) -> dict[str, Any]:
    """What a reader says on its last line."""
    python = environment / "bin" / "python"
    command = [str(python), str(READERS / script), *map(str, arguments)]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Writes the files and lets both read them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("environments", type=Path)
    parser.add_argument("--output", "-o", type=Path, required=True)
    given = parser.parse_args()
    environments = given.environments.resolve()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = save_tiny_model(folder / "model")
        io.write(folder / "rewarded.jsonl", rewarded())
        source = str(folder / "rewarded.jsonl")
        for name, options in (
            ("dpo", MineOptions(format="llama-factory")),
            ("kto", MineOptions(format="llama-factory-kto", label_threshold=0.3)),
            ("openrlhf", MineOptions(format="openrlhf")),
        ):
            mine_file(source, folder / f"{name}.jsonl", options)
        found = {
            "llama-factory": read_by(
                environments / "llama-factory", "llama_factory.py", folder, model
            ),
            "openrlhf": read_by(
                environments / "openrlhf", "openrlhf.py", folder / "openrlhf.jsonl", model
            ),
        }
    result = {
        "date": date.today().isoformat(),
        "command": "python benchmarks/readers.py ENVIRONMENTS -o RESULT.json",
        "machine": f"{platform.machine()}, {devices.describe_device('cpu')}",
        "versions": versions(),
        "rows_read_as_written": found,
    }
    given.output.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
