"""Kills a run of flr 20 times at random moments and compares what it ends with.

    score    the demo's conversations, each response a row of its own
    mine     the demo's prompts: sampled (4 responses of at most 16 tokens), scored, paired

Runs it once undisturbed, and once killed with SIGKILL after random delays (seed 0) and started
again. Tells how many blocks of each stage were finished at each kill, whether every file that it
writes has the same bytes, and how often a finished block was computed again (every block is logged
when it is put into a store).

    python benchmarks/killed.py [score|mine] [--kills 20] -o RESULT.json
"""

import argparse
import json
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from flr import demo, devices, io, runs

LOGGED = """
import sys
from pathlib import Path
from flr import runs
put = runs.Store.put
def logged(store, key, results):
    with open(sys.argv[3], "a") as log:
        log.write(key + "\\n")
    put(store, key, results)
runs.Store.put = logged
source, output = sys.argv[1], Path(sys.argv[2]) / "out.jsonl"
"""

RUNS = {
    "score": """
from flr.score_file import ScoreOptions, score_file
score_file(source, output, ScoreOptions(set="short"))
""",
    "mine": """
from flr.mining import MineOptions, mine_file
options = MineOptions(set="short", n=4, max_new_tokens=16, keep_unfinished=True)
mine_file(source, output, options)
""",
}


def rows_of(verb: str) -> list[dict[str, str]]:
    """What is worked on."""
    if verb == "mine":
        return [{"prompt": pair["prompt"]} for pair in demo.pairs()]
    sides = ("chosen", "rejected")
    return [
        {"prompt": pair["prompt"], "response": pair[side]}
        for pair in demo.pairs()
        for side in sides
    ]


def finished(folder: Path) -> dict[str, set[str]]:
    """Keys of the finished blocks of each stage, by the file that it writes."""
    found: dict[str, set[str]] = {}
    for path in folder.glob("*.run.sqlite"):
        with runs.Store(path) as store:
            found[path.name.removesuffix(".run.sqlite")] = set(store.keys())
    return found


def counts(stages: Mapping[str, set[str]]) -> dict[str, int]:
    """How many blocks of each stage are finished."""
    return {name: len(keys) for name, keys in sorted(stages.items())}


def written(folder: Path) -> Mapping[str, bytes]:
    """The files that it wrote, but for the stores and records, which hold times."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.jsonl"))}


def main() -> None:
    """Runs both and compares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("verb", nargs="?", choices=list(RUNS), default="score")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--output", "-o", type=Path, required=True)
    given = parser.parse_args()
    dice = random.Random(0)
    with tempfile.TemporaryDirectory() as temporary:
        rows, whole, killed, log = (
            Path(temporary) / name for name in ("in.jsonl", "whole", "killed", "log")
        )
        io.write(rows, rows_of(given.verb))
        for folder in (whole, killed):
            folder.mkdir()
        command = [sys.executable, "-c", LOGGED + RUNS[given.verb], str(rows)]
        begun = time.monotonic()
        subprocess.run([*command, str(whole), str(log)], check=True)
        seconds = time.monotonic() - begun
        again = moments = 0
        blocks: list[dict[str, int]] = []
        while moments < given.kills:
            before = set[str]().union(*finished(killed).values())
            log.write_text("")
            process = subprocess.Popen([*command, str(killed), str(log)])
            try:
                process.wait(dice.uniform(0, 0.5 * seconds))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                moments += 1
                blocks.append(counts(finished(killed)))
            assert process.returncode in (0, -9), f"the run ended with {process.returncode}"
            again += len(before & set(log.read_text().split()))
            if process.returncode == 0:
                print(f"finished after {moments} kills; going on from nothing", flush=True)
                assert written(killed) == written(whole), "the bytes differ"
                shutil.rmtree(killed)
                killed.mkdir()
        subprocess.run([*command, str(killed), str(log)], check=True)
        same = written(killed) == written(whole)
        result = {
            "date": date.today().isoformat(),
            "command": f"python benchmarks/killed.py {given.verb} --kills {given.kills}",
            "machine": f"{platform.machine()}, {devices.describe_device('cpu')}",
            "versions": runs.versions(),
            "seconds_undisturbed": round(seconds, 1),
            "blocks": counts(finished(killed)),
            "blocks_finished_at_each_kill": blocks,
            "files": list(written(whole)),
            "same_bytes": same,
            "finished_blocks_computed_again": again,
        }
        given.output.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
        print(json.dumps(result))
        sys.exit(0 if same and not again else 1)


if __name__ == "__main__":
    main()
