"""Sampling files: every prompt answered, the same bytes wherever a run died."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from flr import io, runs
from flr.errors import InputError, OptionError, OutputError
from flr.policies import prepare_policy
from flr.runs import Report
from flr.sample_file import SampleOptions, sample_file

PROMPTS = ["Tea?", "Why \U0001f375?", "a\x00b", "", "One, two, three, four?"]


def put(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def run(tmp: Path, model: Path, rows: list[Any], name: str = "out.jsonl", **given: Any) -> Any:
    options = {"policy": str(model), "dtype": "fp32", "threads": 1, "n": 2, "max_new_tokens": 5}
    return sample_file(
        put(tmp / "in.jsonl", rows), tmp / name, SampleOptions(**{**options, **given})
    )


def test_every_prompt_is_answered_n_times_and_keeps_its_columns(tmp_path: Path, tiny_model: Path):
    rows = [{"prompt": text, "id": at} for at, text in enumerate(PROMPTS)]
    report = run(tmp_path, tiny_model, rows)
    found = io.read(str(tmp_path / "out.jsonl"))
    assert [(row["prompt"], row["id"]) for row in found] == [*zip(PROMPTS, range(5), strict=True)]
    for row in found:
        sizes = {len(row[name]) for name in ("responses", "finish_reasons", "response_tokens")}
        assert sizes == {2}
        for size, reason in zip(row["response_tokens"], row["finish_reasons"], strict=True):
            assert reason == ("length" if size == 5 else "stop")
    assert report.record["responses"] == 10
    assert report.record["response_tokens"] == sum(sum(row["response_tokens"]) for row in found)
    assert report.record["made_with"]["sampling"]["temperature"] == 0.7


def test_what_was_sampled_can_be_scored_and_sampled_anew(tmp_path: Path, tiny_model: Path):
    pair = {"prompt": "Tea?", "chosen": "Yes.", "rejected": "No."}
    messages = [{"role": "user", "content": "Tea?"}, {"role": "assistant", "content": "Yes."}]
    run(tmp_path, tiny_model, [pair, {"messages": messages}])
    assert [row.form for row in io.load(str(tmp_path / "out.jsonl"))] == ["several", "several"]
    again = io.read(str(tmp_path / "out.jsonl"))
    run(tmp_path, tiny_model, again, "again.jsonl", seed=1)
    assert io.read(str(tmp_path / "again.jsonl"))[0]["responses"] != again[0]["responses"]


def test_equal_prompts_in_two_blocks_get_other_responses(tmp_path: Path, tiny_model: Path):
    run(tmp_path, tiny_model, [{"prompt": "Tea?"}] * 3, n=64, max_new_tokens=3)
    first, second, third = (row["responses"] for row in io.read(str(tmp_path / "out.jsonl")))
    assert first != second
    assert second != third
    assert third != first


def test_a_longer_file_begins_as_the_shorter_one(tmp_path: Path, tiny_model: Path):
    rows = [{"prompt": f"Tea {at}?"} for at in range(40)]
    run(tmp_path, tiny_model, rows[:32], "short.jsonl")
    run(tmp_path, tiny_model, rows, "long.jsonl")
    short, long = ((tmp_path / name).read_text() for name in ("short.jsonl", "long.jsonl"))
    assert long.startswith(short)


def test_the_same_command_again_computes_nothing(tmp_path: Path, tiny_model: Path):
    rows = [{"prompt": text} for text in PROMPTS]
    assert run(tmp_path, tiny_model, rows).computed == 1
    before = (tmp_path / "out.jsonl").read_bytes()
    assert run(tmp_path, tiny_model, rows).computed == 0
    with pytest.raises(OutputError, match="made otherwise"):
        run(tmp_path, tiny_model, rows, seed=1)
    assert (tmp_path / "out.jsonl").read_bytes() == before
    assert run(tmp_path, tiny_model, rows, seed=1, force=True).computed == 1
    assert run(tmp_path, tiny_model, rows, force=True).computed == 0
    assert (tmp_path / "out.jsonl").read_bytes() == before


def test_two_workers_write_the_same_bytes(tmp_path: Path, tiny_model: Path):
    rows = [{"prompt": f"Tea {at}?"} for at in range(100)]
    run(tmp_path, tiny_model, rows, "one.jsonl")
    run(tmp_path, tiny_model, rows, "two.jsonl", workers=2)
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()


def test_prompts_that_cannot_be_taken_are_named_or_left_out(tmp_path: Path, tiny_model: Path):
    rows = [{"prompt": "<|im_end|>"}, {"prompt": "Tea?"}, {"prompt": "Tea? " * 3000}]
    with pytest.raises(InputError) as caught:
        run(tmp_path, tiny_model, rows)
    assert [problem.row for problem in caught.value.problems] == [1, 3]
    report: Report = run(tmp_path, tiny_model, rows, on_special="skip", on_overflow="skip")
    assert [row["prompt"] for row in io.read(str(tmp_path / "out.jsonl"))] == ["Tea?"]
    assert [number for number, _ in report.record["skipped"]] == [1, 3]
    with pytest.raises(InputError, match="every row was left out"):
        run(tmp_path, tiny_model, rows[:1], "none.jsonl", on_special="skip")


def test_long_dialogues_lose_their_oldest_turns_and_are_counted(tmp_path: Path, tiny_model: Path):
    turn = {"role": "user", "content": "word " * 400}
    said = [turn, {"role": "assistant", "content": "Yes."}] * 6
    report = run(tmp_path, tiny_model, [{"prompt": [*said, {"role": "user", "content": "Tea?"}]}])
    ((number, dropped),) = report.record["cut"]
    assert number == 1
    assert 0 < dropped < 12


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"seed": -1}, "--seed -1"),
        ({"n": 0}, "--n 0"),
        ({"sample_batch_tokens": 0}, "--sample-batch-tokens 0"),
        ({"workers": 0}, "--workers 0"),
        ({"engine": "vllm", "workers": 2}, "leave out --workers"),
        ({"engine": "vllm", "sample_batch_tokens": 9}, "vLLM batches by itself"),
        ({"vllm": {"max_model_len": "9"}}, "--vllm.max_model_len is for .*--engine vllm"),
        ({"max_new_tokens": 2048}, "--max-new-tokens 2048: the policy takes 2048 tokens"),
    ],
)
def test_options_that_cannot_be_are_refused(
    tmp_path: Path, tiny_model: Path, given: dict[str, Any], says: str
):
    with pytest.raises(OptionError, match=says):
        run(tmp_path, tiny_model, [{"prompt": "Tea?"}], **given)


def test_vllm_has_one_process_however_many_gpus_there_are():
    assert SampleOptions(engine="vllm").samplers == 1
    assert SampleOptions().samplers is None


def test_the_limit_that_vllm_is_given_is_that_of_prompts(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("flr.policies.build", lambda _: "vllm 1")
    options = SampleOptions(
        policy=str(tiny_model), engine="vllm", vllm={"max_model_len": "64"}, max_new_tokens=8
    )
    assert prepare_policy(options).prompter.max_tokens == 56


KILLED = """
import sys
from pathlib import Path
from flr import runs
real = runs.Store.put
def put(store, key, results):
    real(store, key, results)
    with open(sys.argv[4], "a") as log:
        log.write(key + "\\n")
