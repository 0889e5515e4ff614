"""Runs on a Ray cluster of this machine: the bytes of one process, whoever is killed on the way."""

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from flr import io, on_ray
from flr.benching import BenchOptions
from flr.errors import ModelError, OptionError
from flr.on_ray import Actor
from flr.options import ModelOptions
from flr.sample_file import SampleOptions
from flr.score_file import ScoreOptions
from flr.workers import divided
from tests.tiny_model import save_tiny_model

ROWS = [{"prompt": f"Number {n}?", "response": f"It is {n}."} for n in range(160)]

KILLED = """
import os, signal, sys
from pathlib import Path
from flr.score_file import ScoreOptions, score_file

def actors():
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            is_ours = os.environ["FLR_MARK"].encode() in (path.parent / "environ").read_bytes()
            if path.read_bytes().startswith(b"ray::MapWorker") and is_ours:
                yield int(path.parent.name)
        except OSError:
            continue

def kill_one(done, total, tokens):
    if 0 < done < total and not killed:
        killed.append(next(actors()))
        os.kill(killed[0], signal.SIGKILL)

killed = []
source, folder, model = sys.argv[1:]
options = {"model": model, "set": "short", "dtype": "fp32", "threads": 1}
shared = ScoreOptions(**options, ray="local", workers=2)
report = score_file(source, Path(folder, "ray.jsonl"), shared, kill_one)
assert killed
assert report.computed == 20, report.computed
report = score_file(source, Path(folder, "ray.jsonl"), ScoreOptions(**options))
assert report.computed == 0
score_file(source, Path(folder, "one.jsonl"), ScoreOptions(**options))
"""


def run(script: Sequence[str], tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """In a process of its own: Ray starts others, and warns of much."""
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    return subprocess.run(
        [sys.executable, *script],
        env={**plain, "FLR_MARK": f"mark-of-{tmp_path.name}", "RAY_DEDUP_LOGS": "0"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_two_actors_of_which_one_is_killed_end_with_the_bytes_of_one_process(tmp_path: Path):
    model = save_tiny_model(tmp_path / "model")
    io.write(tmp_path / "in.jsonl", ROWS)
    ended = run(["-c", KILLED, str(tmp_path / "in.jsonl"), str(tmp_path), str(model)], tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "ray.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()


def test_what_is_wrong_on_the_cluster_is_told_as_it_is_told_here(tmp_path: Path):
    model = save_tiny_model(tmp_path / "model")
    (model / "model.safetensors").write_bytes(b"none")
    io.write(tmp_path / "in.jsonl", ROWS[:4])
    asked = ["-m", "flr", "score", "in.jsonl", "-o", "out.jsonl", "--model", "model"]
    ended = run([*asked, "--ray", "local", "--threads", "1"], tmp_path)
    assert ended.returncode == 2, ended.stderr
    said = " ".join(ended.stderr.split())
    assert "flr: model: cannot be loaded (SafetensorError" in said
    assert "Warning" not in said


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:1", "ray://nowhere.invalid:10001"])
def test_a_cluster_that_is_not_there_is_the_users_mistake(tmp_path: Path, address: str):
    save_tiny_model(tmp_path / "model")
    io.write(tmp_path / "in.jsonl", ROWS[:4])
    asked = ["-m", "flr", "score", "in.jsonl", "-o", "out.jsonl", "--model", "model"]
    ended = run([*asked, "--ray", address], tmp_path)
    assert ended.returncode == 2, ended.stderr
    assert f"--ray {address}: no Ray cluster can be used there" in " ".join(ended.stderr.split())


def test_actors_that_would_wait_for_ever_are_refused():
    nodes: list[dict[str, float]] = [{"CPU": 8.0}, {"CPU": 8.0}, {"memory": 1.0}]
    on_ray._check_room(nodes, 4, {"num_cpus": 4})
    with pytest.raises(OptionError, match="5 workers of 4 CPU each, and the cluster has room for"):
        on_ray._check_room(nodes, 5, {"num_cpus": 4})
    with pytest.raises(OptionError, match="room for 2; take fewer"):
        on_ray._check_room(nodes, 3, {"num_cpus": 5})
    with pytest.raises(
        OptionError, match="1 workers of 1 GPU each, and the cluster has room for 0"
    ):
        on_ray._check_room(nodes, 1, {"num_gpus": 1})


def doubled(options: Any) -> Any:
    assert on_ray.is_inside()
    return lambda block: [options * one for one in block]


def refused(options: Any) -> Any:
    raise ModelError("no such weights")


def results(actor: Actor, block: Any) -> Any:
    answer = actor({"index": [7], "block": [pickle.dumps(block)]})
    assert answer["index"] == [7]
    return pickle.loads(answer["result"][0])


def test_an_actor_works_on_blocks_and_its_errors_are_results(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(on_ray, "_inside", False)
    assert results(Actor(3, doubled), [1, 2]) == [3, 6]
    broken = results(Actor(3, doubled), [None])
    assert isinstance(broken, TypeError)
    assert "in doubled" in broken.__notes__[0] or "lambda" in broken.__notes__[0]
    assert str(results(Actor(3, refused), [1])) == "no such weights"


def test_every_worker_of_a_cluster_may_have_an_engine_that_shares_work_out_by_itself():
    ScoreOptions(model="vllm:org/model", ray="auto", workers=4)
    assert SampleOptions(engine="vllm", ray="auto", workers=4).samplers == 4
    assert divided(ScoreOptions(ray="auto", workers=4, threads=3), 4).threads == 3
    options: list[dict[str, Any]] = [{"device": "cuda:1"}, {"device_map": "auto"}]
    for given in options:
        with pytest.raises(OptionError, match="--ray gives every worker its device"):
            ScoreOptions(ray="auto", **given)
        with pytest.raises(OptionError, match="--ray gives every worker its device"):
            BenchOptions(ray="auto", **given)
    assert not hasattr(ModelOptions(), "ray")
