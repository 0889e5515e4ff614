"""Kills a loop once in every stage of every round, and looks at what it ends with.

Two rounds on twelve of the demo's prompts, smollm2 as policy and as follow-up model, small
everything. It is run once undisturbed; then in another folder it is watched, killed with SIGKILL
after a random part (seed 0) of the time that each stage takes, and started again by the same
command, until every stage has been killed once. Told are whether all data files and policies have
the same bytes as those of the undisturbed run, and what was done twice: blocks that were put into a
store again, and files of finished stages that were written again.

    python -m benchmarks.killed_loop -o RESULT.json
"""

import argparse
import json
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from flr import demo, devices, io, loop_state, runs

PROMPTS, ROUNDS = 12, 2
STAGES = ("sample", "score", "mine", "align", "evaluate")

RUN = """
import sys
from pathlib import Path
from flr import runs
put = runs.Store.put
def logged(store, key, results):
    put(store, key, results)
    with open(sys.argv[3], "a") as log:
        log.write(f"{store.path.relative_to(sys.argv[2])} {key}\\n")
runs.Store.put = logged
from flr.cli.main import run
options = "--rounds ROUNDS -n 4 --max-new-tokens 16 --keep-unfinished --min-margin 0 --set short"
options += " --held-out 0.34 --lora --batch-size 2 --max-steps 6 --save-steps 2 --dtype fp32"
sys.exit(run(["loop", sys.argv[1], "-o", sys.argv[2], *options.split()]))
""".replace("ROUNDS", str(ROUNDS))


def stages(folder: Path) -> dict[tuple[int, str], loop_state.StageState]:
    """What is known of every stage that was begun."""
    state = loop_state.read(folder)
    return {(one.round, one.stage): one for one in state.stages} if state else {}


def files(folder: Path) -> dict[str, str]:
    """sha256 of what the stages write, but for records, which hold times."""
    found = [*folder.rglob("*.jsonl"), *folder.glob("round-*/policy/*.safetensors")]
    return {str(path.relative_to(folder)): runs.file_sha256(path) for path in sorted(found)}


def written(folder: Path) -> dict[str, int]:
    """When each file of a finished stage of a round was written; evaluation grows by rounds."""
    names = {"sample": "pairs.responses.jsonl", "score": "pairs.rewards.jsonl"}
    names |= {"mine": "pairs.jsonl", "align": "policy/model.safetensors"}
    return {
        f"round-{number}/{names[stage]}": (folder / f"round-{number}" / names[stage])
        .stat()
        .st_mtime_ns
        for (number, stage), one in stages(folder).items()
        if one.status == "finished" and stage in names
    }


def killed_in(
    command: list[str], folder: Path, wanted: tuple[int, str], delay: float
) -> tuple[bool, str]:
    """Runs the loop until a stage has been running for a while; whether it was killed in it.

    A later stage begins when this one is finished, so none but this one may be running.
    """
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while process.poll() is None:
        one = stages(folder).get(wanted)
        if one is not None and one.status == "running":
            time.sleep(delay)
            break
        if one is not None and one.status == "finished":
            break
        time.sleep(0.02)
    process.kill()
    _, said = process.communicate()
    assert process.returncode in (0, -9), said
    running = [key for key, one in stages(folder).items() if one.status == "running"]
    return running == [wanted], said


def kills(command: list[str], folder: Path, seconds: Mapping[tuple[int, str], float]) -> list[dict]:
    """Kills it in every stage, and says how it stood each time."""
    dice = random.Random(0)
    wanted = [(0, "evaluate"), *((k, s) for k in range(1, ROUNDS + 1) for s in STAGES)]
    told: list[dict] = []
    before: dict[str, int] = {}
    for stage in wanted:
        delay = dice.uniform(0, 0.6 * seconds[stage])
        hit, _ = killed_in(command, folder, stage, delay)
        now = written(folder)
        again = [name for name, when in before.items() if now.get(name) != when]
        before = now
        told.append(
            {
                "round": stage[0],
                "stage": stage[1],
                "seconds_into_it": round(delay, 2),
                "was_running": hit,
                "finished_files_written_again": again,
            }
        )
        print(told[-1], flush=True)
    return told


def main() -> None:
    """Runs both and compares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", "-o", type=Path, required=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        prompts, whole, killed, log = (
            Path(temporary) / name for name in ("prompts.jsonl", "whole", "killed", "log")
        )
        io.write(prompts, [{"prompt": pair["prompt"]} for pair in demo.pairs()[:PROMPTS]])
        command = [sys.executable, "-c", RUN, str(prompts)]
        subprocess.run([*command, str(whole), str(log)], check=True)
        seconds = {key: one.seconds for key, one in stages(whole).items()}
        log.write_text("")
        told = kills([*command, str(killed), str(log)], killed, seconds)
        subprocess.run([*command, str(killed), str(log)], check=True)
        put = log.read_text().splitlines()
        state = stages(killed)
        result = {
            "date": date.today().isoformat(),
            "command": "python -m benchmarks.killed_loop -o RESULT.json",
            "machine": f"{platform.machine()}, {devices.describe_device('cpu')}",
            "versions": runs.versions(),
            "seconds_undisturbed": {f"{k} {stage}": s for (k, stage), s in seconds.items()},
            "kills": told,
            "all_finished": {one.status for one in state.values()} == {"finished"},
            "files": len(files(whole)),
            "same_bytes": files(killed) == files(whole),
            "blocks": len(set(put)),
            "blocks_computed_twice": len(put) - len(set(put)),
        }
        given.output.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
        print(json.dumps(result))
        again = any(one["finished_files_written_again"] for one in told)
        good = result["all_finished"] and result["same_bytes"] and not again
        good = good and all(one["was_running"] for one in told)
        sys.exit(0 if good and not result["blocks_computed_twice"] else 1)


if __name__ == "__main__":
    main()
