"""Does work that is shared out end with the bytes of one process?

    one      `flr score` of 2,000 short rows in one process of one thread
    ray      `--ray local`, two actors of one thread; one is killed (SIGKILL) in the middle
    shards   `--shard 1/2` and `--shard 2/2`, one after the other, and `flr merge`

With smollm2 in fp32. The last line is one JSON object; exit code 1 where bytes differ, or where no
actor could be killed before the end.

    python -m benchmarks.cluster [--rows 2000] -o RESULT.json
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flr import devices, io, runs
from flr.runs import versions

ACTOR = "ray::MapWorker"
"""How an actor of Ray Data calls itself."""


def actors() -> list[int]:
    """Processes of actors on this machine."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(ACTOR.encode()):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return sorted(found)


def scored(folder: Path, name: str, *more: str) -> list[str]:
    """The command that scores the rows."""
    command = [sys.executable, "-m", "flr", "score", str(folder / "rows.jsonl")]
    command += ["-o", str(folder / name), "--set", "short:correctness", "--dtype", "fp32"]
    return [*command, "--threads", "1", *more]


def with_ray(folder: Path, after: float) -> dict[str, Any]:
    """Scores on two actors and kills one of them, `after` seconds after both have begun."""
    assert not actors(), "no other run of Ray Data is on this machine"
    begun = time.perf_counter()
    run = subprocess.Popen(scored(folder, "ray.jsonl", "--ray", "local", "--workers", "2"))
    while len(actors()) < 2:
        assert run.poll() is None, "the run ended before there were two actors"
        time.sleep(0.2)
    time.sleep(after)
    code, found = run.poll(), actors()
    assert found, "there are actors still"
    os.kill(found[0], signal.SIGKILL)
    return {
        "killed_before_the_end": code is None,
        "exit_code": run.wait(),
        "seconds": time.perf_counter() - begun,
    }


def main(arguments: Sequence[str]) -> int:
    """Runs all, writes, and returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--output", "-o", type=Path, required=True)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows = [
            {"prompt": f"{n} + {n % 7}?", "response": f"{n + n % 5}."} for n in range(given.rows)
        ]
        io.write(folder / "rows.jsonl", rows)
        begun = time.perf_counter()
        subprocess.run(scored(folder, "one.jsonl"), check=True)
        seconds = time.perf_counter() - begun
        ray = with_ray(folder, after=seconds / 6)
        for shard in ("1/2", "2/2"):
            subprocess.run(scored(folder, "shards.jsonl", "--shard", shard), check=True)
        merged = [sys.executable, "-m", "flr", "merge", str(folder / "shards.jsonl")]
        subprocess.run(merged, check=True)
        one = (folder / "one.jsonl").read_bytes()
        same = {n: (folder / f"{n}.jsonl").read_bytes() == one for n in ("ray", "shards")}
        sha256 = runs.file_sha256(folder / "one.jsonl")
    result = {
        "date": date.today().isoformat(),
        "command": "python -m benchmarks.cluster -o RESULT.json",
        "machine": devices.describe_device("cpu"),
        "versions": {**versions(), "ray": version("ray")},
        "rows": given.rows,
        "seconds_of_one_process": seconds,
        "ray": ray,
        "same_bytes": same,
        "sha256": sha256,
    }
    given.output.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(json.dumps(result))
    return 0 if all(same.values()) and ray["killed_before_the_end"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
