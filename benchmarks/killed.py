"""Kills a run of `flr score` 20 times at random moments and compares what it ends with.

Scores the demo's conversations, each response a row of its own, once undisturbed and once killed
with SIGKILL after random delays (seed 0) and started again. Prints how many blocks were finished
at each kill, whether the bytes are the same, and how often any finished block was computed again
(every block is logged when it is put into the store).

    python benchmarks/killed.py [--kills 20]

The last line is one JSON object.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from flr import demo, io, runs

RUN = """
import sys
from pathlib import Path
from flr import runs
from flr.score_file import ScoreOptions, score_file
put = runs.Store.put
def logged(store, key, results):
    with open(sys.argv[3], "a") as log:
        log.write(key + "\\n")
    put(store, key, results)
runs.Store.put = logged
score_file(sys.argv[1], Path(sys.argv[2]), ScoreOptions(set="short"))
"""


def finished(output: Path) -> set[str]:
    """Keys of the finished blocks."""
    with runs.Store(runs.store_path(output)) as store:
        return set(store.keys())


def main() -> None:
    """Runs both and compares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    kills = parser.parse_args().kills
    dice = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        rows, whole, killed, log = (
            Path(folder) / n for n in ("in.jsonl", "a.jsonl", "b.jsonl", "log")
        )
        sides = ("chosen", "rejected")
        io.write(
            rows,
            (
                {"prompt": pair["prompt"], "response": pair[side]}
                for pair in demo.pairs()
                for side in sides
            ),
        )
        begun = time.monotonic()
        subprocess.run([sys.executable, "-c", RUN, rows, whole, Path(folder) / "log0"], check=True)
        seconds = time.monotonic() - begun
        again = moments = 0
        blocks: list[int] = []
        while moments < kills:
            before = finished(killed)
            log.write_text("")
            process = subprocess.Popen([sys.executable, "-c", RUN, rows, killed, log])
            try:
                process.wait(dice.uniform(0, 0.5 * seconds))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                moments += 1
                blocks.append(len(finished(killed)))
            assert process.returncode in (0, -9), f"the run ended with {process.returncode}"
            again += len(before & set(log.read_text().split()))
            if process.returncode == 0:
                print(f"finished after {moments} kills; going on from nothing", flush=True)
                assert killed.read_bytes() == whole.read_bytes(), "the bytes differ"
                for path in (killed, runs.store_path(killed), runs.record_path(killed)):
                    path.unlink()
        subprocess.run([sys.executable, "-c", RUN, rows, killed, log], check=True)
        same = killed.read_bytes() == whole.read_bytes()
        print(f"undisturbed: {seconds:.1f} s, blocks: {len(finished(killed))}")
        print(f"finished blocks at each kill: {blocks}")
        result = {"kills": moments, "same_bytes": same, "finished_blocks_computed_again": again}
        print(json.dumps(result))
        sys.exit(0 if same and not again else 1)


if __name__ == "__main__":
    main()