runs.Store.put = put
from flr.sample_file import SampleOptions, sample_file
options = SampleOptions(policy=sys.argv[3], dtype="fp32", threads=1, n=2, max_new_tokens=5)
sample_file(sys.argv[1], Path(sys.argv[2]), options)
"""


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(tmp_path: Path, tiny_model: Path):
    """kill -9 while blocks are drawn; no finished block is drawn twice."""
    rows = [{"prompt": f"Tea {at}?"} for at in range(32 * 12)]
    run(tmp_path, tiny_model, rows, "undisturbed.jsonl")
    log = tmp_path / "log"
    log.touch()
    command = [sys.executable, "-c", KILLED, str(tmp_path / "in.jsonl")]
    command += [str(tmp_path / "killed.jsonl"), str(tiny_model), str(log)]
    for enough in (1, 4, 8):
        process = subprocess.Popen(command)
        while len(log.read_text().splitlines()) < enough and process.poll() is None:
            time.sleep(0.005)
        process.kill()
        process.wait()
        assert not (tmp_path / "killed.jsonl").exists()
    subprocess.run(command, check=True)
    keys = log.read_text().splitlines()
    assert (tmp_path / "killed.jsonl").read_bytes() == (tmp_path / "undisturbed.jsonl").read_bytes()
    assert len(keys) == len(set(keys)) >= 12 - 3


def test_a_kill_between_output_and_record_loses_nothing(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "write_record", killed)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, tiny_model, [{"prompt": "Tea?"}])
    monkeypatch.undo()
    assert run(tmp_path, tiny_model, [{"prompt": "Tea?"}]).computed == 0


def test_the_input_is_never_the_output(tmp_path: Path, tiny_model: Path):
    with pytest.raises(OutputError, match="is the input"):
        run(tmp_path, tiny_model, [{"prompt": "Tea?"}], "in.jsonl", force=True)
